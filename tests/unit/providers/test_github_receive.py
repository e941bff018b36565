"""Deliveries: what is believed, what is understood, what is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import BadSignature, DeliveryRefused, MalformedDelivery, NotConfigured
from pipeline.model.event import (
    ButtonEvent,
    CommentEvent,
    Delivery,
    InstallationEvent,
    MemberEvent,
    MergeGroupEvent,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
    Received,
    RepositoryAction,
    RepositoryEvent,
    RerunEvent,
    ThreadEvent,
)
from providers.github import PROVIDER

SECRET = "a secret " + "of ours"
OLD = "the one " + "before"
HEAD, BASE = "a" * 40, "b" * 40
ID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

# Payloads are dictionaries that the tests bend, so their values are of any type.
Payload = dict[str, Any]


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(name: str, payload: object, *, configuration: dict[str, str] | None = None, **headers: str | None) -> Received:
    """Sign, send. A header given as None is left out."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    all_headers = {"x-github-event": name, "x-github-delivery": ID, "x-hub-signature-256": sign(body)}
    for key, value in headers.items():
        all_headers.pop(key.replace("_", "-"), None)
        if value is not None:
            all_headers[key.replace("_", "-")] = value
    return PROVIDER.receive(Delivery("github", "", all_headers, body), configuration or {"WEBHOOK_SECRET": SECRET})


def common(**more: Any) -> Payload:
    return {
        "installation": {"id": 77, "node_id": "x"},
        "repository": {
            "id": 4711,
            "full_name": "octo/shop",
            "clone_url": "https://github.com/octo/shop.git",
            "default_branch": "main",
            "private": False,
            "owner": None,
        },
        "sender": {"id": 5, "login": "mona", "type": "User"},
        **more,
    }


def push(**more: Any) -> Payload:
    return common(**{"ref": "refs/heads/feature/x", "before": BASE, "after": HEAD, "deleted": False, "commits": [{}, {}]} | more)


def pull(action: str, **more: Any) -> Payload:
    return common(action=action, pull_request={"number": 3, "head": {"sha": HEAD, "repo": None}}, **more)


WRITTEN = "2026-01-15T12:00:00Z"


def comment(action: str = "created", **more: Any) -> Payload:
    issue = {"number": 3, "pull_request": {"url": "https://api.github.com/repos/octo/shop/pulls/3"}}
    return common(**{"action": action, "issue": issue, "comment": {"id": 99, "body": "/fix K7Q", "created_at": WRITTEN}} | more)


# --- believed ---


def test_a_delivery_signed_with_the_current_or_the_previous_secret_is_believed() -> None:
    both = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_SECRET_PREVIOUS": OLD}
    body = json.dumps({"zen": "x"}).encode()
    assert deliver("ping", body, configuration=both).event is None
    assert deliver("ping", body, configuration=both, x_hub_signature_256=sign(body, OLD)).name == "ping"
    with pytest.raises(BadSignature):
        deliver("ping", body, x_hub_signature_256=sign(body, OLD))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=zz",
        sign(b"{}")[:-1],
        sign(b"{}") + "0",
        sign(b"{}") + "\n",
        sign(b"{}").upper(),
        sign(b"{}").replace("sha256", "sha1"),
        sign(b"{}", "another"),
        sign(b"{ }"),
        "sha256=" + "é" * 64,
        "sha256=" + hmac.new(b"", b"{}", hashlib.sha256).hexdigest(),
    ],
)
def test_a_missing_malformed_or_wrong_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(BadSignature):
        deliver("push", b"{}", x_hub_signature_256=signature)


def test_a_sha1_signature_does_not_count() -> None:
    sha1 = "sha1=" + hmac.new(SECRET.encode(), b"{}", hashlib.sha1).hexdigest()
    with pytest.raises(BadSignature):
        deliver("push", b"{}", x_hub_signature_256=None, x_hub_signature=sha1)


def test_the_signature_comes_before_everything_else() -> None:
    with pytest.raises(BadSignature):
        deliver("", b"[" * 10_000, x_github_event=None, x_hub_signature_256="sha256=" + "0" * 64)


@pytest.mark.parametrize("configuration", [{}, {"WEBHOOK_SECRET": ""}, {"WEBHOOK_SECRET_PREVIOUS": OLD}])
def test_without_a_secret_nothing_is_accepted_and_the_hint_names_the_setting(configuration: dict[str, str]) -> None:
    body = b"{}"
    headers = {"x-github-event": "push", "x-github-delivery": ID, "x-hub-signature-256": sign(body, "")}
    with pytest.raises(NotConfigured) as caught:
        PROVIDER.receive(Delivery("github", "", headers, body), configuration)
    assert "FIXWRIGHT_GITHUB_WEBHOOK_SECRET" in caught.value.hint


# --- refused although signed ---


@pytest.mark.parametrize("name", [None, "", "Push", "push/../x", "x" * 65, "push\n"])
def test_an_event_header_that_is_none_is_refused(name: str | None) -> None:
    with pytest.raises(MalformedDelivery):
        deliver("push", push(), x_github_event=name)


@pytest.mark.parametrize("identity", [None, "", "a b", "x" * 101, "id\n", "é"])
def test_a_delivery_id_that_is_none_is_refused(identity: str | None) -> None:
    with pytest.raises(MalformedDelivery):
        deliver("push", push(), x_github_delivery=identity)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"payload=%7B%7D",
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:16]),
)
def test_a_body_that_is_no_flat_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedDelivery):
        deliver("push", body)


def test_sixty_four_levels_are_accepted() -> None:
    assert deliver("watch", b'{"a":' * 64 + b"1" + b"}" * 64).event is None


def test_a_form_encoded_delivery_is_told_what_to_change() -> None:
    with pytest.raises(MalformedDelivery) as caught:
        deliver("push", b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
    assert "application/json" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": None},
        {"repository": {"id": 4711}},
        {"sender": []},
        {"sender": {"id": True, "login": "mona"}},
        {"sender": {"id": "5", "login": "mona"}},
        {"sender": {"id": 10**30, "login": "mona"}},
        {"sender": {"id": 5, "login": "mo/na"}},
        {"installation": {"id": None}},
        {"installation": "77"},
        {"ref": None},
        {"ref": "refs/heads/a\x00b"},
        {"before": BASE[:-1]},
        {"after": HEAD.upper()},
        {"after": HEAD + "\n"},
        {"repository": {"id": 1, "full_name": "../..", "clone_url": "https://x", "default_branch": "main"}},
        {"repository": {"id": 1, "full_name": "octo/shop/../x", "clone_url": "https://x", "default_branch": "main"}},
    ],
    ids=repr,
)
def test_a_known_event_with_a_wrong_field_is_refused(wrong: Payload) -> None:
    with pytest.raises(MalformedDelivery) as caught:
        deliver("push", push(**wrong))
    assert "mona" not in str(caught.value)


def test_the_last_of_two_equal_keys_counts_and_nothing_breaks() -> None:
    body = json.dumps(push()).encode()[:-1] + b', "ref": "refs/heads/second", "ref": "refs/heads/last"}'
    event = deliver("push", body).event
    assert isinstance(event, PushEvent)
    assert event.ref == "last"


# --- understood ---


def test_a_push_to_a_branch() -> None:
    received = deliver("push", push())
    event = received.event
    assert isinstance(event, PushEvent)
    assert (received.delivery_id, received.name) == (ID, "push")
    assert (event.ref, event.before, event.after, event.commits) == ("feature/x", BASE, HEAD, 2)
    assert (event.repository.external_id, event.repository.full_name, event.repository.private) == ("4711", "octo/shop", False)
    assert (event.repository.installation, event.installation.external_id, event.installation.account) == ("77", "77", "octo")
    assert (event.installation.provider, event.installation.instance) == ("github", "github.com")
    assert (event.sender.id, event.sender.login, event.sender.bot) == ("5", "mona", False)


@pytest.mark.parametrize("more", [{"ref": "refs/tags/v1"}, {"ref": "refs/tags/v1", "deleted": True, "after": "0" * 40}])
def test_tags_do_not_concern_us(more: Payload) -> None:
    assert deliver("push", push(**more)).event is None


@pytest.mark.parametrize("more", [{"deleted": True, "after": "0" * 40}, {"after": "0" * 40}, {"deleted": True}])
def test_a_deleted_branch_is_a_push_to_nothing(more: Payload) -> None:
    event = deliver("push", push(**more)).event
    assert isinstance(event, PushEvent)
    assert (event.ref, event.before, event.after) == ("feature/x", BASE, "0" * 40)


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        ("opened", PullRequestAction.OPENED),
        ("synchronize", PullRequestAction.UPDATED),
        ("reopened", PullRequestAction.REOPENED),
        ("closed", PullRequestAction.CLOSED),
        ("ready_for_review", PullRequestAction.READY),
        ("converted_to_draft", PullRequestAction.DRAFTED),
    ],
)
def test_what_happens_to_a_pull_request(action: str, meaning: PullRequestAction) -> None:
    received = deliver("pull_request", pull(action))
    assert isinstance(received.event, PullRequestEvent)
    assert (received.name, received.event.action) == (f"pull_request.{action}", meaning)
    assert (received.event.pull_request.number, received.event.head) == (3, HEAD)


@pytest.mark.parametrize("merged", [True, False])
def test_a_closed_pull_request_says_whether_it_was_merged(merged: bool) -> None:
    body = {"number": 3, "head": {"sha": HEAD}, "merged": merged}
    event = deliver("pull_request", common(action="closed", pull_request=body)).event
    assert isinstance(event, PullRequestEvent)
    assert event.merged is merged


def test_an_edit_concerns_us_only_when_the_base_changed() -> None:
    retargeted = deliver("pull_request", pull("edited", changes={"base": {"ref": {"from": "main"}}})).event
    assert isinstance(retargeted, PullRequestEvent)
    assert retargeted.action is PullRequestAction.RETARGETED
    assert deliver("pull_request", pull("edited", changes={"title": {"from": "x"}})).event is None
    assert deliver("pull_request", pull("edited")).event is None
    assert deliver("pull_request", pull("labeled")).event is None


def test_a_comment_on_a_pull_request() -> None:
    event = deliver("issue_comment", comment()).event
    assert isinstance(event, CommentEvent)
    assert (event.body, event.comment.id, event.comment.pull_request.number) == ("/fix K7Q", "99", 3)
    assert (event.comment.in_thread, event.comment.thread, event.finding_marker) == (False, "", "")
    assert event.written == datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("written", [None, "", "yesterday", "2026-01-15T12:00:00", [], {}])
def test_a_comment_of_which_nobody_knows_when_it_was_written_is_odd(written: object) -> None:
    with pytest.raises(MalformedDelivery, match="created_at"):
        deliver("issue_comment", comment(comment={"id": 99, "body": "/fix", "created_at": written}))


@pytest.mark.parametrize(
    "payload",
    [comment("edited"), comment("deleted"), comment(issue={"number": 3}), comment(issue={"number": 3, "pull_request": None})],
)
def test_edited_comments_and_comments_on_issues_do_not_concern_us(payload: Payload) -> None:
    assert deliver("issue_comment", payload).event is None


def test_an_empty_comment_has_an_empty_body() -> None:
    event = deliver("issue_comment", comment(comment={"id": 99, "body": None, "created_at": WRITTEN})).event
    assert isinstance(event, CommentEvent)
    assert event.body == ""


def test_a_review_comment_carries_the_first_comment_of_its_thread() -> None:
    def received(**more: Any) -> CommentEvent:
        body = {"id": 100, "body": "/fix", "created_at": WRITTEN, **more}
        event = deliver("pull_request_review_comment", common(action="created", pull_request={"number": 3}, comment=body)).event
        assert isinstance(event, CommentEvent)
        return event

    assert received(in_reply_to_id=99).comment.thread == "99"
    assert received().comment.thread == "100"
    assert received().comment.in_thread


@pytest.mark.parametrize(
    ("sender", "through", "bot"),
    [
        ({"id": 5, "login": "mona", "type": "User"}, None, False),
        ({"id": 5, "login": "mona", "type": "User"}, {"id": 42}, False),
        ({"id": 5, "login": "mona", "type": "User"}, {"id": 1234}, True),
        ({"id": 9, "login": "fixwright[bot]", "type": "Bot"}, {"id": 1234}, True),
        ({"id": 9, "login": "renovate[bot]", "type": "Bot"}, None, True),
    ],
)
def test_what_a_machine_wrote_is_marked(sender: Payload, through: Payload | None, bot: bool) -> None:
    payload = comment(sender=sender, comment={"id": 99, "body": "x", "created_at": WRITTEN, "performed_via_github_app": through})
    event = deliver("issue_comment", payload, configuration={"WEBHOOK_SECRET": SECRET, "APP_ID": "1234"}).event
    assert isinstance(event, CommentEvent)
    assert event.sender.bot is bot


@pytest.mark.parametrize(
    ("action", "meaning", "added", "removed"),
    [
        ("created", "created", 1, 0),
        ("deleted", "deleted", 0, 1),
        ("suspend", "suspended", 0, 0),
        ("unsuspend", "unsuspended", 0, 0),
        ("new_permissions_accepted", "changed", 0, 0),
    ],
)
def test_installations(action: str, meaning: str, added: int, removed: int) -> None:
    payload = {
        "action": action,
        "installation": {"id": 77, "account": {"login": "octo"}},
        "sender": {"id": 5, "login": "mona"},
        "repositories": [{"id": 4711, "full_name": "octo/shop", "private": True}],
    }
    event = deliver("installation", payload).event
    assert isinstance(event, InstallationEvent)
    assert (event.action, len(event.added), len(event.removed)) == (meaning, added, removed)
    assert all(repository.clone_url == "https://github.com/octo/shop.git" for repository in (*event.added, *event.removed))


def test_an_enterprise_has_a_slug_instead_of_a_login() -> None:
    payload = {"action": "suspend", "installation": {"id": 77, "account": {"slug": "acme"}}, "sender": {"id": 5, "login": "mona"}}
    event = deliver("installation", payload).event
    assert isinstance(event, InstallationEvent)
    assert event.installation.account == "acme"


def test_repositories_added_to_and_removed_from_an_installation() -> None:
    payload = {
        "action": "added",
        "installation": {"id": 77, "account": {"login": "octo"}},
        "sender": {"id": 5, "login": "mona"},
        "repositories_added": [{"id": 1, "full_name": "octo/a"}, {"id": 2, "full_name": "octo/b"}],
        "repositories_removed": [],
    }
    event = deliver(
        "installation_repositories", payload, configuration={"WEBHOOK_SECRET": SECRET, "API_URL": "https://ghe.example.org/api/v3"}
    ).event
    assert isinstance(event, InstallationEvent)
    assert [repository.full_name for repository in event.added] == ["octo/a", "octo/b"]
    assert event.added[0].clone_url == "https://ghe.example.org/octo/a.git"
    assert event.installation.instance == "ghe.example.org"


@pytest.mark.parametrize("kind", ["check_run", "check_suite"])
def test_a_rerun_of_our_check_and_only_of_ours(kind: str) -> None:
    configuration = {"WEBHOOK_SECRET": SECRET, "APP_ID": "1234"}

    def event(app: int) -> object:
        return deliver(
            kind, common(action="rerequested", **{kind: {"head_sha": HEAD, "app": {"id": app}}}), configuration=configuration
        ).event

    ours = event(1234)
    assert isinstance(ours, RerunEvent)
    assert ours.head == HEAD
    assert event(42) is None


@pytest.mark.parametrize(("action", "destroyed"), [("checks_requested", False), ("destroyed", True)])
def test_a_merge_group_names_its_commits_and_branches(action: str, destroyed: bool) -> None:
    queue = "gh-readonly-queue/main/pr-3-" + BASE
    group = {"head_sha": HEAD, "head_ref": f"refs/heads/{queue}", "base_sha": BASE, "base_ref": "refs/heads/main"}
    event = deliver("merge_group", common(action=action, merge_group=group)).event
    assert isinstance(event, MergeGroupEvent)
    assert (event.head, event.base, event.base_ref, event.head_ref, event.destroyed) == (HEAD, BASE, "main", queue, destroyed)


@pytest.mark.parametrize(("action", "resolved"), [("resolved", True), ("unresolved", False)])
def test_a_conversation_is_known_by_its_first_comment(action: str, resolved: bool) -> None:
    thread = {"node_id": "x", "comments": [{"id": 102}, {"id": 101}]}
    event = deliver("pull_request_review_thread", common(action=action, pull_request={"number": 3}, thread=thread)).event
    assert isinstance(event, ThreadEvent)
    assert (event.thread, event.pull_request.number, event.resolved) == ("101", 3, resolved)
    empty = {"node_id": "x", "comments": []}
    assert deliver("pull_request_review_thread", common(action=action, pull_request={"number": 3}, thread=empty)).event is None


def test_a_button_of_our_check_and_only_of_ours() -> None:
    def event(app: Payload, identifier: str = "fix-all") -> object:
        run = {"head_sha": HEAD, "app": app}
        payload = common(action="requested_action", check_run=run, requested_action={"identifier": identifier})
        return deliver("check_run", payload, configuration={"WEBHOOK_SECRET": SECRET, "APP_ID": "1234"}).event

    ours = event({"id": 1234})
    assert isinstance(ours, ButtonEvent)
    assert (ours.identifier, ours.head, ours.sender.login) == ("fix-all", HEAD, "mona")
    assert event({"id": 42}) is None
    with pytest.raises(MalformedDelivery):
        event({"id": 1234}, "x" * 21)


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        ("renamed", RepositoryAction.RENAMED),
        ("transferred", RepositoryAction.RENAMED),
        ("archived", RepositoryAction.ARCHIVED),
        ("unarchived", RepositoryAction.UNARCHIVED),
        ("deleted", RepositoryAction.DELETED),
        ("privatized", RepositoryAction.PRIVATIZED),
        ("publicized", RepositoryAction.PUBLICIZED),
    ],
)
def test_what_happens_to_a_repository(action: str, meaning: RepositoryAction) -> None:
    event = deliver("repository", common(action=action, changes={"repository": {"name": {"from": "x"}}})).event
    assert isinstance(event, RepositoryEvent)
    assert (event.action, event.repository.full_name, event.installation.account) == (meaning, "octo/shop", "octo")


def test_an_edited_repository_concerns_us_only_when_its_default_branch_is_another_one() -> None:
    event = deliver("repository", common(action="edited", changes={"default_branch": {"from": "master"}})).event
    assert isinstance(event, RepositoryEvent)
    assert (event.action, event.repository.default_branch) == (RepositoryAction.CHANGED, "main")
    assert deliver("repository", common(action="edited", changes={"description": {"from": "x"}})).event is None
    assert deliver("repository", common(action="edited")).event is None


def test_a_renamed_account_is_a_changed_installation() -> None:
    payload = {"action": "renamed", "installation": {"id": 77}, "account": {"id": 1, "login": "octo-new"}, "changes": {"login": {}}}
    event = deliver("installation_target", payload).event
    assert isinstance(event, InstallationEvent)
    assert (event.action, event.installation.account) == ("changed", "octo-new")


def test_whoever_may_have_lost_rights_is_named() -> None:
    eve = {"id": 6, "login": "eve", "type": "User"}
    here = deliver("member", common(action="removed", member=eve)).event
    assert isinstance(here, MemberEvent)
    assert (here.user.id, here.repository and here.repository.full_name) == ("6", "octo/shop")
    of_all = {"installation": {"id": 77}, "organization": {"login": "octo"}}
    for name, more in (("organization", {"membership": {"user": eve}}), ("membership", {"member": eve, "scope": "team"})):
        action = "member_removed" if name == "organization" else "removed"
        everywhere = deliver(name, {"action": action, **of_all, **more}).event
        assert isinstance(everywhere, MemberEvent)
        assert (everywhere.user.login, everywhere.repository, everywhere.installation.account) == ("eve", None, "octo")
    assert deliver("member", common(action="added", member=eve)).event is None


@pytest.mark.parametrize("name", ["ping", "star", "projects_v2_item", "something_new"])
def test_events_that_we_do_not_know_are_acknowledged(name: str) -> None:
    assert deliver(name, {"action": "created", "anything": [1]}) == Received(ID, f"{name}.created", None)


def test_a_repository_webhook_without_an_installation_is_acknowledged_and_ignored() -> None:
    payload = push()
    del payload["installation"]
    assert deliver("push", payload).event is None


def test_keys_that_we_do_not_use_may_be_anything() -> None:
    assert deliver("push", push(head_commit=None, pusher=[], compare={}, organization=7)).event is not None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["push", "pull_request", "issue_comment", "pull_request_review_comment", "installation", "check_run"]),
    change=st.dictionaries(
        st.sampled_from(
            ["action", "installation", "repository", "sender", "ref", "after", "commits", "pull_request", "comment", "issue", "check_run"]
        ),
        _json,
        max_size=4,
    ),
)
def test_whatever_stands_in_a_signed_payload_it_is_understood_ignored_or_refused(name: str, change: Payload) -> None:
    start = {"push": push(), "pull_request": pull("opened"), "issue_comment": comment()}.get(name, common(action="created"))
    try:
        received = deliver(name, start | change)
    except DeliveryRefused:
        return
    assert received.delivery_id == ID


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_bytes_are_signed_the_answer_is_a_typed_one(body: bytes) -> None:
    try:
        deliver("push", body)
    except DeliveryRefused:
        return
