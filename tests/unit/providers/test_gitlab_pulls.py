"""Merge requests as they are now: heads, bases, forks, states; who may do what; who wrote them; what was said since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound, HostUnavailable
from pipeline.markers import marked
from pipeline.model.target import Permission, PullRequestRef, PullRequestState, UserRef
from tests.unit.providers.gitlab_wire import ME, REPOSITORY, Asked, Reply, Said, Wire

REF = PullRequestRef(REPOSITORY, 7)
HEAD, BASE, START, NEWER = "e" * 40, "b" * 40, "5" * 40, "6" * 40
JO = {"id": 5, "username": "jo", "name": "Jo", "state": "active"}

MERGE_REQUEST: Mapping[str, object] = {
    "id": 900,
    "iid": 7,
    "state": "opened",
    "title": "Add a till",
    "description": None,
    "web_url": "https://gitlab.com/acme/shop/-/merge_requests/7",
    "source_branch": "till",
    "target_branch": "main",
    "source_project_id": 42,
    "target_project_id": 42,
    "sha": HEAD,
    "diff_refs": {"base_sha": BASE, "head_sha": HEAD, "start_sha": START},
    "draft": False,
    "author": JO,
    "updated_at": "2027-01-01T10:00:00.000Z",
}


class Shop:
    """A project with one merge request, as GitLab would describe it."""

    def __init__(self, **changed: object) -> None:
        self.merge_request: dict[str, object] = {**MERGE_REQUEST, **changed}
        self.main: str | None = START
        self.merge_base: str | None = BASE
        self.commits: Mapping[str, str] = {"x-total": "3"}
        self.forks: dict[int, str] = {}
        self.listed: list[object] = [self.merge_request]
        self.discussions: list[object] = []
        self.addresses: list[tuple[str, str]] = []
        self.notes: list[object] = []
        self.users: dict[str, list[object]] = {}
        self.wire = Wire(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        below = asked.path.removeprefix("/projects/42")
        match below:
            case "/merge_requests/7":
                return Said(self.merge_request)
            case "/merge_requests":
                assert asked.query["state"] == ["opened"]
                return Said(self.listed)
            case "/repository/branches/main" if self.main:
                return Said({"name": "main", "commit": {"id": self.main}})
            case "/repository/merge_base" if self.merge_base:
                return Said({"id": self.merge_base})
            case "/merge_requests/7/commits":
                return Said([{"author_email": a, "committer_email": c} for a, c in self.addresses], headers=self.commits)
            case "/merge_requests/7/notes":
                return Said(self.notes)
            case "/merge_requests/7/discussions":
                return Said(self.discussions)
            case "":
                return Said({"id": 42, "path_with_namespace": "acme/shop", "default_branch": "main"})
            case "/users":
                return Said(self.users.get(asked.query["search"][0], []))
        for number, path in self.forks.items():
            if asked.path == f"/projects/{number}":
                return Said({"id": number, "path_with_namespace": path})
        return None


# --- one merge request ---


def test_one_is_described_as_it_is_now() -> None:
    shop = Shop()
    found = shop.wire.host().pull_request(REF)
    assert (found.head, found.base, found.merge_base) == (HEAD, START, BASE)
    assert (found.base_ref, found.head_ref, found.head_repository) == ("main", "till", "acme/shop")
    assert found.author == UserRef("5", "jo")
    assert (found.state, found.draft, found.commits) == (PullRequestState.OPEN, False, 3)
    assert not found.from_fork
    assert len(shop.wire.asked) == 3, "the merge base that GitLab names still holds"


def test_a_base_that_moved_has_another_merge_base_than_the_last_push_saw() -> None:
    shop = Shop()
    shop.main, shop.merge_base = NEWER, START
    found = shop.wire.host().pull_request(REF)
    assert (found.base, found.merge_base) == (NEWER, START)
    assert [asked.query["refs[]"] for asked in shop.wire.asked if asked.path.endswith("/merge_base")] == [[NEWER, HEAD]]


def test_after_a_force_push_what_gitlab_has_prepared_for_the_old_head_does_not_count() -> None:
    shop = Shop(diff_refs={"base_sha": NEWER, "head_sha": "0" * 40, "start_sha": START})
    assert shop.wire.host().pull_request(REF).merge_base == BASE


def test_histories_without_a_common_commit_differ_in_everything() -> None:
    shop = Shop(diff_refs=None)
    shop.merge_base = None
    found = shop.wire.host().pull_request(REF)
    assert found.merge_base == found.base == START


def test_a_deleted_target_branch_is_where_it_was_at_the_last_push() -> None:
    shop = Shop()
    shop.main = None
    found = shop.wire.host().pull_request(REF)
    assert (found.base, found.merge_base) == (START, BASE)


def test_a_fork_is_named() -> None:
    shop = Shop(source_project_id=77)
    shop.forks[77] = "jo/shop"
    found = shop.wire.host().pull_request(REF)
    assert found.head_repository == "jo/shop"
    assert found.from_fork


@pytest.mark.parametrize("source", [None, 78])
def test_a_fork_that_was_deleted_or_cannot_be_seen_has_no_name(source: int | None) -> None:
    found = Shop(source_project_id=source).wire.host().pull_request(REF)
    assert found.head_repository == ""
    assert found.from_fork


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("opened", PullRequestState.OPEN),
        ("locked", PullRequestState.OPEN),
        ("closed", PullRequestState.CLOSED),
        ("merged", PullRequestState.MERGED),
        ("odd", PullRequestState.CLOSED),
    ],
)
def test_every_state_is_understood(said: str, state: PullRequestState) -> None:
    assert Shop(state=said).wire.host().pull_request(REF).state is state


@pytest.mark.parametrize("changed", [{"draft": True}, {"draft": False, "work_in_progress": True}])
def test_a_draft_is_one_by_either_name(changed: Mapping[str, object]) -> None:
    assert Shop(**changed).wire.host().pull_request(REF).draft


def test_one_that_gitlab_has_not_prepared_yet_is_asked_for_again_later() -> None:
    with pytest.raises(HostUnavailable):
        Shop(sha=None, diff_refs=None).wire.host().pull_request(REF)


def test_a_closed_one_without_a_commit_is_not_there() -> None:
    with pytest.raises(HostNotFound):
        Shop(sha=None, diff_refs=None, state="closed").wire.host().pull_request(REF)


def test_more_commits_than_gitlab_counts_are_many() -> None:
    shop = Shop()
    shop.commits = {}
    assert shop.wire.host().pull_request(REF).commits == 10_000


def test_an_author_that_is_gone_is_nobody() -> None:
    assert Shop(author=None).wire.host().pull_request(REF).author.login == "ghost"


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha": "HEAD"},
        {"sha": 7},
        {"iid": -1},
        {"state": None},
        {"target_branch": None},
        {"source_branch": "a\x00b"},
        {"author": {"id": "x", "username": "jo"}},
        {"author": {"id": 5, "username": "../x"}},
        {"diff_refs": {"base_sha": "--all"}},
        {"source_project_id": "fork"},
    ],
)
def test_a_description_that_cannot_be_is_garbage(wrong: Mapping[str, object]) -> None:
    with pytest.raises(HostGarbage):
        Shop(**wrong).wire.host().pull_request(REF)


def test_the_open_ones_are_listed_and_those_without_a_head_left_out() -> None:
    shop = Shop()
    shop.listed = [{**MERGE_REQUEST, "iid": 9, "draft": True}, {**MERGE_REQUEST, "iid": 8, "sha": None, "diff_refs": None}, MERGE_REQUEST]
    found = shop.wire.host().open_pull_requests(REPOSITORY)
    assert [(one.ref.number, one.head, one.base_ref, one.draft) for one in found] == [(9, HEAD, "main", True), (7, HEAD, "main", False)]


# --- who may do what ---


def members(
    member: Mapping[str, object] | None, project: Mapping[str, object] | None = None, user: Mapping[str, object] | None = None
) -> Wire:
    def handler(asked: Asked) -> Reply:
        match asked.path:
            case "/projects/42/members/all/5" if member is not None:
                return Said(member)
            case "/projects/42" if project is not None:
                return Said({"id": 42, "path_with_namespace": "acme/shop", **project})
            case "/users/5" if user is not None:
                return Said(user)
        return None

    return Wire(handler)


def member(level: int, **changed: object) -> Mapping[str, object]:
    return {**JO, "access_level": level, "expires_at": None, "membership_state": "active", **changed}


@pytest.mark.parametrize(
    ("level", "permission"),
    [
        (0, Permission.NONE),
        (5, Permission.NONE),
        (10, Permission.READ),
        (15, Permission.READ),
        (20, Permission.READ),
        (30, Permission.WRITE),
        (40, Permission.ADMIN),
        (50, Permission.ADMIN),
        (60, Permission.ADMIN),
    ],
)
def test_every_role_has_its_permission(level: int, permission: Permission) -> None:
    wire = members(member(level), {"visibility": "private"})
    assert wire.host().permission(REPOSITORY, UserRef("5", "somebody else's name now")) is permission


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "blocked"},
        {"state": "banned"},
        {"state": "deactivated"},
        {"expires_at": "2027-01-15"},
        {"expires_at": "2020-01-01"},
        {"membership_state": "awaiting"},
        {"id": 6},
    ],
)
def test_who_is_blocked_expired_or_has_not_come_yet_may_nothing(changed: Mapping[str, object]) -> None:
    wire = members(member(50, **changed), {"visibility": "private"})
    assert wire.host().permission(REPOSITORY, UserRef("5", "jo")) is Permission.NONE


def test_a_membership_counts_until_its_day() -> None:
    wire = members(member(30, expires_at="2027-01-16"))
    assert datetime.fromtimestamp(wire.clock.now, UTC).date().isoformat() == "2027-01-15"
    assert wire.host().permission(REPOSITORY, UserRef("5", "jo")) is Permission.WRITE


@pytest.mark.parametrize(
    ("project", "user", "permission"),
    [
        ({"visibility": "public"}, JO, Permission.READ),
        ({"visibility": "internal"}, JO, Permission.READ),
        ({"visibility": "private"}, JO, Permission.NONE),
        ({"visibility": "public"}, {**JO, "state": "blocked"}, Permission.NONE),
        ({"visibility": "public"}, None, Permission.NONE),
        ({"visibility": "public", "merge_requests_access_level": "private"}, JO, Permission.NONE),
        ({"visibility": "public", "repository_access_level": "disabled"}, JO, Permission.NONE),
        (None, JO, Permission.NONE),
    ],
)
def test_who_is_no_member_reads_what_everybody_reads(
    project: Mapping[str, object] | None, user: Mapping[str, object] | None, permission: Permission
) -> None:
    assert members(None, project, user).host().permission(REPOSITORY, UserRef("5", "jo")) is permission


@pytest.mark.parametrize("number", ["", "0x5", "5/../6", "-5", "\u0665", "9" * 30])
def test_who_has_no_number_is_not_asked_for(number: str) -> None:
    wire = members(member(50))
    assert wire.host().permission(REPOSITORY, UserRef(number, "jo")) is Permission.NONE
    assert wire.asked == []


def test_a_refusal_is_no_missing_permission() -> None:
    """A token that may not read members would otherwise take every command for a stranger's."""
    wire = Wire(lambda asked: Said({"message": "403 Forbidden"}, 403))
    with pytest.raises(HostForbidden):
        wire.host().permission(REPOSITORY, UserRef("5", "jo"))


# --- who wrote it ---


def test_authors_are_known_by_private_address_by_shown_address_and_by_having_pushed() -> None:
    shop = Shop()
    shop.addresses = [
        ("11-ann@users.noreply.gitlab.com", "ben@example.org"),
        ("Ben@example.org", "12-eve@users.noreply.evil.example"),
    ]
    shop.users["ben@example.org"] = [{"id": 13, "username": "ben", "state": "active"}]
    shop.notes = [
        {"system": True, "body": "added 2 commits\n\n<ul><li>...</li></ul>", "author": {"id": 14, "username": "dan"}},
        {"system": False, "body": "added 2 commits", "author": {"id": 15, "username": "liar"}},
        {"system": True, "body": "approved this merge request", "author": {"id": 16, "username": "boss"}},
        {"system": True, "body": "added 1 commit", "author": None},
    ]
    found = shop.wire.host().authors(REF)
    assert {user.id: user.login for user in found} == {"11": "ann", "13": "ben", "14": "dan"}


def test_only_so_many_addresses_are_looked_up() -> None:
    shop = Shop()
    shop.addresses = [(f"a{number}@example.org", "no address") for number in range(100)]
    assert shop.wire.host().authors(REF) == ()
    assert shop.wire.paths().count("/users") == 20


def test_a_bot_is_told_by_its_name() -> None:
    for name, bot in (("project_42_bot_0a1b", True), ("group_7_bot1", True), ("service_account_x", True), ("project_manager", False)):
        shop = Shop(author={"id": 5, "username": name})
        assert shop.wire.host().pull_request(REF).author.bot is bot


# --- what was said since ---


def said(number: int, *, at: str = "2027-01-01T10:00:00.000Z", **changed: object) -> Mapping[str, object]:
    return {"id": number, "type": None, "body": "hello", "author": JO, "system": False, "created_at": at, "updated_at": at, **changed}


def discussion(letter: str, *notes: Mapping[str, object]) -> Mapping[str, object]:
    return {"id": letter * 40, "notes": list(notes)}


SINCE = datetime(2027, 1, 1, 9, 0, tzinfo=UTC)


def test_a_look_shows_the_project_its_tip_and_what_was_said_since_oldest_first() -> None:
    shop = Shop()
    shop.discussions = [
        discussion("a", said(3, at="2027-01-01T12:00:00+01:00", type="DiffNote"), said(1, at="2027-01-01T08:00:00Z")),
        discussion("b", said(2, at="2027-01-01T10:30:00Z"), said(9, system=True)),
        discussion("c", said(4, author=None, at="2027-01-01T11:30:00Z", type="DiscussionNote", body=None)),
    ]
    seen = shop.wire.host().snapshot(REPOSITORY, SINCE)
    assert (seen.repository.full_name, seen.tip) == ("acme/shop", START)
    assert [one.ref.number for one in seen.pulls] == [7]
    assert [(one.comment.id, one.comment.in_thread, one.comment.thread[:1]) for one in seen.comments] == [
        ("2", False, "b"),
        ("3", True, "a"),
        ("4", True, "c"),
    ]
    assert [one.sender.login for one in seen.comments] == ["jo", "jo", "ghost"]
    assert seen.comments[2].sender.bot


def test_what_has_not_changed_is_not_looked_into() -> None:
    shop = Shop()
    shop.listed = [{**MERGE_REQUEST, "updated_at": "2027-01-01T08:59:59Z"}]
    shop.discussions = [discussion("a", said(3))]
    assert shop.wire.host().snapshot(REPOSITORY, SINCE).comments == ()


@pytest.mark.parametrize(
    ("bot", "body", "ours"),
    [
        (True, "Nothing special.", True),
        (False, "/fixwright scan", False),
        (False, marked("comment", "summary", "Table"), True),
    ],
)
def test_what_we_wrote_ourselves_is_told_from_what_the_tokens_owner_wrote(bot: bool, body: str, ours: bool) -> None:
    shop = Shop()
    me = {**ME, "username": "project_42_bot_0a1b2c" if bot else "jo", "bot": bot}
    author = {"id": 9, "username": me["username"]}
    shop.discussions = [discussion("a", said(3, body=body, author=author))]
    inner = shop.wire.handler
    shop.wire.handler = lambda asked: Said(me) if asked.path == "/user" else inner(asked)
    assert [one.sender.bot for one in shop.wire.host().snapshot(REPOSITORY, SINCE).comments] == [ours]


def test_the_mark_of_somebody_else_is_no_mark() -> None:
    shop = Shop()
    shop.discussions = [discussion("a", said(3, body=marked("comment", "summary", "Table")))]
    assert [one.sender.bot for one in shop.wire.host().snapshot(REPOSITORY, SINCE).comments] == [False]


def test_an_empty_project_has_no_tip() -> None:
    shop = Shop()
    shop.main, shop.listed = None, []
    assert shop.wire.host().snapshot(REPOSITORY, SINCE).tip is None
