"""One suite for every code host: each verb once, twice, and with something in its way. Nothing here knows which host it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import HeadMoved, HostForbidden, HostNotFound, HostRejected, LeaseLost
from pipeline.fence import Fence, fenced
from pipeline.model.event import OpenPullRequest
from pipeline.model.fix import BranchCommit, FileEdit, Patch, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import AdvisoryDraft, Annotation, Check, CheckAction, Thread
from pipeline.model.review import Change, Conclusion
from pipeline.model.target import CommitRef, Permission, PullRequestRef, PullRequestState, UserRef
from pipeline.ports import CodeHost
from pipeline.sandbox.git import Mirror
from tests.contract.gaps import ASKED_AT_DOORS, DOORS, GAPS
from tests.contract.hosts import GROUNDS, PROVIDERS, Ground, ground_of
from tests.contract.world import BASE, CHANGED, World

BRANCH = "fixwright/k7q-12345678"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every world, but for the doors of one provider: those are asked what depends on who asks."""
    if "ground" in metafunc.fixturenames:
        name = metafunc.function.__name__
        worlds = [world for world in sorted(GROUNDS) if world not in DOORS or name in ASKED_AT_DOORS]
        metafunc.parametrize("ground", worlds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground_of(request.param, tmp_path_factory.mktemp("ground")) as made:
        yield made


@pytest.fixture
def world(ground: Ground, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    name = request.node.callspec.params["ground"]
    gaps, test = GAPS.get(name, {}), request.node.originalname
    gap = gaps.get(test) or gaps.get(f"{test}[{request.node.callspec.id.removeprefix(name).removeprefix('-')}]")
    if gap is not None:
        pytest.skip(f"{name}: {gap}")
    yield ground.new(tmp_path)
    ground.end()


def head_of(world: World) -> CommitId:
    return world.tip("feature")


def check(key: str = "review-1", conclusion: Conclusion | None = Conclusion.FAILURE, annotations: int = 0, title: str = "2 block") -> Check:
    notes = tuple(Annotation("app.py", n, n, "failure", f"rule {n}", f"why {n}") for n in range(1, annotations + 1))
    return Check(key, title, "| a | b |", conclusion, "text", notes, (CheckAction("Scan again", "All engines", "again"),))


def thread(number: int, line: int = 10, body: str = "", *, resolved: bool = False) -> Thread:
    return Thread(f"v1:{number:032x}", "app.py", line, line, body or f"**Finding {number}.**", resolved)


def patch(*edits: FileEdit) -> Patch:
    mended = CHANGED.replace("line 10 changed\n", "line 10 mended\n").encode()
    return Patch(edits or (FileEdit("app.py", CHANGED.encode(), mended),), "mend line 10")


def branch_commit(world: World, *edits: FileEdit, branch: str = BRANCH) -> BranchCommit:
    return BranchCommit(head_of(world), branch, "Mend line 10\n\nIt is mended.", patch(*edits))


def draft(world: World, commit: CommitRef, title: str = "Mend line 10", body: str = "What and why.") -> PullRequestDraft:
    change = Change(world.source, world.tip("main"), head_of(world), world.tip("main"), "main", "feature", world.ref)
    return PullRequestDraft(change, BRANCH, "feature", commit, title, body)


def test_every_provider_is_held_by_this_suite_and_nothing_else_is() -> None:
    assert {name.partition(":")[0] for name in GROUNDS} == set(PROVIDERS) != set()


def test_every_known_gap_names_a_test_that_there_is() -> None:
    assert set(GAPS) <= set(GROUNDS)
    assert {test.partition("[")[0] for gaps in GAPS.values() for test in gaps} <= set(globals())
    assert set(globals()) >= ASKED_AT_DOORS
    assert set(GROUNDS) >= DOORS


def test_a_provider_without_a_world_fails_the_suite(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="write one"), ground_of("a new one", tmp_path):
        pass


# --- reading ---


def test_permission_tells_owner_writer_and_stranger_apart(world: World) -> None:
    host = world.host()
    assert host.permission(world.source, world.owner) is Permission.ADMIN
    assert host.permission(world.source, world.writer) is Permission.WRITE
    assert not host.permission(world.source, world.stranger).may_write


@pytest.mark.parametrize("login", ["nobody-has-this-name", "", "../..", "a b", "ad\u00e4", "x" * 300])
def test_permission_of_somebody_who_is_not_there_is_no_error(world: World, login: str) -> None:
    assert not world.host().permission(world.source, UserRef("999999999999", login)).may_write


def test_a_pull_request_has_head_base_and_merge_base(world: World) -> None:
    began = world.tip("main")
    moved = world.commit({"other.txt": "y\n"}, "main")
    pull = world.host().pull_request(world.ref)
    assert (pull.head, pull.base, pull.merge_base) == (head_of(world), moved, began)
    assert (pull.head_ref, pull.base_ref, pull.commits) == ("feature", "main", 1)
    assert (pull.state, pull.title, pull.from_fork) == (PullRequestState.OPEN, "Change it", False)
    assert not pull.author.bot


def test_the_authors_of_its_commits_are_accounts_each_once(world: World) -> None:
    found = world.host().authors(world.ref)
    assert all(user.id and user.login for user in found)
    assert len({user.id for user in found}) == len(found)


def test_after_a_push_it_has_the_new_head_and_the_old_merge_base(world: World) -> None:
    before = world.host().pull_request(world.ref)
    pushed = world.commit({"more.txt": "z\n"})
    after = world.host().pull_request(world.ref)
    assert (after.head, after.merge_base, after.commits) == (pushed, before.merge_base, 2)


def test_after_a_force_push_onto_a_moved_base_the_merge_base_has_moved_too(world: World) -> None:
    moved = world.commit({"other.txt": "y\n"}, "main")
    pushed = world.force_push({"app.py": "all new\n"})
    after = world.host().pull_request(world.ref)
    assert (after.head, after.base, after.merge_base, after.commits) == (pushed, moved, moved, 1)


def test_a_pull_request_from_a_fork_says_so(world: World) -> None:
    ref = world.open_from_fork()
    if ref is None:
        assert not world.host().pull_request(world.ref).from_fork
        return
    pull = world.host().pull_request(ref)
    assert pull.from_fork
    assert pull.head_repository != world.source.full_name


def test_a_closed_pull_request_is_not_open(world: World) -> None:
    world.close_pull_request()
    assert world.host().pull_request(world.ref).state is PullRequestState.CLOSED


def test_a_pull_request_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(HostNotFound):
        world.host().pull_request(PullRequestRef(world.source, 999))


def test_git_fetches_exactly_the_commits_with_the_hosts_credentials(world: World, tmp_path: Path) -> None:
    host = world.host()
    local = world.provider.capabilities.local_git
    mirror = Mirror.open(tmp_path / "mirror.git", world.source.clone_url, host.credentials(world.source), allow_local=local)
    head, base = head_of(world), world.tip("main")
    mirror.fetch([(base, 1), (head, 2)])
    assert not mirror.lacking([head])
    assert [changed.path for changed in mirror.changes(base, head)[0]] == ["app.py"]
    assert mirror.file(head, "app.py") == CHANGED.encode()
    assert mirror.added_lines(base, head, ["app.py"]) == {"app.py": [(10, 11), (31, 31)]}


def test_a_repository_is_found_by_its_name_and_described_as_it_is(world: World) -> None:
    host = world.host()
    found = host.find(world.name)
    assert (found.external_id, found.default_branch, found.provider) == (world.source.external_id, "main", world.source.provider)
    described = host.describe(replace(world.source, default_branch="", private=not world.source.private))
    assert described.default_branch == "main"
    with pytest.raises(HostNotFound):
        host.find(world.name + "-that-nobody-made")


@pytest.mark.parametrize("branch", ["release/1.0", "100%25-sure", "a#b&c=d", "\u00fcber"])
def test_the_tip_of_any_branch_is_read_by_its_name(world: World, branch: str) -> None:
    made = world.commit({"x.txt": "x\n"}, branch)
    assert world.host().tip(world.source, branch) == made
    assert world.host().tip(world.source, "main") == world.tip("main")


@pytest.mark.parametrize("branch", ["not-there", "main/below", "feature%2Fx", ""])
def test_a_branch_that_is_not_there_is_not_found(world: World, branch: str) -> None:
    with pytest.raises(HostNotFound):
        world.host().tip(world.source, branch)


def test_the_open_pull_requests_come_with_their_heads(world: World) -> None:
    moved = world.commit({"more.txt": "z\n"})
    assert list(world.host().open_pull_requests(world.source)) == [OpenPullRequest(world.ref, moved, "main")]
    world.close_pull_request()
    assert list(world.host().open_pull_requests(world.source)) == []


def test_who_looks_sees_tip_pull_requests_and_what_was_said(world: World) -> None:
    asked = world.comment("/fix")
    world.host().ensure_comment(world.ref, "summary", "/fix is what we say ourselves")
    seen = world.host().snapshot(world.source, datetime(2020, 1, 1, tzinfo=UTC))
    assert (seen.repository.external_id, seen.tip) == (world.source.external_id, world.tip("main"))
    assert [(p.ref.number, p.head, p.base_ref, p.draft) for p in seen.pulls] == [(world.ref.number, head_of(world), "main", False)]
    said = {(p.comment.id, p.comment.pull_request.number, p.body) for p in seen.comments if not p.sender.bot}
    assert said == {(asked.id, world.ref.number, "/fix")}
    assert sum(p.sender.bot for p in seen.comments) == 1


def test_what_is_not_known_of_a_repository_that_is_gone_is_not_found(world: World) -> None:
    gone = replace(
        world.source, external_id="987654321", clone_url=world.source.clone_url + "-gone", full_name=world.source.full_name + "x"
    )
    with pytest.raises(HostNotFound):
        world.host().describe(gone)


def test_a_repository_without_an_owners_policy_has_none(world: World) -> None:
    assert world.host().policy_parent(world.source) is None


def test_an_advisory_is_not_drafted_where_there_can_be_none(world: World) -> None:
    with pytest.raises((HostForbidden, HostNotFound)):
        world.host().draft_advisory(world.source, AdvisoryDraft("SQL injection", "Request data becomes SQL.", "high", ("CWE-89",)))


# --- checks ---


@pytest.mark.parametrize("annotations", [0, 3, 51, 120])
def test_a_check_arrives_whole_and_twice_is_once(world: World, annotations: int) -> None:
    commit = CommitRef(world.source, head_of(world))
    first = world.host().ensure_check(commit, check(annotations=annotations))
    again = world.host().ensure_check(commit, check(annotations=annotations))
    assert first == again
    (seen,) = world.checks(commit.commit)
    assert (seen.status, seen.conclusion, seen.title, seen.summary) == ("completed", "failure", "2 block", "| a | b |")
    assert seen.annotations == annotations


def test_a_check_in_progress_becomes_the_finished_one(world: World) -> None:
    commit = CommitRef(world.source, head_of(world))
    running = world.host().ensure_check(commit, check(conclusion=None, title="Scanning"))
    (seen,) = world.checks(commit.commit)
    assert (seen.status, seen.conclusion, seen.title) == ("in_progress", None, "Scanning")
    finished = world.host().ensure_check(commit, check())
    (seen,) = world.checks(commit.commit)
    assert (seen.status, seen.conclusion, seen.title) == ("completed", "failure", "2 block")
    assert running == finished


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_every_conclusion_is_shown(world: World, conclusion: Conclusion) -> None:
    commit = CommitRef(world.source, head_of(world))
    world.host().ensure_check(commit, check(conclusion=conclusion))
    (seen,) = world.checks(commit.commit)
    assert (seen.status, seen.conclusion) == ("completed", world.shown_as.get(conclusion, conclusion).value)


def test_a_finished_check_can_change_its_mind(world: World) -> None:
    commit = CommitRef(world.source, head_of(world))
    world.host().ensure_check(commit, check())
    world.host().ensure_check(commit, check(conclusion=Conclusion.SUCCESS, title="All fixed"))
    (seen,) = world.checks(commit.commit)
    assert (seen.conclusion, seen.title) == ("success", "All fixed")


def test_another_key_is_another_check_and_another_commit_too(world: World) -> None:
    head = CommitRef(world.source, head_of(world))
    base = CommitRef(world.source, world.tip("main"))
    refs = {world.host().ensure_check(head, check()), world.host().ensure_check(head, check("review-2", Conclusion.SUCCESS))}
    refs.add(world.host().ensure_check(base, check()))
    assert len(refs) == 3
    assert [seen.conclusion for seen in world.checks(head.commit)] == ["failure", "success"]
    assert [seen.conclusion for seen in world.checks(base.commit)] == ["failure"]


def test_a_check_at_the_limit_of_the_host_arrives(world: World) -> None:
    limits = world.provider.capabilities
    commit = CommitRef(world.source, head_of(world))
    large = replace(check(), title="\u2603" * (limits.max_title // 3), summary="\u2603" * (limits.max_body // 3))
    world.host().ensure_check(commit, large)
    (seen,) = world.checks(commit.commit)
    assert (seen.title, seen.summary) == (large.title, large.summary)


# --- threads ---


def test_threads_that_are_opened_together_are_one_notification(world: World) -> None:
    refs = world.host().ensure_threads(world.ref, head_of(world), [thread(1, 10), thread(2, 11), thread(3, 31)], "Three findings.")
    seen = world.threads()
    assert [(t.path, t.line, t.body, t.resolved) for t in seen] == [
        ("app.py", 10, "**Finding 1.**", False),
        ("app.py", 11, "**Finding 2.**", False),
        ("app.py", 31, "**Finding 3.**", False),
    ]
    assert [(ref.fingerprint, ref.id, ref.outside) for ref in refs] == [(f"v1:{n:032x}", seen[n - 1].id, False) for n in (1, 2, 3)]
    assert world.notifications() == 1


def test_threads_twice_are_once(world: World) -> None:
    wanted = [thread(1, 10), thread(2, 31)]
    first = world.host().ensure_threads(world.ref, head_of(world), wanted, "Two.")
    assert list(world.host().ensure_threads(world.ref, head_of(world), wanted, "Two.")) == list(first)
    assert len(world.threads()) == 2
    assert world.notifications() == 1


def test_only_what_is_missing_is_opened(world: World) -> None:
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, 10)], "One.")
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, 10), thread(2, 31)], "Two.")
    assert [t.line for t in world.threads()] == [10, 31]
    assert world.notifications() == 2


def test_a_changed_text_is_edited_and_nobody_is_told(world: World) -> None:
    world.host().ensure_threads(world.ref, head_of(world), [thread(1)], "One.")
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, body="**Better said.**")], "One.")
    (seen,) = world.threads()
    assert seen.body == "**Better said.**"
    assert world.notifications() == 1


def test_a_thread_is_resolved_when_its_finding_is_gone_and_opened_again_when_it_is_back(world: World) -> None:
    states = []
    world.host().ensure_threads(world.ref, head_of(world), [thread(1)], "One.")
    for gone in (True, True, False):
        world.host().ensure_threads(
            world.ref, head_of(world), [Thread(thread(1).fingerprint, "", 1, 1, "", True) if gone else thread(1)], ""
        )
        (seen,) = world.threads()
        states.append((seen.resolved, seen.body))
    assert states == [(True, "**Finding 1.**"), (True, "**Finding 1.**"), (False, "**Finding 1.**")]
    assert world.notifications() == 1


def test_a_thread_that_is_resolved_before_it_was_opened_is_never_opened(world: World) -> None:
    refs = world.host().ensure_threads(world.ref, head_of(world), [thread(1, resolved=True)], "")
    assert list(refs) == []
    assert world.threads() == []
    assert world.notifications() == 0


def test_no_threads_are_no_effect(world: World) -> None:
    assert list(world.host().ensure_threads(world.ref, head_of(world), [], "Nothing.")) == []
    assert world.notifications() == 0
    assert world.comments() == []


def test_what_people_answer_is_not_touched(world: World) -> None:
    world.host().ensure_threads(world.ref, head_of(world), [thread(1)], "One.")
    (seen,) = world.threads()
    world.answer(seen.id, "I do not think so.")
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, body="Edited.")], "One.")
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, resolved=True)], "")
    (seen,) = world.threads()
    assert (seen.replies, seen.resolved) == (("I do not think so.",), True)


def test_a_line_outside_of_the_diff_costs_only_itself(world: World) -> None:
    wanted = [thread(1, 10), thread(2, 1), replace(thread(3), path="not/there.py"), thread(4, 31)]
    refs = world.host().ensure_threads(world.ref, head_of(world), wanted, "Four.")
    by_number = {int(ref.fingerprint.removeprefix("v1:"), 16): ref for ref in refs}
    assert len(by_number) == 4
    outside = {number for number, ref in by_number.items() if ref.outside}
    assert outside == ({2, 3} if world.only_in_diff else set())
    opened = {ref.id for number, ref in by_number.items() if number not in outside}
    assert {t.id for t in world.threads()} == opened
    assert {t.line for t in world.threads()} >= {10, 31}
    assert world.notifications() == 1


def test_our_threads_are_found_again_by_whoever_has_forgotten_them(world: World) -> None:
    assert list(world.host().threads(world.ref)) == []
    opened = world.host().ensure_threads(world.ref, head_of(world), [thread(1, 10), thread(2, 31)], "Two.")
    world.answer(world.threads()[0].id, "I see.")
    assert sorted(world.host().threads(world.ref), key=lambda ref: ref.id) == sorted(opened, key=lambda ref: ref.id)


# --- comments ---


def test_one_comment_a_topic_edited_in_place(world: World) -> None:
    for body in ("First.", "First.", "Second."):
        world.host().ensure_comment(world.ref, "summary", body)
    world.host().ensure_comment(world.ref, "other", "Elsewhere.")
    assert world.comments() == ["Second.", "Elsewhere."]
    assert world.notifications() == 2


def test_an_empty_comment_makes_none_takes_an_old_one_away_and_lets_it_come_back(world: World) -> None:
    world.host().ensure_comment(world.ref, "summary", "")
    assert (world.comments(), world.notifications()) == ([], 0)
    world.host().ensure_comment(world.ref, "summary", "Two findings.")
    world.host().ensure_comment(world.ref, "summary", "")
    assert world.comments() == []
    world.host().ensure_comment(world.ref, "summary", "One finding.")
    assert world.comments() == ["One finding."]
    assert world.notifications() == 1


def test_a_comment_is_answered_once_in_the_conversation(world: World) -> None:
    asked, other = world.comment("/fix"), world.comment("/fix")
    world.host().acknowledge(asked)
    for body in ("Working.", "Done.", "Done."):
        world.host().ensure_reply(asked, "fix", body)
    assert world.comments() == ["Done."]
    world.host().ensure_reply(other, "fix", "Done as well.")
    world.host().ensure_reply(asked, "explain", "Because.")
    assert world.comments() == ["Done.", "Done as well.", "Because."]


def test_a_comment_in_a_thread_is_answered_there(world: World) -> None:
    world.host().ensure_threads(world.ref, head_of(world), [thread(1, 10), thread(2, 31)], "Two.")
    first, second = world.threads()
    asked = world.answer(second.id, "/fix")
    world.host().acknowledge(asked)
    for body in ("Working.", "Done."):
        world.host().ensure_reply(asked, "fix", body)
    assert [t.replies for t in world.threads()] == [(), ("/fix", "Done.")]
    assert world.comments() == []
    assert first.replies == ()


# --- branches and pull requests ---


def test_a_branch_holds_one_commit_on_its_parent(world: World) -> None:
    made = world.host().ensure_branch(world.source, branch_commit(world))
    assert world.tip(BRANCH) == made.commit
    assert world.parents(made.commit) == [head_of(world)]
    assert world.file(BRANCH, "app.py") == patch().edits[0].after
    assert world.file("feature", "app.py") == CHANGED.encode()


def test_a_branch_twice_is_the_same_commit(world: World) -> None:
    first = world.host().ensure_branch(world.source, branch_commit(world))
    assert world.host().ensure_branch(world.source, branch_commit(world)) == first
    assert world.tip(BRANCH) == first.commit


def test_our_own_branch_moves_with_the_change(world: World) -> None:
    world.host().ensure_branch(world.source, branch_commit(world))
    world.commit({"more.txt": "z\n"})
    moved = world.host().ensure_branch(world.source, branch_commit(world))
    assert world.tip(BRANCH) == moved.commit
    assert world.parents(moved.commit) == [head_of(world)]


def test_files_are_made_changed_and_deleted_and_keep_their_mode(world: World) -> None:
    edits = (
        FileEdit("tool.sh", b"echo 1\n", b"echo 2\n"),
        FileEdit("gone.py", b"x = 1\n", None),
        FileEdit("a/new/file.txt", None, "\u2603\r\nraw \x00 bytes\n".encode()),
    )
    world.host().ensure_branch(world.source, branch_commit(world, *edits))
    assert (world.file(BRANCH, "tool.sh"), world.mode(BRANCH, "tool.sh")) == (b"echo 2\n", "100755")
    assert world.mode(BRANCH, "gone.py") == ""
    assert (world.mode(BRANCH, "a/new/file.txt"), world.mode(BRANCH, "app.py")) == ("100644", "100644")
    assert world.file(BRANCH, "a/new/file.txt") == edits[2].after


@pytest.mark.parametrize("branch", ["main", "feature", "fixwright", "refs/heads/fixwright/x", "fixwright/../main", "fixwright/", ""])
def test_only_a_branch_of_ours_is_ever_written(world: World, branch: str) -> None:
    before = {name: world.tip(name) for name in ("main", "feature")}
    with pytest.raises(HostRejected):
        world.host().ensure_branch(world.source, branch_commit(world, branch=branch))
    assert {name: world.tip(name) for name in before} == before


def test_a_branch_to_which_a_person_added_is_left_alone(world: World) -> None:
    world.host().ensure_branch(world.source, branch_commit(world))
    theirs = world.commit({"theirs.txt": "mine\n"}, BRANCH)
    world.commit({"more.txt": "z\n"})
    with pytest.raises(HostRejected, match="branch"):
        world.host().ensure_branch(world.source, branch_commit(world))
    assert world.tip(BRANCH) == theirs


@pytest.mark.parametrize(
    "edit",
    [
        FileEdit("app.py", b"another state\n", b"x\n"),
        FileEdit("not/there.py", b"x\n", b"y\n"),
        FileEdit("app.py", None, b"x\n"),
        FileEdit("../outside.py", None, b"x\n"),
        FileEdit("/outside.py", None, b"x\n"),
        FileEdit(".git/hooks/post-commit", None, b"x\n"),
        FileEdit("a/.GIT/config", None, b"x\n"),
        FileEdit("a//b.py", None, b"x\n"),
        FileEdit("link", b"/etc", b"/root"),
        FileEdit("link/passwd", None, b"x\n"),
        FileEdit("app.py/inside.py", None, b"x\n"),
        FileEdit("app.py", CHANGED.encode(), CHANGED.encode()),
    ],
    ids=lambda edit: f"{edit.path} {'made' if edit.before is None else 'changed'}",
)
def test_a_patch_that_does_not_fit_is_rejected_and_no_branch_made(world: World, edit: FileEdit) -> None:
    world.commit_link("link", "/etc")
    with pytest.raises(HostRejected):
        world.host().ensure_branch(world.source, branch_commit(world, edit))
    assert world.tip(BRANCH) == ""


def test_who_signs_off_is_the_author_of_the_commit(world: World) -> None:
    made = world.host().ensure_branch(world.source, replace(branch_commit(world), sign_off=True))
    message, author = world.message(made.commit)
    assert message == f"Mend line 10\n\nIt is mended.\n\nSigned-off-by: {author}\n"
    assert world.host().ensure_branch(world.source, replace(branch_commit(world), sign_off=True)) == made


def test_a_branch_of_ours_is_removed_and_one_to_which_a_person_added_is_not(world: World) -> None:
    world.host().ensure_no_branch(world.source, BRANCH)
    world.host().ensure_branch(world.source, branch_commit(world))
    for _ in range(2):
        world.host().ensure_no_branch(world.source, BRANCH)
        assert world.tip(BRANCH) == ""
    world.host().ensure_branch(world.source, branch_commit(world))
    theirs = world.commit({"theirs.txt": "mine\n"}, BRANCH)
    world.host().ensure_no_branch(world.source, BRANCH)
    assert world.tip(BRANCH) == theirs
    for branch in ("feature", "fixwright/../feature"):
        with pytest.raises(HostRejected):
            world.host().ensure_no_branch(world.source, branch)
    assert world.tip("feature")


def test_a_commit_is_put_on_a_persons_branch_once_also_when_there_are_newer_ones(world: World) -> None:
    before = head_of(world)
    wanted = replace(branch_commit(world, branch="feature"), sign_off=True)
    made = world.host().ensure_commit(world.source, wanted)
    assert (world.tip("feature"), world.parents(made.commit)) == (made.commit, [before])
    assert world.file("feature", "app.py") == patch().edits[0].after
    message, author = world.message(made.commit)
    assert message.endswith(f"It is mended.\n\nSigned-off-by: {author}\n")
    assert world.host().ensure_commit(world.source, wanted) == made
    newer = world.commit({"more.txt": "z\n"})
    assert world.host().ensure_commit(world.source, wanted) == made
    assert world.tip("feature") == newer


def test_a_persons_branch_that_moved_gets_no_commit(world: World) -> None:
    wanted = branch_commit(world, branch="feature")
    moved = world.commit({"more.txt": "z\n"})
    with pytest.raises(HeadMoved):
        world.host().ensure_commit(world.source, wanted)
    assert world.tip("feature") == moved
    forced = world.force_push({"app.py": "all new\n"})
    with pytest.raises(HeadMoved):
        world.host().ensure_commit(world.source, wanted)
    assert world.tip("feature") == forced


def test_a_persons_branch_gets_no_patch_that_does_not_fit(world: World) -> None:
    before = head_of(world)
    for edit in (FileEdit("app.py", b"another state\n", b"x\n"), FileEdit("app.py", CHANGED.encode(), CHANGED.encode())):
        with pytest.raises(HostRejected):
            world.host().ensure_commit(world.source, branch_commit(world, edit, branch="feature"))
    with pytest.raises(HostNotFound):
        world.host().ensure_commit(world.source, branch_commit(world, branch="not-there"))
    assert head_of(world) == before


def test_a_branch_that_takes_no_commit_of_ours_gets_none(world: World) -> None:
    before = head_of(world)
    world.protect("feature")
    with pytest.raises((HostRejected, HostForbidden)) as refused:
        world.host().ensure_commit(world.source, branch_commit(world, branch="feature"))
    assert not isinstance(refused.value, HeadMoved)
    assert head_of(world) == before


def test_a_pull_request_is_opened_once_and_edited_afterwards(world: World) -> None:
    commit = world.host().ensure_branch(world.source, branch_commit(world))
    first = world.host().ensure_pull_request(draft(world, commit))
    assert world.host().ensure_pull_request(draft(world, commit)) == first
    assert world.host().ensure_pull_request(draft(world, commit, "Mend it better", "Said better.")) == first
    ours = [pull for pull in world.pulls() if pull.number != world.ref.number]
    assert [(p.number, p.head, p.base, p.title, p.body, p.open) for p in ours] == [
        (first.number, BRANCH, "feature", "Mend it better", "Said better.", True)
    ]
    assert world.host().pull_request(first).author.bot


def test_closing_says_why_once_and_a_closed_one_is_left_alone(world: World) -> None:
    commit = world.host().ensure_branch(world.source, branch_commit(world))
    ours = world.host().ensure_pull_request(draft(world, commit))
    for reason in ("The change is merged.", "Another reason."):
        world.host().ensure_closed(ours, reason)
    assert [pull.open for pull in world.pulls()] == [True, False]
    assert world.comments(ours) == ["The change is merged."]
    again = world.host().ensure_pull_request(draft(world, commit))
    assert again.number != ours.number


def test_nothing_of_the_base_was_changed_by_all_that(world: World) -> None:
    before = world.tip("main")
    commit = world.host().ensure_branch(world.source, branch_commit(world))
    world.host().ensure_pull_request(draft(world, commit))
    assert world.tip("main") == before
    assert {path: world.file("main", path) for path in ("tool.sh", "gone.py")} == {
        path: str(BASE[path]).encode() for path in ("tool.sh", "gone.py")
    }


# --- what is written under a lease ---


def _talks(world: World) -> CodeHost:
    """A host with the right to write comments: what is refused below is the write itself, and not the request for a token."""
    world.host().ensure_comment(world.ref, "before", "Said before.")
    return world.host()


def _checks(world: World) -> Callable[[], object]:
    world.host().prepare(world.source)
    return partial(world.host().ensure_check, CommitRef(world.source, head_of(world)), check())


def _makes_a_branch(world: World) -> Callable[[], object]:
    world.host().ensure_branch(world.source, branch_commit(world, branch=f"{BRANCH}-before"))
    return partial(world.host().ensure_branch, world.source, branch_commit(world))


def _opens_a_pull_request(world: World) -> Callable[[], object]:
    commit = world.host().ensure_branch(world.source, branch_commit(world))
    return partial(world.host().ensure_pull_request, draft(world, commit))


def _closes_it(world: World) -> Callable[[], object]:
    commit = world.host().ensure_branch(world.source, branch_commit(world))
    ours = world.host().ensure_pull_request(draft(world, commit))
    return partial(world.host().ensure_closed, ours, "The change is merged.")


def _removes_a_branch(world: World) -> Callable[[], object]:
    world.host().ensure_branch(world.source, branch_commit(world))
    return partial(world.host().ensure_no_branch, world.source, BRANCH)


def _adds_a_commit(world: World) -> Callable[[], object]:
    world.host().ensure_branch(world.source, branch_commit(world, branch=f"{BRANCH}-before"))
    return partial(world.host().ensure_commit, world.source, branch_commit(world, branch="feature"))


WRITES: Mapping[str, Callable[[World], Callable[[], object]]] = {
    "ensure_check": _checks,
    "ensure_comment": lambda world: partial(_talks(world).ensure_comment, world.ref, "summary", "Two findings."),
    "ensure_reply": lambda world: partial(_talks(world).ensure_reply, world.comment("/fix"), "fix", "Done."),
    "ensure_threads": lambda world: partial(_talks(world).ensure_threads, world.ref, head_of(world), [thread(1)], "One."),
    "ensure_branch": _makes_a_branch,
    "ensure_no_branch": _removes_a_branch,
    "ensure_commit": _adds_a_commit,
    "ensure_pull_request": _opens_a_pull_request,
    "ensure_closed": _closes_it,
    "acknowledge": lambda world: partial(_talks(world).acknowledge, world.comment("/fix")),
    "draft_advisory": lambda world: partial(world.host().draft_advisory, world.source, AdvisoryDraft("SQL", "Why.", "high", ("CWE-89",))),
}
"""Verb -> what makes ready for it, and gives the call."""
UNSEEN = {"acknowledge", "draft_advisory"}
"""A reaction and a draft are nothing that `World` shows; that they are refused is held all the same."""


def seen_on(world: World) -> object:
    """All that the verbs leave behind for people to see."""
    pulls = world.pulls()
    said = [world.comments(PullRequestRef(world.source, pull.number)) for pull in pulls]
    return (world.checks(head_of(world)), world.threads(), pulls, said, world.tip(BRANCH), world.tip("feature"))


def test_every_verb_that_writes_is_tried_by_who_was_overtaken() -> None:
    ensuring = {name for name, _ in inspect.getmembers(CodeHost, inspect.isfunction) if name.startswith("ensure_")}
    assert set(WRITES) == ensuring | UNSEEN


@pytest.mark.parametrize("verb", WRITES)
def test_who_was_overtaken_in_the_middle_of_a_call_writes_nothing_any_more(world: World, verb: str) -> None:
    def taken_over() -> None:
        raise LeaseLost("another worker has it")

    call = WRITES[verb](world)
    before = seen_on(world)
    with fenced(Fence(0.0, taken_over, 0.0)), pytest.raises(LeaseLost):
        call()
    assert seen_on(world) == before
    if verb not in UNSEEN:
        call()
        assert seen_on(world) != before
