"""The GitHub host against the double: every verb, once and twice, and after GitHub failed in the middle.

The double holds every request and answer against GitHub's published interface; each test ends with no violation.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from pipeline.errors import HostError, HostForbidden, HostNotFound, HostRejected, HostUnavailable, RateLimited
from pipeline.model.event import CommentEvent, CommentRef
from pipeline.model.fix import BranchCommit, FileEdit, Patch, PullRequestDraft
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.report import Annotation, Check, CheckAction, Thread
from pipeline.model.review import Change, Conclusion
from pipeline.model.target import (
    CommitRef,
    Installation,
    Permission,
    PullRequestRef,
    PullRequestState,
    SourceRepository,
    UserRef,
)
from pipeline.ports import CodeHost
from providers.github.client import close_line
from providers.github.provider import GitHubProvider
from tests.unit.providers.github_wire import Memory
from tests.worlds import faults
from tests.worlds.github.faults import secondary_limit
from tests.worlds.github.model import CheckRun, PullRequest, Repository
from tests.worlds.github.world import GithubWorld

APP = "".join(f"line {number}\n" for number in range(1, 101))
CHANGED = APP.replace("line 10\n", "line 10 changed\nline 10b\nline 10c\n").replace("line 80\n", "line 80 changed\n")
FINGERPRINT = "v1:0123456789abcdef0123456789abcdef"


@dataclass
class Scene:
    """A repository with an open pull request, and our host on it."""

    world: GithubWorld
    repository: Repository
    pull: PullRequest
    source: SourceRepository
    installation: Installation
    memory: Memory

    @property
    def ref(self) -> PullRequestRef:
        return PullRequestRef(self.source, self.pull.number)

    @property
    def head(self) -> CommitId:
        return CommitId(self.pull.head_sha)

    @property
    def commit(self) -> CommitRef:
        return CommitRef(self.source, self.head)

    def host(self, memory: Memory | None = None) -> CodeHost:
        """A new one, as each job makes it; jobs share the memory."""
        provider = GitHubProvider(clock=self.world.github.state.seconds)
        settings = {"APP_ID": str(self.world.app_id), "PRIVATE_KEY": self.world.private_key_pem, "API_URL": self.world.api_url}
        return provider.connect(self.installation, settings, memory or self.memory)

    def effects(self) -> list[str]:
        """What we changed so far, in order."""
        return [effect.operation for effect in self.world.effects]

    def file(self, branch: str, path: str) -> bytes | None:
        return self.world.read(self.repository, branch, path)

    def mode(self, branch: str, path: str) -> str:
        tip = self.repository.git.branch(branch)
        entry = self.repository.git.entry(tip, path) if tip else None
        return entry.mode if entry else ""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GithubWorld]:
    with GithubWorld.start(tmp_path_factory.mktemp("world")) as world:
        yield world
        close_line()


@pytest.fixture
def scene(world: GithubWorld, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A repository of its own in the shared world; nothing of an earlier test is in the ledgers."""
    world.faults.clear()
    world.advance(3_601)  # GitHub's limits of an hour, which the double keeps, are about one test
    for ledger in (world.asked, world.effects, world.violations):
        ledger.clear()
    name = f"shop-{len(world.github.state.repositories)}"
    repository = world.create_repository("octo", name, files={"app.py": APP, "lib/deep/tool.sh": "echo 1\n", "other.py": "x = 1\n"})
    world.commit(repository, "feature", {"app.py": CHANGED}, author="ada")
    pull = world.open_pull_request("ada", repository, "feature", "main", "Change it")
    yield prepared(world, repository, pull)
    assert [violation for violation in world.violations if violation.side == "request"] == []


def prepared(world: GithubWorld, repository: Repository, pull: PullRequest) -> Scene:
    installed = world.installation_of(repository)
    assert installed is not None
    clone = f"{world.git_url}/{repository.full_name}.git"
    source = SourceRepository("github", "github.com", str(repository.id), repository.full_name, "main", clone, True, str(installed.id))
    installation = Installation(InstallationId("i"), "github", "github.com", "octo", str(installed.id))
    return Scene(world, repository, pull, source, installation, Memory(world.github.state.seconds))


def check(count: int = 0, conclusion: Conclusion | None = Conclusion.FAILURE, key: str = "review-1") -> Check:
    annotations = tuple(Annotation("app.py", n, n + n % 2, "failure", f"rule {n}", f"why {n}") for n in range(1, count + 1))
    actions = (CheckAction("Scan again", "Run all engines again", "again"),)
    return Check(key, "2 block", "| a | b |", conclusion, "text", annotations, actions, "https://fixwright.example/r/1")


def thread(number: int, line: int = 10, end: int = 0, **more: object) -> Thread:
    made = Thread(f"v1:{number:032x}", "app.py", line, end or line, f"**Finding {number}.**\n```suggestion\nx\n```")
    return replace(made, **more)  # type: ignore[arg-type]  # any field of it


# --- reading ---


@pytest.mark.parametrize("written", [None, 1_800_000_000.0])
def test_a_comment_is_as_old_as_its_delivery_says_and_without_that_it_is_not_confirmed(scene: Scene, written: float | None) -> None:
    event = CommentEvent(scene.installation, CommentRef(scene.ref, "1"), UserRef("1", "ada"), "/fix", written=written)
    assert scene.host().written(event) == written


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        ("none", Permission.NONE),
        ("read", Permission.READ),
        ("triage", Permission.READ),
        ("write", Permission.WRITE),
        ("maintain", Permission.WRITE),
        ("admin", Permission.ADMIN),
    ],
)
def test_a_persons_permission_is_asked_from_github(scene: Scene, role: str, permission: Permission) -> None:
    scene.world.set_permission("mona", scene.repository, role)
    mona = scene.world.user("mona")
    assert scene.host().permission(scene.source, UserRef(str(mona.id), "mona")) is permission


def test_a_login_that_belongs_to_somebody_else_now_may_nothing(scene: Scene) -> None:
    scene.world.set_permission("mona", scene.repository, "admin")
    assert scene.host().permission(scene.source, UserRef("999999999", "mona")) is Permission.NONE


def test_a_stranger_may_nothing(scene: Scene) -> None:
    assert scene.host().permission(scene.source, UserRef("5", "nobody-at-all")) is Permission.NONE


def test_the_pull_request_has_the_tip_of_its_base_and_the_merge_base(scene: Scene) -> None:
    fork_point = scene.repository.git.branch("main")
    tip = scene.world.commit(scene.repository, "main", {"later.py": "1\n"})
    read = scene.host().pull_request(scene.ref)
    assert (read.head, read.base, read.merge_base) == (scene.head, tip, fork_point)
    assert (read.base_ref, read.head_ref, read.head_repository, read.from_fork) == ("main", "feature", scene.source.full_name, False)
    assert (read.title, read.author.login, read.state, read.draft, read.commits) == ("Change it", "ada", PullRequestState.OPEN, False, 1)


def test_authors_are_the_accounts_behind_the_commits_each_once(scene: Scene) -> None:
    for author in ("ada", "bob", "ada"):
        scene.world.commit(scene.repository, "feature", {f"{author}.py": f"{author}\n"}, author=author)
    found = scene.host().authors(scene.ref)
    assert sorted(user.login for user in found) == ["ada", "bob"]
    assert {user.id for user in found} == {str(scene.world.user(login).id) for login in ("ada", "bob")}


def test_merged_closed_draft_and_retargeted_pull_requests_are_told_apart(scene: Scene) -> None:
    host = scene.host()
    scene.world.set_draft("ada", scene.pull, True)
    assert host.pull_request(scene.ref).draft
    scene.world.set_draft("ada", scene.pull, False)
    scene.world.close("ada", scene.pull)
    assert host.pull_request(scene.ref).state is PullRequestState.CLOSED
    scene.world.reopen("ada", scene.pull)
    scene.world.commit(scene.repository, "release/1.x", {"r.py": "1\n"})
    scene.world.edit_pull_request("ada", scene.pull, base="release/1.x")
    assert host.pull_request(scene.ref).base == scene.repository.git.branch("release/1.x")
    scene.world.merge("ada", scene.pull)
    assert host.pull_request(scene.ref).state is PullRequestState.MERGED


def test_a_pull_request_from_a_fork_names_it(scene: Scene) -> None:
    fork = scene.world.fork(scene.repository, "eve")
    head = scene.world.commit(fork, "idea", {"other.py": "x = 2\n"}, author="eve")
    pull = scene.world.open_pull_request("eve", scene.repository, "idea", "main", "Idea", fork=fork)
    read = scene.host().pull_request(PullRequestRef(scene.source, pull.number))
    assert (read.head, read.head_repository, read.from_fork) == (head, fork.full_name, True)
    assert read.merge_base == scene.repository.git.branch("main")


def test_an_unknown_pull_request_is_not_found(scene: Scene) -> None:
    with pytest.raises(HostNotFound):
        scene.host().pull_request(PullRequestRef(scene.source, 404))


def test_git_fetches_with_the_credentials_and_cannot_push(scene: Scene) -> None:
    name, _, value = scene.host().credentials(scene.source).header.partition(": ")
    service = f"{scene.source.clone_url}/info/refs"
    assert httpx.get(f"{service}?service=git-upload-pack", headers={name: value}, timeout=60).status_code == 200
    assert httpx.get(f"{service}?service=git-receive-pack", headers={name: value}, timeout=60).status_code in (401, 403)
    assert base64.b64decode(value.removeprefix("Basic ")).startswith(b"x-access-token:ghs_")


# --- checks ---


@pytest.mark.parametrize("count", [0, 1, 50, 51, 500])
def test_a_check_arrives_whole_and_twice_is_once(scene: Scene, count: int) -> None:
    started = scene.host().ensure_check(scene.commit, check(conclusion=None))
    first = scene.host().ensure_check(scene.commit, check(count))
    requests = len(scene.effects())
    assert scene.host().ensure_check(scene.commit, check(count)) == first == started
    assert len(scene.effects()) == requests
    (run,) = scene.world.checks(scene.repository, scene.head)
    assert (run.name, run.external_id, run.status, run.conclusion) == ("Fixwright", "review-1", "completed", "failure")
    assert [item["start_line"] for item in run.annotations] == list(range(1, count + 1))
    assert [action["identifier"] for action in run.actions] == ["again"]


@pytest.mark.parametrize(
    "action", [faults.Status(500, after_work=True), faults.Status(502), faults.Abort(after_work=True), faults.Truncate()]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_check_survives_a_lost_answer_at_any_write(scene: Scene, action: faults.Action, at: int) -> None:
    scene.world.faults.add("POST" if at == 0 else "PATCH", r"/check-runs", action, skip=max(0, at - 1))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_check(scene.commit, check(130))
    scene.host().ensure_check(scene.commit, check(130))
    (run,) = scene.world.checks(scene.repository, scene.head)
    assert [item["start_line"] for item in run.annotations] == list(range(1, 131))
    assert run.conclusion == "failure"


def test_asked_for_again_it_is_a_new_run_of_the_same_name(scene: Scene) -> None:
    scene.host().ensure_check(scene.commit, check())
    scene.host().ensure_check(scene.commit, check(conclusion=None, key="review-2"))
    scene.host().ensure_check(scene.commit, check(conclusion=Conclusion.SUCCESS, key="review-2"))
    assert [run.conclusion for run in scene.world.checks(scene.repository, scene.head)] == ["failure", "success"]


def test_a_check_of_another_app_with_our_key_is_not_touched(scene: Scene) -> None:
    state = scene.world.github.state
    foreign = replace(scene.world.app, id=scene.world.app.id + 1, slug="other", bot=state.account("other[bot]", "Bot"))
    suite = scene.world.github.actions.new_suite(scene.repository, foreign, scene.head, "feature", None)
    theirs = CheckRun(state.new_id("run"), suite, "Fixwright", external_id="review-1")
    suite.runs.append(theirs)
    scene.host().ensure_check(scene.commit, check())
    assert theirs.conclusion is None
    assert len(scene.world.checks(scene.repository, scene.head)) == 2


# --- threads ---


def test_ten_threads_go_out_in_one_notifying_call(scene: Scene) -> None:
    threads = [thread(number, 7 + number) for number in range(9)] + [thread(9, 10, 12)]
    refs = scene.host().ensure_threads(scene.ref, scene.head, threads, "1 blocks")
    assert len(scene.world.notifying_calls(scene.pull)) == 1
    assert [ref.fingerprint for ref in refs] == [item.fingerprint for item in threads]
    assert [ref.outside for ref in refs] == [False] * 10
    assert [str(comment.id) for comment in scene.pull.review_comments] == [ref.id for ref in refs]
    assert scene.pull.reviews[0].body == "1 blocks"
    last = scene.pull.review_comments[-1].anchor
    assert last is not None
    assert (last.start_line, last.line, last.side) == (10, 12, "RIGHT")


def test_threads_twice_are_once_also_for_another_process(scene: Scene) -> None:
    threads = [thread(1), thread(2, 11)]
    first = scene.host().ensure_threads(scene.ref, scene.head, threads, "x")
    again = scene.host(Memory(scene.world.github.state.seconds)).ensure_threads(scene.ref, scene.head, threads, "x")
    assert first == again
    assert len(scene.pull.review_comments) == 2
    assert len(scene.effects()) == 1


@pytest.mark.parametrize("bad", [thread(9, 50), thread(9, 12, 80), thread(9, path="gone.py"), thread(9, path="other.py"), thread(9, 9_999)])
def test_one_bad_anchor_among_ten_costs_only_itself(scene: Scene, bad: Thread) -> None:
    threads = [thread(number, 7 + number) for number in range(5)] + [bad] + [thread(number, 80) for number in range(5, 9)]
    refs = scene.host().ensure_threads(scene.ref, scene.head, threads, "x")
    assert [ref.outside for ref in refs] == [False] * 5 + [True] + [False] * 4
    assert len(scene.pull.review_comments) == 9
    assert len(scene.world.notifying_calls(scene.pull)) == 1


def test_when_no_anchor_is_good_nobody_is_told(scene: Scene) -> None:
    refs = scene.host().ensure_threads(scene.ref, scene.head, [thread(1, 50), thread(2, 60)], "x")
    assert [(ref.outside, ref.id) for ref in refs] == [(True, ""), (True, "")]
    assert scene.world.notifying_calls(scene.pull) == []


def test_a_changed_text_is_edited_without_a_mail(scene: Scene) -> None:
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1, body="Other words.")], "x")
    (comment,) = scene.pull.review_comments
    assert comment.body.startswith("Other words.")
    assert len(scene.world.notifying_calls(scene.pull)) == 1


def test_a_thread_is_resolved_when_its_finding_is_gone_and_opened_again_when_it_is_back(scene: Scene) -> None:
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1), thread(2, 11)], "x")
    for _ in range(2):
        refs = scene.host().ensure_threads(scene.ref, scene.head, [thread(1, resolved=True), thread(2, 11)], "")
        assert [comment.thread.resolved_by is not None for comment in scene.pull.review_comments] == [True, False]
        assert len(refs) == 2
    assert scene.effects()[1:] == ["resolveReviewThread"]
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1), thread(2, 11)], "x")
    assert scene.pull.review_comments[0].thread.resolved_by is None
    assert len(scene.pull.review_comments) == 2


def test_a_thread_that_is_resolved_already_is_never_opened(scene: Scene) -> None:
    assert scene.host().ensure_threads(scene.ref, scene.head, [thread(1, resolved=True)], "x") == ()
    assert scene.effects() == []


def test_what_a_person_resolved_stays_resolved(scene: Scene) -> None:
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    scene.world.resolve_thread("ada", scene.pull.review_comments[0])
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    resolved = scene.pull.review_comments[0].thread.resolved_by
    assert resolved is not None
    assert resolved.login == "ada"


def test_answers_of_people_are_not_touched(scene: Scene) -> None:
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    ours = scene.pull.review_comments[0]
    reply = scene.world.reply_in_thread("ada", ours.id, ours.body)
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1, body="New words.")], "x")
    assert reply.body.startswith("**Finding 1.**")
    assert ours.body.startswith("New words.")


def test_a_mark_that_somebody_forged_does_not_keep_us_silent(scene: Scene) -> None:
    mark = f"<!-- fixwright:thread:v1:{thread(1).fingerprint} -->"
    forged = scene.world.review_comment("eve", scene.pull, "app.py", 10, f"all is well\n\n{mark}")
    (ref,) = scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    assert ref.id != str(forged.id)
    assert forged.body.startswith("all is well")
    assert len(scene.pull.review_comments) == 2


def test_a_review_whose_answer_got_lost_is_not_posted_again(scene: Scene) -> None:
    scene.world.faults.add("POST", r"/reviews$", faults.Status(500, after_work=True))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_threads(scene.ref, scene.head, [thread(1), thread(2, 11)], "x")
    refs = scene.host().ensure_threads(scene.ref, scene.head, [thread(1), thread(2, 11)], "x")
    assert [ref.outside for ref in refs] == [False, False]
    assert len(scene.world.notifying_calls(scene.pull)) == 1


def test_after_a_push_old_threads_are_kept_and_only_new_ones_opened(scene: Scene) -> None:
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    scene.world.commit(scene.repository, "feature", {"app.py": "# a new first line\n" + CHANGED})
    scene.host().ensure_threads(scene.ref, scene.head, [thread(1, 11), thread(2, 12)], "y")
    assert len(scene.pull.review_comments) == 2
    assert len(scene.world.notifying_calls(scene.pull)) == 2


def test_a_head_that_is_gone_is_no_matter_of_anchors(scene: Scene) -> None:
    old = scene.head
    scene.world.force_push(scene.repository, "feature", {"app.py": CHANGED + "more\n"})
    with pytest.raises(HostRejected):
        scene.host().ensure_threads(scene.ref, old, [thread(1)], "x")
    assert scene.pull.review_comments == []


def test_an_app_that_may_not_resolve_still_says_so_in_the_text(tmp_path: Path) -> None:
    allowed = {"contents": "read", "checks": "write", "pull_requests": "write", "issues": "write", "metadata": "read"}
    with GithubWorld.start(tmp_path, permissions=allowed) as world:
        repository = world.create_repository("octo", "shop", files={"app.py": APP})
        world.commit(repository, "feature", {"app.py": CHANGED})
        scene = prepared(world, repository, world.open_pull_request("ada", repository, "feature", "main", "t"))
        scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
        scene.host().ensure_threads(scene.ref, scene.head, [thread(1, resolved=True, body="Fixed.")], "x")
        assert scene.pull.review_comments[0].body.startswith("Fixed.")
        assert scene.pull.review_comments[0].thread.resolved_by is None
        close_line()


# --- talk ---


def test_one_comment_a_topic_edited_in_place(scene: Scene) -> None:
    for body in ("one", "one", "two"):
        scene.host().ensure_comment(scene.ref, "summary", body)
    scene.host().ensure_comment(scene.ref, "other", "three")
    assert [comment.body.partition("\n")[0] for comment in scene.pull.comments] == ["two", "three"]
    assert len(scene.world.notifying_calls(scene.pull)) == 2


def test_an_empty_comment_makes_none_and_folds_an_old_one_away(scene: Scene) -> None:
    scene.host().ensure_comment(scene.ref, "summary", "")
    assert scene.effects() == []
    scene.host().ensure_comment(scene.ref, "summary", "one")
    for _ in range(2):
        scene.host().ensure_comment(scene.ref, "summary", "")
    assert [comment.minimized for comment in scene.pull.comments] == ["resolved"]
    assert scene.effects()[1:] == ["minimizeComment"]
    scene.host().ensure_comment(scene.ref, "summary", "two")
    assert [comment.minimized for comment in scene.pull.comments] == [None]


def test_a_forged_comment_is_neither_edited_nor_taken_for_ours(scene: Scene) -> None:
    forged = scene.world.comment("eve", scene.pull, "nice\n\n<!-- fixwright:comment:v1:summary -->")
    scene.host().ensure_comment(scene.ref, "summary", "ours")
    assert forged.body.startswith("nice")
    assert [comment.user.login for comment in scene.pull.comments] == ["eve", "fixwright[bot]"]


def test_two_comments_of_one_lost_answer_become_one_again(scene: Scene) -> None:
    scene.host().ensure_comment(scene.ref, "summary", "one")
    twin = scene.pull.comments[0]
    with scene.world.github.state.lock:
        scene.world.github.actions.comment(scene.pull, twin.user, twin.body, twin.app)
    scene.host().ensure_comment(scene.ref, "summary", "two")
    assert [comment.body.partition("\n")[0] for comment in scene.pull.comments] == ["two"]
    assert scene.pull.comments[0] is twin


def test_a_comment_whose_answer_got_lost_is_not_written_again(scene: Scene) -> None:
    scene.world.faults.add("POST", r"/issues/\d+/comments$", faults.Abort(after_work=True))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_comment(scene.ref, "summary", "one")
    scene.host().ensure_comment(scene.ref, "summary", "one")
    assert len(scene.pull.comments) == 1


def test_a_comment_among_hundreds_is_found(scene: Scene) -> None:
    for number in range(120):
        scene.world.comment("ada", scene.pull, f"word {number}")
    scene.host().ensure_comment(scene.ref, "summary", "one")
    scene.host().ensure_comment(scene.ref, "summary", "two")
    assert len(scene.pull.comments) == 121


def test_a_command_is_answered_once_in_the_conversation(scene: Scene) -> None:
    asked = [CommentRef(scene.ref, str(scene.world.comment("ada", scene.pull, "/fix K7Q").id)) for _ in range(2)]
    for comment in (*asked, *asked):
        scene.host().ensure_reply(comment, "fix", "on it")
    scene.host().ensure_reply(asked[0], "fix", "done")
    ours = [comment.body.partition("\n")[0] for comment in scene.pull.comments if comment.user.type == "Bot"]
    assert ours == ["done", "on it"]


def test_a_command_in_a_thread_is_answered_in_that_thread(scene: Scene) -> None:
    (ref,) = scene.host().ensure_threads(scene.ref, scene.head, [thread(1)], "x")
    asked = scene.world.reply_in_thread("ada", int(ref.id), "/fix")
    comment = CommentRef(scene.ref, str(asked.id), in_thread=True, thread=ref.id)
    for body in ("on it", "on it", "done"):
        scene.host().ensure_reply(comment, "fix", body)
    (last,) = [reply for reply in asked.thread.comments if reply.body.startswith(("on it", "done"))]
    assert last.body.startswith("done")
    assert last.user.login == "fixwright[bot]"
    assert len(scene.pull.threads) == 1


def test_a_seen_command_gets_eyes_once_in_both_places(scene: Scene) -> None:
    spoken = scene.world.comment("ada", scene.pull, "/fix")
    written = scene.world.review_comment("ada", scene.pull, "app.py", 10, "/fix")
    for _ in range(2):
        scene.host().acknowledge(CommentRef(scene.ref, str(spoken.id)))
        scene.host().acknowledge(CommentRef(scene.ref, str(written.id), in_thread=True, thread=str(written.id)))
    assert [len(spoken.reactions), len(written.reactions)] == [1, 1]


@pytest.mark.parametrize("action", [faults.Status(500), faults.Status(404), secondary_limit(), faults.garbage()])
def test_a_reaction_that_fails_is_no_error(scene: Scene, action: faults.Action) -> None:
    comment = CommentRef(scene.ref, str(scene.world.comment("ada", scene.pull, "/fix").id))
    scene.world.faults.add("POST", "/reactions$", action)
    scene.host().acknowledge(comment)


# --- code ---


def patch(*edits: FileEdit) -> Patch:
    return Patch(edits or (FileEdit("other.py", b"x = 1\n", b"x = 2\n"),), title="bind it")


def branch_commit(scene: Scene, *edits: FileEdit, branch: str = "fixwright/fix/0123-abcd") -> BranchCommit:
    return BranchCommit(scene.head, branch, "fix: bind it\n\nWhy.", patch(*edits))


def test_a_branch_holds_one_signed_commit_on_its_parent(scene: Scene) -> None:
    made = scene.host().ensure_branch(scene.source, branch_commit(scene))
    git = scene.repository.git
    assert git.branch("fixwright/fix/0123-abcd") == made.commit
    commit = git.commit(made.commit)
    assert (commit.parents, commit.author.name, commit.message) == ((scene.head,), "fixwright[bot]", "fix: bind it\n\nWhy.")
    assert made.commit in scene.repository.verified
    assert scene.file(made.commit, "other.py") == b"x = 2\n"
    assert scene.file(made.commit, "app.py") == CHANGED.encode()


def test_a_branch_twice_is_once_also_for_another_process(scene: Scene) -> None:
    first = scene.host().ensure_branch(scene.source, branch_commit(scene))
    refs = scene.effects().count("/repos/{owner}/{repo}/git/refs")
    assert scene.host().ensure_branch(scene.source, branch_commit(scene)) == first
    assert scene.host(Memory(scene.world.github.state.seconds)).ensure_branch(scene.source, branch_commit(scene)) == first
    assert scene.effects().count("/repos/{owner}/{repo}/git/refs") == refs == 1
    assert scene.effects().count("/repos/{owner}/{repo}/git/commits") == 1


def test_files_are_made_changed_and_deleted_and_keep_their_mode(scene: Scene) -> None:
    git = scene.repository.git
    tip = git.branch("feature")
    assert tip is not None
    script = git.entry(tip, "lib/deep/tool.sh")
    assert script is not None
    git.run("update-ref", "refs/heads/feature", tip)
    tree = git.write_tree(tip, [replace(script, mode="100755")])
    sha = scene.world.github.actions.host_commit(scene.repository, tree, [tip], "mode", scene.world.user("ada"))
    scene.world.reset_branch(scene.repository, "feature", sha)
    edits = (
        FileEdit("lib/deep/tool.sh", b"echo 1\n", b"echo 2\n"),
        FileEdit("new/folder/ü file.txt", None, "ä\n".encode()),
        FileEdit("other.py", b"x = 1\n", None),
        FileEdit("data.bin", None, b"\x00\xff"),
    )
    made = scene.host().ensure_branch(scene.source, branch_commit(scene, *edits))
    branch = "fixwright/fix/0123-abcd"
    assert scene.file(made.commit, "lib/deep/tool.sh") == b"echo 2\n"
    assert scene.mode(branch, "lib/deep/tool.sh") == "100755"
    assert scene.file(made.commit, "new/folder/ü file.txt") == "ä\n".encode()
    assert scene.mode(branch, "new/folder/ü file.txt") == "100644"
    assert scene.file(made.commit, "other.py") is None
    assert scene.file(made.commit, "data.bin") == b"\x00\xff"
    assert scene.file(made.commit, "app.py") == CHANGED.encode()


def test_our_own_branch_is_moved_when_its_parent_or_patch_changed(scene: Scene) -> None:
    first = scene.host().ensure_branch(scene.source, branch_commit(scene))
    scene.world.commit(scene.repository, "feature", {"third.py": "1\n"})
    second = scene.host(Memory(scene.world.github.state.seconds)).ensure_branch(scene.source, branch_commit(scene))
    assert second != first
    assert scene.repository.git.branch("fixwright/fix/0123-abcd") == second.commit
    assert scene.repository.git.commit(second.commit).parents == (scene.head,)


def test_a_branch_that_a_person_added_to_is_left_alone(scene: Scene) -> None:
    scene.host().ensure_branch(scene.source, branch_commit(scene))
    theirs = scene.world.commit(scene.repository, "fixwright/fix/0123-abcd", {"other.py": "x = 3\n"}, author="ada")
    with pytest.raises(HostRejected):
        scene.host().ensure_branch(scene.source, branch_commit(scene))
    assert scene.repository.git.branch("fixwright/fix/0123-abcd") == theirs


def test_a_commit_in_our_name_that_github_did_not_sign_is_foreign(scene: Scene) -> None:
    forged = scene.world.commit(scene.repository, "fixwright/fix/0123-abcd", {"other.py": "x = 9\n"}, author="fixwright[bot]")
    with pytest.raises(HostRejected):
        scene.host().ensure_branch(scene.source, branch_commit(scene))
    assert scene.repository.git.branch("fixwright/fix/0123-abcd") == forged


@pytest.mark.parametrize(
    "branch",
    [
        "main",
        "feature",
        "fixwright",
        "fixwright/",
        "fixwright/../main",
        "fixwright/a..b",
        "fixwright/a.lock",
        "fixwright/a b",
        "fixwright//x",
        "fixwright/x\n",
    ],
)
def test_only_a_branch_of_ours_is_ever_written(scene: Scene, branch: str) -> None:
    with pytest.raises(HostRejected):
        scene.host().ensure_branch(scene.source, branch_commit(scene, branch=branch))
    assert scene.effects() == []


@pytest.mark.parametrize(
    "edit",
    [
        FileEdit("other.py", b"x = 7\n", b"x = 2\n"),
        FileEdit("gone.py", b"x\n", b"y\n"),
        FileEdit("other.py", None, b"x = 2\n"),
        FileEdit("other.py", b"x = 1\n", b"x = 1\n"),
        FileEdit("other.py/inner", None, b"x\n"),
        FileEdit("../x", None, b"x\n"),
        FileEdit("/etc/x", None, b"x\n"),
        FileEdit(".git/config", None, b"x\n"),
        FileEdit("a/.GIT/config", None, b"x\n"),
        FileEdit("a\udcff", None, b"x\n"),
        FileEdit("a\nb", None, b"x\n"),
        FileEdit("lib", None, b"x\n"),
    ],
    ids=lambda edit: repr(edit.path),
)
def test_a_patch_that_does_not_fit_is_refused_and_no_branch_made(scene: Scene, edit: FileEdit) -> None:
    with pytest.raises(HostRejected):
        scene.host().ensure_branch(scene.source, branch_commit(scene, edit))
    assert scene.repository.git.branch("fixwright/fix/0123-abcd") is None


def test_a_patch_never_goes_through_a_link(scene: Scene) -> None:
    git = scene.repository.git
    tip = git.branch("feature")
    assert tip is not None
    entry = git.entry(tip, "other.py")
    assert entry is not None
    tree = git.write_tree(tip, [replace(entry, path="link", mode="120000", sha=git.write_blob(b"lib"))])
    scene.world.reset_branch(
        scene.repository, "feature", scene.world.github.actions.host_commit(scene.repository, tree, [tip], "link", scene.world.user("ada"))
    )
    for edit in (FileEdit("link", b"lib", b"x"), FileEdit("link/deep/x.py", None, b"x")):
        with pytest.raises(HostRejected):
            scene.host().ensure_branch(scene.source, branch_commit(scene, edit))


@pytest.mark.parametrize("operation", ["git/blobs$", "git/trees$", "git/commits$", "git/refs$"])
def test_a_branch_survives_a_lost_answer_at_any_step(scene: Scene, operation: str) -> None:
    scene.world.faults.add("POST", operation, faults.Status(500, after_work=True))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_branch(scene.source, branch_commit(scene))
    made = scene.host().ensure_branch(scene.source, branch_commit(scene))
    assert scene.repository.git.branch("fixwright/fix/0123-abcd") == made.commit
    assert scene.file(made.commit, "other.py") == b"x = 2\n"


def draft(scene: Scene, **more: object) -> PullRequestDraft:
    made = scene.host().ensure_branch(scene.source, branch_commit(scene))
    change = Change(scene.source, scene.head, scene.head, scene.head, pull_request=scene.ref)
    wanted = PullRequestDraft(change, "fixwright/fix/0123-abcd", "feature", made, "fix: bind it", "Because.\n\nReceipt.")
    return replace(wanted, **more)  # type: ignore[arg-type]  # any field of it


def test_a_pull_request_is_made_once_and_edited_afterwards(scene: Scene) -> None:
    first = scene.host().ensure_pull_request(draft(scene))
    assert scene.host().ensure_pull_request(draft(scene)) == first
    made = scene.repository.pulls[first.number]
    assert (made.title, made.body, made.base_ref, made.head_ref) == (
        "fix: bind it",
        "Because.\n\nReceipt.",
        "feature",
        "fixwright/fix/0123-abcd",
    )
    before = len(scene.effects())
    scene.host().ensure_pull_request(draft(scene, title="fix: other", body="New.", base_ref="main"))
    assert (made.title, made.body, made.base_ref) == ("fix: other", "New.", "main")
    assert len([operation for operation in scene.effects()[before:] if operation.endswith("{pull_number}")]) == 1
    assert len(scene.repository.pulls) == 2


def test_a_pull_request_whose_answer_got_lost_is_found_again(scene: Scene) -> None:
    wanted = draft(scene)
    scene.world.faults.add("POST", "/pulls$", faults.Status(500, after_work=True))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_pull_request(wanted)
    assert scene.host().ensure_pull_request(wanted).number == 2
    assert len(scene.repository.pulls) == 2


def test_closing_says_why_once_and_leaves_a_closed_one_alone(scene: Scene) -> None:
    for _ in range(2):
        scene.host().ensure_closed(scene.ref, "The finding is gone.")
    assert scene.pull.state == "closed"
    assert [comment.body.partition("\n")[0] for comment in scene.pull.comments] == ["The finding is gone."]


def test_closing_survives_a_lost_answer(scene: Scene) -> None:
    scene.world.faults.add("PATCH", r"/pulls/\d+$", faults.Status(500))
    with pytest.raises(HostUnavailable):
        scene.host().ensure_closed(scene.ref, "Gone.")
    scene.host().ensure_closed(scene.ref, "Gone.")
    assert scene.pull.state == "closed"
    assert len(scene.pull.comments) == 1


# --- signing in, over a real connection ---


def test_a_token_that_ends_in_the_middle_is_made_anew(scene: Scene) -> None:
    host = scene.host()
    host.ensure_comment(scene.ref, "summary", "one")
    scene.world.faults.add("GET", r"/issues/\d+/comments", faults.Status(401, b'{"message": "Bad credentials"}'))
    host.ensure_comment(scene.ref, "summary", "two")
    scene.world.advance(3_700)
    host.ensure_comment(scene.ref, "summary", "three")
    assert [comment.body.partition("\n")[0] for comment in scene.pull.comments] == ["three"]


def test_a_revoked_installation_is_an_error_and_not_a_storm(scene: Scene) -> None:
    host = replace(scene, installation=replace(scene.installation, external_id="404404")).host()
    with pytest.raises(HostError) as caught:
        host.pull_request(scene.ref)
    assert not caught.value.retryable
    assert len(scene.world.asked) <= 2


@pytest.mark.parametrize(("limit", "wait"), [(secondary_limit(7), 7), (secondary_limit(None), 60)])
def test_a_limit_is_kept_by_everybody(scene: Scene, limit: faults.Action, wait: float) -> None:
    scene.world.faults.add("GET", r"/pulls/\d+$", limit)
    with pytest.raises(RateLimited) as caught:
        scene.host().pull_request(scene.ref)
    assert caught.value.retry_after == wait
    scene.world.asked.clear()
    with pytest.raises(RateLimited):
        scene.host().ensure_comment(scene.ref, "summary", "x")
    assert len(scene.world.asked) == 0
    scene.world.advance(wait + 1)
    scene.host().pull_request(scene.ref)


@pytest.mark.parametrize("action", [faults.garbage(), faults.Truncate(), faults.Abort(), faults.Status(503)])
def test_a_broken_answer_is_retryable(scene: Scene, action: faults.Action) -> None:
    scene.world.faults.add("GET", r"/pulls/\d+$", action)
    with pytest.raises(HostError) as caught:
        scene.host().pull_request(scene.ref)
    assert caught.value.retryable
    assert scene.host().pull_request(scene.ref).head == scene.head


def test_a_missing_permission_is_forbidden(tmp_path: Path) -> None:
    with GithubWorld.start(tmp_path, permissions={"contents": "read", "metadata": "read", "pull_requests": "read"}) as world:
        repository = world.create_repository("octo", "shop", files={"app.py": APP})
        world.commit(repository, "feature", {"app.py": CHANGED})
        scene = prepared(world, repository, world.open_pull_request("ada", repository, "feature", "main", "t"))
        with pytest.raises(HostForbidden) as caught:
            scene.host().ensure_check(scene.commit, check())
        assert "checks:write" in caught.value.message
        close_line()
