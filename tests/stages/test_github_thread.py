"""The whole thread against the double of GitHub: delivery, scan, check, threads, /fix. Its every request and answer is judged there."""

from __future__ import annotations

import pytest

from pipeline.errors import EngineMissing
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from tests.fakes import FailingScanner, GoodFixer, LineScanner
from tests.stages.github import ON_BOTH, VALUE, GithubBench, KeyScanner
from tests.worlds import faults
from tests.worlds.github.model import CheckRun, PullRequest, Repository

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}


def posted(github: GithubBench, suffix: str) -> int:
    """How many accepted effects end so: `/check-runs`, `/reviews`, `/git/refs`, `/pulls`."""
    return sum(effect.method == "POST" and effect.path.endswith(suffix) for effect in github.world.effects)


@ON_BOTH
def test_a_secret_and_a_bad_line_are_one_failing_check_two_threads_and_one_mail(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"a.txt": OLD["a.txt"] + "BAD new\n", "c.txt": f"fine\ntoken = {VALUE}\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.name, run.status, run.conclusion) == ("Fixwright", "completed", "failure")
    assert run.title is not None
    assert "2 block" in run.title
    (review,) = pull.reviews
    bad, key = sorted(github.threads(pull), key=lambda comment: comment.original.path)
    assert {bad.review, key.review} == {review}
    assert (bad.original.path, bad.original.line, bad.original_commit) == ("a.txt", 4, pull.head_sha)
    assert (key.original.path, key.original.line) == ("c.txt", 2)
    assert "```suggestion\nGOOD new\n```" in bad.body
    assert "suggestion" not in key.body
    assert [effect.operation for effect in github.world.notifying_calls(pull)] == ["/repos/{owner}/{repo}/pulls/{pull_number}/reviews"]
    # What has a thread on its line is not annotated there as well.
    assert run.annotations == []
    said = [run.title, run.summary, run.text, *(c.body for c in pull.comments), *(c.body for c in pull.review_comments), review.body]
    assert all(VALUE not in (text or "") for text in said)
    assert github.dead() == []


def test_a_hundred_copies_of_the_delivery_are_one_review(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    (opened,) = github.world.hooks.of("pull_request", "opened")
    assert github.post_copies(opened, 50) == [202] * 50
    github.settle()
    assert github.post_copies(opened, 50) == [202] * 50
    github.settle()
    assert github.sent("start_review") == 1
    assert github.reviews(pull.head_sha) == 1
    assert len(github.runs(repository, pull.head_sha)) == 1
    assert len(github.threads(pull)) == 1
    assert len(github.world.notifying_calls(pull)) == 1


def test_a_forged_delivery_leaves_nothing(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    (opened,) = github.world.hooks.of("pull_request", "opened")
    assert github.post(github.world.hooks.forged(opened.id, "not the secret")).status_code == 401
    assert github.unfinished() == 0
    assert github.runs(repository, pull.head_sha) == []


def test_a_force_push_in_the_middle_leaves_only_the_new_heads_verdict(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    first = pull.head_sha
    pushed: list[str] = []

    def push_while_scanning() -> None:
        if not pushed:
            pushed.append(github.world.force_push(repository, "feature", {"d.txt": "BAD\n"}))
            github.take()
            github.start("pull_request.synchronize")

    github.look_with(LineScanner(before=push_while_scanning), KeyScanner())
    github.settle()
    (second,) = pushed
    (old,) = github.runs(repository, first)
    (new,) = github.runs(repository, second)
    assert (old.status, old.conclusion) == ("completed", "cancelled")
    assert old.title is not None
    assert second[:7] in old.title
    assert (new.status, new.conclusion) == ("completed", "failure")
    assert [(c.original.path, c.original_commit) for c in github.threads(pull)] == [("d.txt", second)]
    assert len(github.world.notifying_calls(pull)) == 1


@pytest.mark.parametrize(
    ("count", "line", "threads"), [(51, "BAD", 5), (500, "BAD", 5), (51, VALUE[:-2], 10)], ids=["51", "500", "51 secrets"]
)
def test_many_findings_arrive_within_githubs_limits(github: GithubBench, count: int, line: str, threads: int) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"many.txt": "".join(f"{line}{n % 90 + 10} in line {n}\n" for n in range(count))})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "failure"
    assert run.title is not None
    assert f"{count} block" in run.title
    opened = github.threads(pull)
    assert len(opened) == threads <= 10
    # Every finding has one place: a thread or an annotation.
    places = [c.original.line or 0 for c in opened] + [int(a["start_line"]) for a in run.annotations]
    assert sorted(places) == list(range(1, count + 1))
    within_limits(github, run)
    assert len(github.world.notifying_calls(pull)) == 1
    assert github.dead() == []


@pytest.mark.parametrize("count", [50, 51, 500])
def test_a_check_ends_with_its_last_annotations_and_not_before(github: GithubBench, count: int) -> None:
    github.use(fixers=[])
    repository = github.repository(OLD)
    pull = github.change(repository, {"many.txt": "".join(f"BAD number {n}\n" for n in range(count))})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert sorted(a["start_line"] for a in run.annotations) == list(range(1, count + 1))
    within_limits(github, run)
    writes = [e.body for e in github.world.effects if "/check-runs" in e.path]
    sent = [len(body["output"].get("annotations", [])) for body in writes]
    assert sent == [0, *[50] * (count // 50), *([count % 50] if count % 50 else [])]
    assert ["conclusion" in body for body in writes] == [False] * (len(writes) - 1) + [True]


def within_limits(github: GithubBench, run: CheckRun) -> None:
    """At most 50 annotations a request, and texts that GitHub does not cut."""
    bodies = [e.body for e in github.world.effects if "/check-runs" in e.path]
    assert max(len(body["output"].get("annotations", [])) for body in bodies) <= 50
    assert all(len((text or "").encode()) <= 65_535 for text in (run.summary, run.text))


@ON_BOTH
def test_a_second_pull_request_into_a_lax_base_does_not_turn_the_head_green(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "lax", {".github/fixwright.yml": "gate: {block: never}\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    second = github.world.open_pull_request("ada", repository, "feature", "lax", "Around the gate")
    github.settle()
    runs = github.runs(repository, pull.head_sha)
    assert second.head_sha == pull.head_sha
    assert len(runs) == 2
    assert {(run.status, run.conclusion) for run in runs} == {("completed", "failure")}
    # Only when the strict one is gone, the lax one's own verdict counts.
    github.world.close("ada", pull)
    github.settle()
    assert github.runs(repository, pull.head_sha)[-1].conclusion == "success"


def test_while_the_strict_one_is_still_being_checked_the_lax_one_finishes_nothing(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.commit(repository, "lax", {".github/fixwright.yml": "gate: {block: never}\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    meanwhile: list[set[str]] = []

    def judge_the_other_one_first() -> None:
        if not meanwhile:
            meanwhile.append(set())
            second = github.world.open_pull_request("ada", repository, "feature", "lax", "Around the gate")
            github.take()
            github.start("pull_request.opened")
            github.work_review(second.number)
            meanwhile.append({run.status for run in github.runs(repository, pull.head_sha)})

    github.look_with(LineScanner(before=judge_the_other_one_first), KeyScanner())
    github.settle()
    assert meanwhile == [set(), {"in_progress"}]
    runs = github.runs(repository, pull.head_sha)
    assert [(run.status, run.conclusion) for run in runs] == [("completed", "failure")] * 2


def test_a_clean_change_is_green_and_nobody_is_told(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.conclusion, run.annotations) == ("success", [])
    assert github.world.notifying_calls(pull) == []


@ON_BOTH
def test_a_thread_is_resolved_when_its_line_is_mended(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "BAD\n", "d.txt": "BAD too\n"})
    github.settle()
    github.world.commit(repository, "feature", {"c.txt": "GOOD\n"})
    github.settle()
    states = {comment.original.path: comment.thread.resolved_by is not None for comment in github.threads(pull)}
    assert states == {"c.txt": True, "d.txt": False}
    assert len(github.world.notifying_calls(pull)) == 1
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "failure"


def test_a_check_that_is_run_again_gets_a_new_verdict(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.look_with(FailingScanner(lambda name: EngineMissing("it is not installed here", engine=name)), KeyScanner())
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "action_required"
    github.look_with(LineScanner(), KeyScanner())
    github.world.rerequest_check("ada", run)
    github.settle()
    assert github.reviews(pull.head_sha) == 2
    newest = github.runs(repository, pull.head_sha)[-1]
    assert newest.id != run.id
    assert (newest.status, newest.conclusion) == ("completed", "failure")
    assert len(github.threads(pull)) == 1
    assert len(github.world.notifying_calls(pull)) == 1


# --- /fix ---


def fixable(github: GithubBench) -> tuple[Repository, PullRequest]:
    """A reviewed pull request with one finding that can be mended."""
    repository = github.repository(OLD)
    pull = github.change(repository, {"c.txt": "fine\nBAD\n"})
    github.settle()
    return repository, pull


def test_fix_by_a_writer_is_one_branch_one_pull_request_and_one_answer(github: GithubBench) -> None:
    repository, pull = fixable(github)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (branch,) = github.our_branches(repository)
    (fix,) = github.ours(repository)
    assert (fix.head_ref, fix.base_ref) == (branch, "feature")
    assert github.world.read(repository, branch, "c.txt") == b"fine\nGOOD\n"
    assert repository.git.commit(fix.head_sha).parents == (pull.head_sha,)
    (answer,) = github.answers(pull)
    assert f"#{fix.number}" in answer
    assert "re-scanned" in (fix.body or "")
    assert [reaction.content for comment in pull.comments for reaction in comment.reactions] == ["eyes"]
    # Our own pull request is a change like any other: it is looked at, clean, and nobody is told.
    (run,) = github.runs(repository, fix.head_sha)
    assert run.conclusion == "success"
    assert github.answers(fix) == []


def test_fix_in_a_thread_is_answered_there_with_the_lines_to_take(github: GithubBench) -> None:
    repository, pull = fixable(github)
    (thread,) = github.threads(pull)
    github.world.reply_in_thread("ada", thread.id, "/fix")
    github.settle()
    first, question, answer = thread.thread.comments
    assert (first.id, question.body) == (thread.id, "/fix")
    assert "```suggestion\nGOOD\n```" in answer.body
    assert github.ours(repository) == []
    github.world.apply_suggestion("ada", answer)
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "success"
    assert thread.thread.resolved_by is not None


def test_fix_by_a_reader_is_refused(github: GithubBench) -> None:
    repository, pull = fixable(github)
    github.world.comment("eve", pull, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "write permission" in answer
    assert github.our_branches(repository) == []
    assert github.sent("request_fix") == 0


def test_what_we_write_ourselves_is_never_a_command(github: GithubBench) -> None:
    repository, pull = fixable(github)
    with github.world.github.state.lock:
        bot = github.world.app.bot
        github.world.github.actions.comment(pull, bot, "/fix", github.world.app)
        # In a person's name, through our App: that is us as well.
        github.world.github.actions.comment(pull, github.world.user("ada"), "/fix", github.world.app)
        github.world.github.actions.reply(github.threads(pull)[0], bot, "/fix")
    github.settle()
    assert github.sent("request_fix") == 0
    assert github.ours(repository) == []


@ON_BOTH
def test_fix_asked_twenty_times_is_one_pull_request(github: GithubBench) -> None:
    repository, pull = fixable(github)
    for _ in range(10):
        github.world.comment("ada", pull, "/fix")
    github.settle()
    for _ in range(10):
        github.world.comment("ada", pull, "/fix")
    github.settle()
    assert len(github.our_branches(repository)) == 1
    (fix,) = github.ours(repository)
    assert github.sent("run_fix") == 1
    assert posted(github, "/git/refs") == 1
    # Whoever asks again is told the same number; those who asked while it was made, or in one minute, share one answer.
    answers = github.answers(pull)
    assert all(f"#{fix.number}" in answer for answer in answers)
    assert 2 <= len(answers) <= 4


def test_a_fork_gets_the_patch_in_the_answer_and_no_branch(github: GithubBench) -> None:
    repository = github.repository(OLD)
    fork = github.world.fork(repository, "mallory")
    github.world.commit(fork, "feature", {"c.txt": "fine\nBAD\n"}, author="mallory")
    pull = github.world.open_pull_request("mallory", repository, "feature", "main", "From afar", fork=fork)
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert run.conclusion == "failure"
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "-BAD" in answer
    assert "+GOOD" in answer
    assert github.our_branches(repository) == []
    assert github.our_branches(fork) == []
    assert github.ours(repository) == []


# --- when GitHub fails ---

LOST = {
    "check, review, commit, pull request": [
        ("POST", "/check-runs$"),
        ("POST", "/pulls/[0-9]+/reviews$"),
        ("POST", "/git/commits$"),
        ("POST", "/pulls$"),
    ],
    "end of the check, blob, branch, answer": [
        ("PATCH", "/check-runs/"),
        ("POST", "/git/blobs$"),
        ("POST", "/git/refs$"),
        ("POST", "/issues/[0-9]+/comments$"),
    ],
}
"""What GitHub does although it answers 500; no message meets more of them than it has attempts."""


@pytest.mark.parametrize("what", LOST)
def test_what_github_did_although_it_said_otherwise_is_not_done_again(
    github: GithubBench, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    for method, path in LOST[what]:
        github.world.faults.add(method, path, faults.Status(500, after_work=True))
    repository, pull = fixable(github)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert caplog.messages.count("message.failed") == len(LOST[what])
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert len(github.threads(pull)) == 1
    assert len(github.our_branches(repository)) == 1
    assert len(github.ours(repository)) == 1
    assert len(github.answers(pull)) == 1
    assert github.dead() == []


@pytest.mark.parametrize("told", [True, False], ids=["by the clock", "by a refusal"])
def test_a_token_that_ends_in_the_middle_is_made_anew(github: GithubBench, told: bool) -> None:
    repository = github.repository(OLD)
    refusal = faults.Status(401, b'{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"}')

    ended: list[bool] = []

    def end() -> None:
        if told:
            github.world.advance(3_700)
        elif not ended:
            github.world.faults.add("*", "^/repos/", refusal)
        ended.append(True)

    github.live_by_the_worlds_clock()
    github.look_with(LineScanner(before=end), KeyScanner())
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert len(github.threads(pull)) == 1
    assert (401 in {asked.status for asked in github.world.asked}) is not told
    assert github.dead() == []


def test_a_github_that_is_down_all_along_delays_and_loses_nothing(github: GithubBench) -> None:
    repository = github.repository(OLD)
    github.world.faults.add("*", ".", faults.Status(502), times=3)
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "failure")
    assert github.dead() == []


def test_who_is_pushed_over_while_it_speaks_leaves_the_word_to_the_new_head(github: GithubBench) -> None:
    repository = github.repository(OLD)
    pushed: list[str] = []

    class Pushing(GoodFixer):
        def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
            if not pushed:  # between the look at the head and the first word
                pushed.append(github.world.force_push(repository, "feature", {"a.txt": OLD["a.txt"] + "BAD newer\n"}))
            return super().fix(finding, files)

    github.use(scanners=[LineScanner(), KeyScanner()], fixers=[Pushing()])
    pull = github.change(repository, {"a.txt": OLD["a.txt"] + "BAD new\n"})
    github.settle()
    (thread,) = github.threads(pull)
    assert thread.original_commit == pull.head_sha == pushed[0]
    assert github.dead() == []
