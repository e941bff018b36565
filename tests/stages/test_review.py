"""From a delivery to the check, with instant engines: what a review says, and that it says it once."""

from __future__ import annotations

import pytest
from sqlalchemy import delete

from pipeline.errors import EngineCrashed, EngineError, EngineGarbage, EngineMissing, EngineOutOfMemory, EngineTimedOut
from pipeline.model.event import PullRequestAction, PushEvent
from pipeline.model.ids import CommitId
from pipeline.model.scan import ScanType
from pipeline.model.target import UserRef
from pipeline.store.tables import scan_cache
from tests.fakes import FailingScanner, LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo
from tests.stages.github import ON_BOTH

pytestmark = ON_BOTH


def test_only_what_the_change_introduced_is_new(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"a.txt": "fine\nBAD old\nfine\nBAD new\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.status == "completed"
    assert check.conclusion == "failure"
    assert "a.txt:4" in check.title
    assert "1 blocks" in check.title
    assert "Older in these files, not shown: 1" in check.summary


def test_a_clean_change_is_a_green_check_and_not_a_word_more(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "success"
    said = bench.said(repo, ref)
    assert said.comments == []
    assert said.threads == []
    assert said.notifications == 0


def test_moving_and_renaming_old_code_is_not_new(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"a.txt": None, "moved/a2.txt": "one more line\nfine\nBAD old\nfine\n"}, branch="feature")
    bench.review(repo, "feature")
    assert bench.checks(repo, head)[0].conclusion == "success"


def test_the_same_event_a_hundred_times_is_one_review(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")
    for number in range(100):
        bench.changed(ref, delivery=f"copy-{number % 50}")
    bench.work(1000)
    assert len(bench.checks(repo, head)) == 1
    assert bench.said(repo, ref).notifications <= 1
    with bench.app.database.read() as work:
        assert len(work.reviews.of_head(repo.source, head)) == 1


def test_a_force_push_leaves_only_the_newest_verdict(bench: Bench, repo: LocalRepo) -> None:
    first = repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")
    pushed: list[CommitId] = []

    def push_while_scanning() -> None:
        if not pushed:
            pushed.append(repo.commit({"c.txt": "fine\n"}, branch="feature"))
            bench.changed(ref, PullRequestAction.UPDATED, "second")
            bench.work_key("accept:second")
            bench.work_key("start:second")

    bench.use(scanners=[LineScanner(before=push_while_scanning), LineScanner(ScanType.SECRETS)])
    bench.changed(ref)
    bench.work()
    (second,) = pushed
    (old,) = bench.checks(repo, first)
    (new,) = bench.checks(repo, second)
    assert old.conclusion == "cancelled"
    assert second[:7] in old.title
    assert new.conclusion == "success"
    assert bench.said(repo, ref).threads == []


def test_a_second_pull_request_with_a_lax_base_does_not_turn_the_head_green(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": "gate: {block: never}\n"}, branch="lax", start="main")
    repo.commit({}, branch="main")
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    bench.review(repo, "feature", "main")
    assert {c.conclusion for c in bench.checks(repo, head)} == {"failure"}
    second = bench.pull_request_again(repo, "feature", "lax")
    bench.changed(second)
    bench.work()
    assert {c.conclusion for c in bench.checks(repo, head)} == {"failure"}


def test_closing_the_strict_one_leaves_the_verdict_of_the_other(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": "gate: {block: never}\n"}, branch="lax", start="main")
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    strict = bench.review(repo, "feature", "main")
    second = bench.pull_request_again(repo, "feature", "lax")
    bench.changed(second)
    bench.work()
    bench.close_pull_request(repo, strict)
    bench.work()
    assert bench.checks(repo, head)[-1].conclusion == "success"


def test_closing_and_reopening_the_strict_one_changes_every_check_of_the_head(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": "gate: {block: never}\n"}, branch="lax", start="main")
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    bench.changed(bench.pull_request(repo, "feature", "lax"))
    bench.work()
    strict = bench.pull_request_again(repo, "feature", "main")
    bench.changed(strict)
    bench.work()
    assert [c.conclusion for c in bench.checks(repo, head)] == ["failure", "failure"]
    bench.close_pull_request(repo, strict)
    bench.work()
    assert [c.conclusion for c in bench.checks(repo, head)] == ["success", "success"]
    bench.reopen_pull_request(repo, strict)
    bench.work()
    assert [c.conclusion for c in bench.checks(repo, head)] == ["failure", "failure"]


def test_closing_one_of_two_while_it_is_checked_leaves_no_check_in_progress(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({}, branch="other", start="main")
    head = repo.commit({"c.txt": "fine\n"}, branch="feature", start="main")
    bench.review(repo, "feature", "main")
    second = bench.pull_request_again(repo, "feature", "other")
    seen: list[str | None] = []

    def close_while_scanning() -> None:
        if not seen:
            seen.extend(check.conclusion for check in bench.checks(repo, head))
            bench.close_pull_request(repo, second, "close")
            bench.work_key("accept:close")

    bench.use(scanners=[LineScanner(before=close_while_scanning), LineScanner(ScanType.SECRETS)])
    # Nothing of the first review may be remembered, or no engine runs.
    with bench.app.database.work() as work:
        work.transaction.execute(delete(scan_cache))
    bench.changed(second)
    bench.work()
    assert seen == ["success", None]
    assert [(c.status, c.conclusion) for c in bench.checks(repo, head)] == [("completed", "success")] * 2


@pytest.mark.parametrize(
    ("error", "conclusion", "said"),
    [
        (lambda name: EngineMissing(f"{name} is not installed here", engine=name), "action_required", "is not installed here"),
        (lambda name: EngineTimedOut(f"{name} timed out after 60 s", engine=name), "failure", "timed out after 60 s"),
        (lambda name: EngineOutOfMemory(f"{name} ran out of memory", engine=name), "failure", "ran out of memory"),
        (lambda name: EngineCrashed(f"{name} crashed", engine=name), "failure", "crashed"),
        (lambda name: EngineGarbage(f"{name} answered garbage", engine=name), "failure", "garbage"),
    ],
    ids=["missing", "timeout", "memory", "crash", "garbage"],
)
def test_an_engine_that_fails_is_never_green_and_the_title_says_why(
    bench: Bench, repo: LocalRepo, error: type[EngineError], conclusion: str, said: str
) -> None:
    bench.use(scanners=[FailingScanner(error), LineScanner(ScanType.SECRETS)])
    head = repo.commit({"c.txt": "fine\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.conclusion == conclusion
    assert check.title.startswith("Could not check")
    assert said in check.title


def test_only_a_fault_of_ours_may_be_turned_into_neutral(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": "on_incomplete: warn\n"})
    for error, conclusion in ((EngineMissing, "neutral"), (EngineTimedOut, "failure")):
        bench.use(scanners=[FailingScanner(lambda name, e=error: e("it failed", engine=name)), LineScanner(ScanType.SECRETS)])  # type: ignore[misc]
        head = repo.commit({"c.txt": f"{conclusion}\n"}, branch=f"feature-{conclusion}", start="main")
        bench.review(repo, f"feature-{conclusion}")
        assert bench.checks(repo, head)[0].conclusion == conclusion


def test_an_unusable_policy_says_so_and_is_never_green(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": "gate:\n  blocks: high\n"})
    head = repo.commit({"c.txt": "fine\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "action_required"
    assert "line 2" in check.title + check.summary


def test_a_change_of_the_policy_does_not_count_for_itself(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({".github/fixwright.yml": "gate: {block: never}\n", "c.txt": "BAD\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "failure"
    assert "policy of the base is in force" in check.summary


def test_a_change_without_files_is_green(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "success"
    assert "Nothing to scan" in check.title


def test_a_commit_that_is_gone_ends_in_a_finished_check(bench: Bench, repo: LocalRepo) -> None:
    sender = UserRef("author", "author")
    head = repo.commit({"c.txt": "fine\n"})
    missing = CommitId("1" * 40)
    bench.deliver(PushEvent(INSTALLATION, repo.source, sender, "main", missing, head))
    bench.work()
    (check,) = bench.checks(repo, head)
    assert check.status == "completed"
    assert check.conclusion == "failure"
    assert check.title.startswith("Could not check")


def test_what_was_looked_at_once_is_not_looked_at_again(bench: Bench, repo: LocalRepo) -> None:
    scanner = LineScanner()
    bench.use(scanners=[scanner, LineScanner(ScanType.SECRETS)])
    repo.commit({"c.txt": "fine\n", "d.txt": "fine too\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    scanner.looked.clear()
    repo.commit({"d.txt": "fine three\n"}, branch="feature")
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert scanner.looked == ["d.txt"]


def test_closing_while_engines_run_ends_the_review(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.pull_request(repo, "feature")

    def close_while_scanning() -> None:
        with bench.app.database.read() as work:
            closed = work.reviews.live_of(ref) == []
        if not closed:
            bench.close_pull_request(repo, ref, "close")
            bench.work_key("accept:close")

    bench.use(scanners=[LineScanner(before=close_while_scanning), LineScanner(ScanType.SECRETS)])
    bench.changed(ref)
    bench.work()
    assert [check.conclusion for check in bench.checks(repo, head)] == ["cancelled"]
    assert bench.said(repo, ref).threads == []
