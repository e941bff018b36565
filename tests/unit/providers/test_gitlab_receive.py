"""Deliveries of GitLab: what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.markers import marked
from pipeline.model.event import (
    CommentEvent,
    DeploymentEvent,
    Event,
    InstallationEvent,
    MemberEvent,
    MergeGroupEvent,
    PipelineEvent,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
    Received,
    RepositoryAction,
    RepositoryEvent,
)
from pipeline.model.target import SourceRepository, UserRef
from providers.gitlab.code_events import NO_COMMIT
from providers.gitlab.receive import READERS, receive
from tests.unit.providers import gitlab_payloads as made
from tests.unit.providers.gitlab_payloads import ADA, CONFIGURATION, DISCUSSION, FORK, NEW, NOW, OLD, PROJECT, delivery
from tests.unit.providers.weird import WEIRD

SHOP = SourceRepository(
    provider="gitlab",
    instance="git.example.org/gitlab",
    external_id="22",
    full_name="acme/web/shop",
    default_branch="main",
    clone_url="https://git.example.org/gitlab/acme/web/shop.git",
    private=True,
    installation="acme",
)
PERSON = UserRef("64", "ada")


def received(payload: object, headers: Mapping[str, str] | None = None) -> Received:
    return receive(delivery(payload, headers), CONFIGURATION, clock=lambda: NOW)


def event_of(payload: object) -> Event | None:
    result = received(payload)
    assert result.odd == ""
    return result.event


# --- pushes ---


def test_a_push_is_understood() -> None:
    event = event_of(made.push())
    assert isinstance(event, PushEvent)
    assert event.repository == SHOP
    assert (event.installation.account, event.installation.external_id) == ("acme", "acme")
    assert (event.installation.provider, event.installation.instance) == ("gitlab", "git.example.org/gitlab")
    assert (event.sender, event.ref, event.before, event.after, event.commits) == (PERSON, "main", OLD, NEW, 2)


def test_the_name_of_an_instance_is_its_name() -> None:
    event = receive(replace(delivery(made.push()), instance="lab"), CONFIGURATION, clock=lambda: NOW).event
    assert isinstance(event, PushEvent)
    assert (event.installation.instance, event.repository.instance) == ("lab", "lab")


def test_a_push_of_a_system_hook_tells_less_and_is_understood() -> None:
    payload = made.push(object_kind=None, user_username=None, project={key: value for key, value in PROJECT.items() if key != "id"})
    event = event_of(payload)
    assert isinstance(event, PushEvent)
    assert (event.repository, event.sender.id) == (SHOP, "64")


@pytest.mark.parametrize("ref", ["refs/tags/v1", "refs/merge-requests/7/train", "refs/environments/production", "main", ""])
def test_what_is_no_branch_concerns_nobody(ref: str) -> None:
    assert event_of(made.push(ref=ref)) is None


def test_a_tag_concerns_nobody() -> None:
    assert event_of(made.push(object_kind="tag_push", event_name="tag_push", ref="refs/tags/v1")) is None


def test_only_what_everybody_may_read_is_public() -> None:
    for level, private in ((0, True), (10, True), (20, False), (None, True)):
        event = event_of(made.push(project={**PROJECT, "visibility_level": level}))
        assert isinstance(event, PushEvent)
        assert event.repository.private is private


# --- merge requests ---


def pull_request(payload: object) -> PullRequestEvent | None:
    event = event_of(payload)
    assert event is None or isinstance(event, PullRequestEvent)
    return event


@pytest.mark.parametrize(
    ("payload", "action", "merged"),
    [
        (made.merge_request("open"), PullRequestAction.OPENED, False),
        (made.merge_request("reopen"), PullRequestAction.REOPENED, False),
        (made.merge_request("close", state="closed"), PullRequestAction.CLOSED, False),
        (made.merge_request("merge", state="merged"), PullRequestAction.CLOSED, True),
        (made.merge_request("update", oldrev=OLD), PullRequestAction.UPDATED, False),
        (made.merge_request("update", {"target_branch": {"previous": "main", "current": "next"}}), PullRequestAction.RETARGETED, False),
        (made.merge_request("update", {"draft": {"previous": True, "current": False}}), PullRequestAction.READY, False),
        (made.merge_request("update", {"draft": {"previous": False, "current": True}}), PullRequestAction.DRAFTED, False),
        (made.merge_request("update", {"work_in_progress": {"previous": True, "current": False}}), PullRequestAction.READY, False),
        (made.merge_request("update", {"title": {"previous": "Draft: x", "current": "x"}}), PullRequestAction.READY, False),
        (made.merge_request("update", {"title": {"previous": "x", "current": "[WIP] x"}}), PullRequestAction.DRAFTED, False),
    ],
)
def test_what_happens_to_a_merge_request_is_understood(payload: object, action: PullRequestAction, merged: bool) -> None:
    event = pull_request(payload)
    assert event is not None
    assert (event.action, event.merged, event.head, event.sender) == (action, merged, NEW, PERSON)
    assert (event.pull_request.repository, event.pull_request.number) == (SHOP, 7)


def test_new_commits_count_more_than_what_else_changed() -> None:
    event = pull_request(made.merge_request("update", {"draft": {"previous": True, "current": False}}, oldrev=OLD))
    assert event is not None and event.action is PullRequestAction.UPDATED


@pytest.mark.parametrize(
    "payload",
    [
        made.merge_request("update", {"labels": {"previous": [], "current": [{"id": 1}]}}),
        made.merge_request("update", {"title": {"previous": "x", "current": "y"}}),
        made.merge_request("update", {"title": {"previous": "Draft: x", "current": "Draft: y"}}),
        made.merge_request("update", {"title": {"previous": None, "current": "Draft: y"}}),
        made.merge_request("update", {"draft": {"previous": True, "current": "yes"}}),
        made.merge_request("update"),
        made.merge_request("approved"),
        made.merge_request("unapproved"),
        made.merge_request("approval"),
        made.merge_request("unapproval"),
        made.merge_request(None),
        made.merge_request("something_new"),
        made.merge_request("open", last_commit=None),
    ],
)
def test_what_changes_no_verdict_is_acknowledged(payload: object) -> None:
    assert event_of(payload) is None


def test_a_merge_request_ends_also_when_its_branch_is_gone() -> None:
    event = pull_request(made.merge_request("close", last_commit=None))
    assert event is not None and event.head == NO_COMMIT


def test_a_merge_request_from_a_fork_lives_in_the_target() -> None:
    event = pull_request(made.merge_request("open", source=FORK, source_project_id=99))
    assert event is not None
    assert event.pull_request.repository == SHOP


def test_a_token_of_gitlab_is_a_machine_and_a_person_of_a_like_name_is_none() -> None:
    for name, machine in {
        "project_22_bot_0f3a": True,
        "group_1_bot": True,
        "project_22_bot2": True,
        "service_account_group_1_9ab": True,
        "ada": False,
        "project_bot": False,
        "project_x_bot": False,
        "robot": False,
        "the_project_22_bot": False,
    }.items():
        event = event_of({**made.note(), "user": {**ADA, "username": name}})
        assert isinstance(event, CommentEvent)
        assert event.sender.bot is machine, name


def test_a_status_check_is_a_question_about_an_open_merge_request() -> None:
    result = receive(delivery(made.status_check(), proof=made.with_shared_secret), CONFIGURATION, clock=lambda: NOW)
    assert isinstance(result.event, PullRequestEvent)
    assert (result.name, result.event.action) == ("status_check", PullRequestAction.ASKED)
    assert (result.event.pull_request.repository, result.event.pull_request.number, result.event.head) == (SHOP, 7, NEW)
    assert event_of(made.status_check(state="merged")) is None


# --- notes ---


def comment(payload: object) -> CommentEvent | None:
    event = event_of(payload)
    assert event is None or isinstance(event, CommentEvent)
    return event


def test_an_internal_note_is_known_as_one() -> None:
    told = [made.note(), made.note(internal=True), made.note() | {"event_type": "confidential_note"}]
    assert [event is not None and event.comment.internal for event in map(comment, told)] == [False, True, True]


@pytest.mark.parametrize(("kind", "in_thread"), [("DiffNote", True), ("DiscussionNote", True), (None, False), ("SomethingNew", False)])
def test_a_note_is_answered_where_it_stands(kind: str | None, in_thread: bool) -> None:
    event = comment(made.note("/fix K7Q", type=kind))
    assert event is not None
    assert (event.body, event.sender, event.comment.id) == ("/fix K7Q", PERSON, "1244")
    assert (event.comment.pull_request.repository, event.comment.pull_request.number) == (SHOP, 7)
    assert (event.comment.in_thread, event.comment.thread) == (in_thread, DISCUSSION)


def test_a_note_of_an_older_gitlab_has_no_action_and_perhaps_no_discussion() -> None:
    event = comment(made.note(action=None, discussion_id=None, type="DiffNote"))
    assert event is not None
    assert (event.comment.in_thread, event.comment.thread) == (False, "")


@pytest.mark.parametrize(
    "payload",
    [
        made.note(action="update"),
        made.note(system=True),
        made.note(noteable_type="Commit"),
        made.note(noteable_type="Issue"),
        made.note(noteable_type="Snippet"),
        {**made.note(), "merge_request": None},
    ],
)
def test_other_notes_are_no_commands(payload: object) -> None:
    assert event_of(payload) is None


def test_a_mark_like_ours_does_not_silence_a_person() -> None:
    event = comment(made.note(marked("comment", "summary", "/scan")))
    assert event is not None
    assert not event.sender.bot


# --- pipelines and merge trains ---


@pytest.mark.parametrize("ref", ["feature", "refs/merge-requests/7/train"])
def test_what_runs_for_a_merge_request_may_be_of_its_train(ref: str) -> None:
    event = event_of(made.pipeline(ref))
    assert isinstance(event, PipelineEvent) and event.queue is not None
    queue = event.queue
    assert (queue.repository, queue.head, queue.base, queue.base_ref) == (SHOP, NEW, None, "main")
    assert (queue.head_ref, queue.destroyed) == ("refs/merge-requests/7/train", False)


def test_a_train_that_is_cancelled_is_gone() -> None:
    event = event_of(made.pipeline(status="canceled"))
    assert isinstance(event, MergeGroupEvent) and event.destroyed


@pytest.mark.parametrize(
    "payload",
    [
        made.pipeline("refs/merge-requests/7/head"),
        made.pipeline("refs/merge-requests/7/merge"),
        made.pipeline("refs/merge-requests/8/train"),
        made.pipeline(status="success"),
        made.pipeline(status="pending"),
        made.pipeline(source="push"),
        made.pipeline(source=None),
        {**made.pipeline(), "merge_request": None},
        {**made.pipeline(), "project": FORK},
    ],
)
def test_other_pipelines_are_of_no_train(payload: object) -> None:
    event = event_of(payload)
    assert isinstance(event, PipelineEvent)
    assert event.queue is None


def test_a_pipeline_tells_where_it_runs_and_for_which_merge_request() -> None:
    event = event_of(made.pipeline("refs/merge-requests/7/merge", "pending"))
    assert isinstance(event, PipelineEvent)
    assert (event.repository, event.id, event.commit, event.ended) == (SHOP, "31", NEW, False)
    assert (event.target, event.number) == (SHOP.external_id, 7)


def test_of_a_fork_it_tells_the_number_of_the_project_that_it_is_for() -> None:
    event = event_of({**made.pipeline(), "project": FORK})
    assert isinstance(event, PipelineEvent)
    assert (event.repository.full_name, event.target, event.number) == (FORK["path_with_namespace"], SHOP.external_id, 7)
    assert event.repository.external_id != event.target


def test_a_branchs_pipeline_is_known_by_its_commit_alone() -> None:
    event = event_of({**made.pipeline(source="web"), "merge_request": None})
    assert isinstance(event, PipelineEvent)
    assert (event.commit, event.target, event.number) == (NEW, "", 0)


@pytest.mark.parametrize(("status", "ended"), [("created", False), ("manual", False), ("success", True), ("skipped", True)])
def test_every_pipeline_that_may_let_merge_is_told(status: str, ended: bool) -> None:
    event = event_of(made.pipeline(status=status))
    assert isinstance(event, PipelineEvent)
    assert event.ended is ended


@pytest.mark.parametrize(
    "payload",
    [
        made.pipeline(status="failed"),
        made.pipeline(status="a new word"),
        made.pipeline(source="external"),
        made.pipeline(source="parent_pipeline"),
        {**made.pipeline(status="canceled"), "merge_request": None},
    ],
)
def test_a_pipeline_that_lets_nobody_merge_concerns_nobody(payload: object) -> None:
    assert event_of(payload) is None


# --- deployments ---


@pytest.mark.parametrize(
    ("status", "state"), [("running", "running"), ("success", "success"), ("failed", "failed"), ("canceled", "cancelled")]
)
def test_a_deployment_is_understood(status: str, state: str) -> None:
    event = event_of(made.deployment(status))
    assert isinstance(event, DeploymentEvent)
    assert (event.repository, event.commit, event.environment, event.state) == (SHOP, NEW, "staging", state)
    assert event.url == "https://staging.example.org"


@pytest.mark.parametrize(
    "payload", [made.deployment("created"), made.deployment(commit_url=""), made.deployment(commit_url="https://x/main")]
)
def test_a_deployment_of_nothing_concerns_nobody(payload: object) -> None:
    assert event_of(payload) is None


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x", "https://[", None])
def test_an_environment_without_an_address_of_the_web_has_none(url: str | None) -> None:
    event = event_of(made.deployment(environment_external_url=url))
    assert isinstance(event, DeploymentEvent) and event.url == ""


# --- projects, groups, people ---


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("project_destroy", RepositoryAction.DELETED),
        ("project_rename", RepositoryAction.RENAMED),
        ("project_transfer", RepositoryAction.RENAMED),
        ("project_update", RepositoryAction.CHANGED),
    ],
)
@pytest.mark.parametrize(("visibility", "private"), [("private", True), ("internal", True), ("public", False), ("", True)])
def test_what_happens_to_a_project_is_understood(name: str, action: RepositoryAction, visibility: str, private: bool) -> None:
    event = event_of(made.project(name, project_visibility=visibility, old_path_with_namespace="older/shop"))
    assert isinstance(event, RepositoryEvent)
    assert (event.action, event.repository) == (action, replace(SHOP, default_branch="", private=private))
    assert event.installation.account == "acme"


def test_a_new_project_is_looked_at() -> None:
    event = event_of(made.project("project_create"))
    assert isinstance(event, InstallationEvent)
    assert (event.action, event.added, event.removed) == ("changed", (replace(SHOP, default_branch=""),), ())


@pytest.mark.parametrize(
    ("payload", "account"),
    [
        (made.group("group_rename"), "acme"),
        (made.group("group_rename", path="umbrella", full_path="umbrella", old_path="acme", old_full_path="acme"), "umbrella"),
        (made.group("group_destroy", path="acme", full_path=None), "acme"),
        (made.group("subgroup_destroy"), "acme"),
    ],
)
def test_after_a_change_of_a_group_the_host_is_asked(payload: object, account: str) -> None:
    event = event_of(payload)
    assert isinstance(event, InstallationEvent)
    assert (event.action, event.installation.account, event.removed) == ("changed", account, ())


def test_lost_rights_are_told() -> None:
    for name in ("user_remove_from_team", "user_update_for_team"):
        event = event_of(made.project_member(name))
        assert isinstance(event, MemberEvent)
        assert (event.user, event.repository) == (PERSON, replace(SHOP, default_branch=""))


def test_what_is_told_of_a_subgroups_members_is_not_taken_for_the_namespace_that_is_called_alike() -> None:
    for name in ("user_remove_from_group", "user_update_for_group"):
        result = received(made.group_member(name))
        assert (result.event, result.name, result.odd) == (None, name, "")


@pytest.mark.parametrize(
    "name",
    [
        *("project_archive_now", "group_create", "subgroup_create", "user_add_to_team", "user_add_to_group", "user_create", "user_rename"),
        *("key_create", "repository_update", "user_failed_login", "access_token", "job", "build", "release", "emoji", "issue", "wiki_page"),
    ],
)
def test_everything_else_is_acknowledged(name: str) -> None:
    result = received({"event_name": name, "project": 7})
    assert (result.event, result.name, result.odd) == (None, name, "")


@pytest.mark.parametrize("kind", [None, 7, "", "Push", "push hook", "x" * 65, ["push"]])
def test_what_has_no_name_is_acknowledged_without_one(kind: object) -> None:
    result = received({"object_kind": kind, "object_attributes": {"action": "open"}})
    assert (result.event, result.name) == (None, "unknown")


def test_there_is_a_payload_for_every_event_that_concerns_us() -> None:
    assert made.known().keys() == READERS.keys()
    for name, payload in made.known().items():
        result = received(payload)
        assert (result.name, result.odd) == (name, "")
        assert result.event is not None


# --- what is not as documented ---


def test_a_project_of_another_server_is_not_ours_and_the_operator_is_told() -> None:
    result = received(made.push(project={**PROJECT, "web_url": "https://gitlab.com/acme/web/shop"}))
    assert result.event is None
    assert result.odd == "push: the project is not on git.example.org/gitlab"
    assert "FIXWRIGHT_GITLAB_URL" in result.hint


def test_git_fetches_from_the_configured_server_whatever_a_payload_says() -> None:
    event = event_of(made.push(project={**PROJECT, "git_http_url": "https://attacker.example/acme/web/shop.git"}))
    assert isinstance(event, PushEvent)
    assert event.repository.clone_url == SHOP.clone_url


@pytest.mark.parametrize(
    "path", ["shop", "acme/../shop", "acme/./shop", "acme//shop", "/acme/shop", "acme/shop/", "acme/sh op", "acme/" + "x" * 256]
)
def test_what_is_no_path_of_a_project_is_not_made_an_address(path: str) -> None:
    result = received(made.push(project={**PROJECT, "path_with_namespace": path}))
    assert (result.event, "project.path_with_namespace" in result.odd) == (None, True)


def test_whatever_a_field_holds_the_delivery_is_acknowledged() -> None:
    for name, payload in made.known().items():
        for key in payload:
            inner = payload[key] if isinstance(payload[key], dict) else {}
            for value in (*WEIRD, "0" * 39, [[]]):
                for bent in ({**payload, key: value}, *({**payload, key: {**inner, below: value}} for below in inner)):
                    result = received(bent)
                    assert result.delivery_id == "key-1" or name in ("status_check", "project_create")
                    assert len(result.odd) < 500
