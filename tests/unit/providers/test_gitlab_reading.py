"""Everything that reads, against a GitLab that stands over real git and refuses what GitLab refuses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta

import pytest

from pipeline.errors import HostError, HostForbidden, HostGarbage, HostNotFound, HostUnauthorized, HostUnavailable, RateLimited
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import Installation, Permission, PullRequest, PullRequestRef, PullRequestState, SourceRepository, UserRef
from pipeline.ports import CodeHost
from providers.gitlab.client import close_lines
from providers.gitlab.provider import GitLabProvider
from tests.unit.providers.github_wire import Memory
from tests.worlds.faults import Abort, Action, Status, Truncate, garbage
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import MergeRequest, Namespace, Project


@dataclass
class Stand:
    """A world with a project, and a token of its top-level group."""

    world: GitlabWorld
    group: Namespace
    project: Project
    token: str

    def host(self, token: str = "", *, account: str = "acme", memory: Memory | None = None, patient: bool = False) -> CodeHost:
        """Signed in, with nothing remembered."""
        configuration = {"URL": self.world.url, "TOKEN": token or self.token}
        installation = Installation(InstallationId("i"), "gitlab", "", account, account)
        clock = self.world.gitlab.state.seconds
        return GitLabProvider(clock=clock).connect(installation, configuration, memory or Memory(clock), patient=patient)

    def repository(self, project: Project | None = None) -> SourceRepository:
        """As the host finds it."""
        return self.host().find((project or self.project).full_path)

    def ref(self, request: MergeRequest) -> PullRequestRef:
        """As the domain names it."""
        return PullRequestRef(self.repository(request.project), request.iid)

    def pull(self, request: MergeRequest, token: str = "") -> PullRequest:
        """As the host describes it."""
        return self.host(token).pull_request(self.ref(request))

    def change(self, name: str, project: Project | None = None) -> MergeRequest:
        """A merge request with one commit."""
        home = project or self.project
        self.world.commit(home, name, {f"{name}.py": "x = 1\n"}, f"Add {name}", author="ada")
        return self.world.open_merge_request("ada", home, name, "main", f"Add {name}")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Below a path, which is the harder of the two; the conformance suite has one at the root."""
    with GitlabWorld.start(tmp_path_factory.mktemp("world"), relative="/git") as world:
        group = world.create_group("acme", owner="ada")
        project = world.create_project("acme", "shop", files={"app.py": "x = 0\n"})
        yield Stand(world, group, project, world.token_of(group, "developer"))
        assert list(world.violations) == []
        close_lines()


# --- projects ---


def test_a_project_is_found_and_described(stand: Stand) -> None:
    found = stand.repository()
    assert found.full_name == "acme/shop"
    assert found.default_branch == "main"
    assert found.private
    assert found.installation == "acme"
    assert found.clone_url == f"{stand.world.url}/acme/shop.git"
    assert f"http://{found.instance}" == stand.world.url
    assert stand.host().describe(found) == found
    assert stand.host().tip(found, "main") == stand.project.git.branch("main")


def test_git_fetches_with_the_credentials(stand: Stand) -> None:
    repository = stand.repository()
    header = stand.host().credentials(repository).header
    asked = ["git", "-c", f"http.extraHeader={header}", "ls-remote", repository.clone_url, "refs/heads/main"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0"})
    assert found.stdout.split()[0] == stand.project.git.branch("main")


def test_a_renamed_and_moved_project_is_followed_by_its_number_and_by_its_old_path(stand: Stand) -> None:
    project = stand.world.create_project("acme", "old", files={"a": "b\n"})
    before = stand.repository(project)
    stand.world.rename_project(project, "new")
    assert stand.host().describe(before).full_name == "acme/new"
    assert stand.host().find("acme/old").external_id == before.external_id
    stand.world.move_project(project, "acme/deep/below")
    assert stand.host().describe(before).full_name == "acme/deep/below/new"
    assert stand.host().tip(before, "main") == project.git.branch("main")


def test_a_deleted_project_and_one_that_is_not_ours_are_not_found(stand: Stand) -> None:
    project = stand.world.create_project("acme", "gone", files={"a": "b\n"})
    before = stand.repository(project)
    stand.world.delete_project(project)
    foreign = stand.world.create_project("elsewhere", "secret", files={"a": "b\n"})
    for ask in (
        lambda: stand.host().describe(before),
        lambda: stand.host().tip(before, "main"),
        lambda: stand.host().open_pull_requests(before),
        lambda: stand.host().find(foreign.full_path),
        lambda: stand.host().find("acme/never"),
        lambda: stand.host().tip(stand.repository(), "never"),
    ):
        with pytest.raises(HostNotFound):
            ask()


def test_the_projects_of_the_namespace_are_listed_with_those_of_its_groups(stand: Stand) -> None:
    stand.world.create_project("acme/web/inner", "site", files={"a": "b\n"})
    stand.world.create_project("other", "lib", files={"a": "b\n"})
    archived = stand.world.create_project("acme", "attic", files={"a": "b\n"})
    stand.world.archive_project(archived)
    names = [found.full_name for found in stand.host().repositories()]
    assert {"acme/shop", "acme/web/inner/site"} <= set(names)
    assert not {"other/lib", "acme/attic"} & set(names)
    assert stand.host(stand.world.token_for("ada")).describe(stand.repository()).full_name == "acme/shop"
    assert stand.host(account="other").repositories() == []


def test_the_policy_of_the_nearest_group_is_read(stand: Stand) -> None:
    stand.world.create_project("acme/team", "fixwright", files={"fixwright.yml": "near: 1\n"})
    inner = stand.world.create_project("acme/team/sub", "tool", files={"a": "b\n"})
    assert stand.host().policy_parent(stand.repository()) is None
    top = stand.world.create_project("acme", "fixwright", files={"fixwright.yml": "top: 1\n"})
    found = stand.host().policy_parent(stand.repository())
    assert found is not None
    assert found.content == b"top: 1\n"
    near = stand.host().policy_parent(stand.repository(inner))
    assert near is not None
    assert (near.content, near.where) == (b"near: 1\n", "acme/team/fixwright: fixwright.yml")
    stand.world.delete_project(top)


# --- merge requests ---


def test_one_is_read_with_its_merge_base(stand: Stand) -> None:
    request = stand.change("till")
    found = stand.pull(request)
    assert found.head == stand.project.git.branch("till")
    assert found.base == stand.project.git.branch("main")
    assert found.merge_base == stand.project.git.merge_base(found.base, found.head)
    assert (found.head_repository, found.from_fork) == ("acme/shop", False)
    assert found.author.login == "ada"
    assert (found.commits, found.state, found.draft) == (1, PullRequestState.OPEN, False)


def test_its_merge_base_is_right_after_the_base_moved_and_after_a_force_push(stand: Stand) -> None:
    request = stand.change("counter")
    start = stand.project.git.branch("main")
    stand.world.commit(stand.project, "main", {"moved.py": "y = 1\n"}, "Move on")
    assert stand.pull(request).merge_base == start
    assert stand.pull(request).base == stand.project.git.branch("main") != start
    head = stand.world.force_push(stand.project, "counter", {"counter.py": "x = 2\n"}, "Start over")
    found = stand.pull(request)
    assert (found.head, found.merge_base) == (head, stand.project.git.branch("main"))
    stand.world.commit(stand.project, "counter", {"counter.py": "x = 3\n"}, "More")
    assert stand.pull(request).commits == 2


def test_a_retargeted_one_has_the_other_base(stand: Stand) -> None:
    stand.world.commit(stand.project, "stable", {"s.py": "s = 1\n"}, "Stable")
    request = stand.change("aim")
    stand.world.retarget("ada", request, "stable")
    found = stand.pull(request)
    assert (found.base_ref, found.base) == ("stable", stand.project.git.branch("stable"))


def test_its_state_is_told(stand: Stand) -> None:
    request = stand.change("states")
    stand.world.set_draft("ada", request, True)
    assert stand.pull(request).draft
    stand.world.set_draft("ada", request, False)
    stand.world.close("ada", request)
    assert stand.pull(request).state is PullRequestState.CLOSED
    stand.world.reopen("ada", request)
    stand.world.merge("ada", request)
    found = stand.pull(request)
    assert found.state is PullRequestState.MERGED
    assert found.head == request.head


def test_a_fork_is_named_until_it_is_hidden_or_deleted(stand: Stand) -> None:
    shop = stand.world.create_project("acme", "open", files={"a.py": "a = 1\n"}, visibility="public")
    fork = stand.world.fork(shop, "eve")
    stand.world.commit(fork, "offer", {"a.py": "a = 2\n"}, "Offer", author="eve")
    request = stand.world.open_merge_request("eve", shop, "offer", "main", "Offer", fork=fork)
    found = stand.pull(request)
    assert (found.head_repository, found.from_fork) == ("eve/open", True)
    assert found.head == fork.git.branch("offer")
    assert found.merge_base == shop.git.branch("main")
    stand.world.set_visibility(fork, "private")
    assert stand.pull(request).head_repository == ""
    stand.world.delete_project(fork)
    found = stand.pull(request)
    assert (found.head_repository, found.from_fork, found.state) == ("", True, PullRequestState.OPEN)


def test_the_open_ones_are_listed(stand: Stand) -> None:
    project = stand.world.create_project("acme", "queue", files={"a": "b\n"})
    one, two, three = (stand.change(name, project) for name in ("one", "two", "three"))
    stand.world.close("ada", two)
    stand.world.set_draft("ada", three, True)
    found = stand.host().open_pull_requests(stand.repository(project))
    assert [(shown.ref.number, shown.head, shown.draft) for shown in found] == [(3, three.head, True), (1, one.head, False)]


def test_who_pushed_is_among_the_authors(stand: Stand) -> None:
    request = stand.change("shared")
    stand.world.set_access("ben", stand.project, "developer")
    stand.world.commit(stand.project, "shared", {"shared.py": "x = 5\n"}, "Mine", author="ben")
    assert "ben" in [user.login for user in stand.host().authors(stand.ref(request))]


# --- people ---


@pytest.mark.parametrize("above", [False, True], ids=["project", "group"])
def test_a_permission_is_that_of_the_role_also_of_one_in_a_group_above(stand: Stand, above: bool) -> None:
    repository, joe = stand.repository(), UserRef(str(stand.world.user("joe").id), "joe")
    for level, permission in (
        ("guest", Permission.READ),
        ("reporter", Permission.READ),
        ("developer", Permission.WRITE),
        ("maintainer", Permission.ADMIN),
        ("owner", Permission.ADMIN),
        ("none", Permission.NONE),
    ):
        stand.world.set_access("joe", stand.group if above else stand.project, level)
        assert stand.host().permission(repository, joe) is permission, level


def test_strangers_read_what_is_public_and_blocked_people_nothing(stand: Stand) -> None:
    public = stand.repository(stand.world.create_project("acme", "press", files={"a": "b\n"}, visibility="public"))
    stranger = UserRef(str(stand.world.user("stranger").id), "stranger")
    assert stand.host().permission(public, stranger) is Permission.READ
    assert stand.host().permission(stand.repository(), stranger) is Permission.NONE
    assert stand.host().permission(public, UserRef("999999", "nobody")) is Permission.NONE
    stand.world.set_access("villain", stand.project, "maintainer")
    villain = UserRef(str(stand.world.user("villain").id), "villain")
    assert stand.host().permission(stand.repository(), villain) is Permission.ADMIN
    stand.world.block("villain")
    assert stand.host().permission(stand.repository(), villain) is Permission.NONE
    assert stand.host().permission(public, villain) is Permission.NONE


# --- what is said ---


def test_a_look_shows_what_was_said_since_and_where(stand: Stand) -> None:
    project = stand.world.create_project("acme", "talk", files={"a": "b\n"})
    request, quiet = stand.change("topic", project), stand.change("quiet", project)
    before = stand.world.gitlab.state.now() - timedelta(seconds=1)
    note = stand.world.comment("ada", request, "/fixwright scan")
    line = stand.world.comment_on_line("ada", request, "topic.py", 1, "Why?")
    reply = stand.world.reply_in_discussion("ben", line, "Because")
    seen = stand.host().snapshot(stand.repository(project), before)
    assert seen.tip == project.git.branch("main")
    assert {pull.ref.number for pull in seen.pulls} == {request.iid, quiet.iid}
    comments = {posted.comment.id: posted for posted in seen.comments}
    assert set(comments) == {str(note.id), str(line.id), str(reply.id)}
    assert comments[str(line.id)].comment.thread == comments[str(reply.id)].comment.thread == line.discussion.id
    assert comments[str(line.id)].comment.in_thread
    assert not comments[str(note.id)].comment.in_thread
    assert comments[str(note.id)].body == "/fixwright scan"
    stand.world.advance(3_600)
    later = stand.world.gitlab.state.now()
    assert stand.host().snapshot(stand.repository(project), later).comments == ()


# --- tokens ---


def refused(stand: Stand, token: str) -> HostError:
    with pytest.raises(HostError) as told:
        stand.host(token).describe(stand.repository())
    assert token not in f"{told.value} {told.value.hint}"
    return told.value


def test_an_expired_a_revoked_and_a_wrong_token_are_one_clear_line_each(stand: Stand) -> None:
    revoked = stand.world.token_of(stand.project)
    stand.world.revoke(revoked)
    ended = stand.world.token_of(stand.project, days=0)
    for token, said in ((revoked, "revoked"), (ended, "expired"), ("glpat-" + "wrong" * 4, "401 Unauthorized")):
        error = refused(stand, token)
        assert isinstance(error, HostUnauthorized)
        assert said in error.message
        assert "\n" not in error.message
        assert "FIXWRIGHT_GITLAB_TOKEN" in error.hint


def test_a_token_without_the_scope_is_told_by_its_scope(stand: Stand) -> None:
    error = refused(stand, stand.world.token_of(stand.project, scopes=("read_user",)))
    assert isinstance(error, HostForbidden)
    assert "insufficient_scope" in error.message
    assert "scope `api`" in error.hint


@pytest.mark.parametrize(
    ("level", "scopes", "may"),
    [("developer", ("api",), True), ("reporter", ("api",), False), ("developer", ("read_api",), False), ("maintainer", ("api",), True)],
)
def test_what_a_token_may_write_follows_from_role_and_scope(stand: Stand, level: str, scopes: tuple[str, ...], may: bool) -> None:
    host = stand.host(stand.world.token_of(stand.project, level, scopes))
    assert (host.may_propose(), host.may_check()) == (may, may)


def test_doctor_finds_all_well_and_each_thing_that_is_not(stand: Stand) -> None:
    provider = GitLabProvider(clock=stand.world.gitlab.state.seconds)

    def look(token: str) -> dict[str, tuple[bool | None, str]]:
        configuration = {"URL": stand.world.url, "TOKEN": token, "WEBHOOK_SECRET": "w" * 20}
        return {one.topic: (one.ok, one.said) for one in provider.diagnose(configuration, Memory(), "http://127.0.0.1:9/webhooks/gitlab")}

    found = look(stand.token)
    assert [topic for topic, (ok, _) in found.items() if ok is False] == ["ping"], "nobody is there"
    assert "the access token of a group" in found["token"][1]
    ending = look(stand.world.token_of(stand.project, days=10))
    assert ending["expiry"][0] is False
    assert "in 10 days" in ending["expiry"][1]
    assert "the access token of a project" in ending["token"][1]
    weak = look(stand.world.token_of(stand.project, "reporter"))
    assert weak["projects"][0] is False
    assert "acme/shop" in weak["projects"][1]
    assert look(stand.world.token_of(stand.project, scopes=("read_api",)))["scopes"][0] is False


def test_the_hourly_look_tells_when_the_token_ends(stand: Stand) -> None:
    token = stand.world.token_of(stand.project, "maintainer", days=9)
    configuration = {"URL": stand.world.url, "TOKEN": token, "WEBHOOK_SECRET": "w" * 20}
    upkeep = GitLabProvider(clock=stand.world.gitlab.state.seconds).tend(configuration, Memory(), "http://127.0.0.1:9/webhooks/gitlab")
    today = stand.world.gitlab.state.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert upkeep.expires == today.astimezone(UTC) + timedelta(days=9)


# --- limits and failures ---


def test_a_full_minute_is_waited_for_by_everybody_and_then_goes_on(stand: Stand) -> None:
    clock = stand.world.gitlab.state.seconds
    token, memory, repository = stand.world.token_of(stand.project), Memory(clock), stand.repository()
    limits, before = stand.world.limits, stand.world.limits.requests
    stand.world.advance(60 - clock() % 60)
    try:
        limits.requests = 3
        with pytest.raises(RateLimited) as told:
            for _ in range(5):
                stand.host(token, memory=memory).tip(repository, "main")
        assert 0 < told.value.retry_after <= 60
        asked = len(stand.world.asked)
        with pytest.raises(RateLimited):
            stand.host(token, memory=memory).tip(repository, "main")
        assert len(stand.world.asked) == asked
    finally:
        limits.requests = before
    stand.world.advance(told.value.retry_after + 1)
    assert isinstance(stand.host(token, memory=memory).tip(repository, "main"), str)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Status(502), HostUnavailable),
        (Status(500), HostUnavailable),
        (Abort(), HostUnavailable),
        (Truncate(), HostUnavailable),
        (garbage(), HostGarbage),
        (Status(200, b"[]"), HostGarbage),
    ],
)
def test_a_gitlab_that_fails_is_an_error_that_can_be_tried_again(stand: Stand, action: Action, kind: type[HostError]) -> None:
    repository = stand.repository()
    stand.world.faults.add("GET", "/repository/branches/main", action)
    with pytest.raises(kind) as told:
        stand.host().tip(repository, "main")
    assert told.value.retryable
    assert stand.host().tip(repository, "main") == CommitId(stand.project.git.branch("main") or "")
