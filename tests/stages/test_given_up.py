"""What was given up: no check stays in progress, who asked is told, and another try of the operator's is really one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from bot.duties import end_checks
from pipeline.errors import HostForbidden, RateLimited, WorkerCrashed
from pipeline.messages import (
    INTERACTIVE,
    Envelope,
    Message,
    ProposeFix,
    PublishCheck,
    PurgeRepository,
    RequestFix,
    RunFix,
    RunScan,
    SettleReview,
    Waive,
    WithdrawReview,
)
from pipeline.model.event import CommentRef
from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import FixId, RepositoryId, ReviewId, ScanId
from pipeline.model.review import ReviewStatus
from pipeline.model.scan import ScanType
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.stages.give_up import give_up
from pipeline.stages.revive import drop, retry
from pipeline.store.letters import DeadMessage
from pipeline.store.tables import outbox
from tests.fakes import LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo, git
from tests.stages.github import GithubBench
from tests.worlds import faults

FORBIDDEN = faults.Status(403, b'{"message": "Resource not accessible by integration", "documentation_url": "", "status": "403"}')


def ailing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def use(bench: Bench, before: Callable[[], None] = lambda: None) -> None:
    """Engines of which one does something before it looks."""
    bench.use(scanners=[LineScanner(before=before), LineScanner(ScanType.SECRETS)])


def letters(bench: Bench) -> list[DeadMessage]:
    with bench.app.database.read() as work:
        return work.outbox.dead(100)


def try_again(bench: Bench) -> None:
    """What `fixwright queue retry all` does."""
    with bench.app.database.work() as work:
        assert all(retry(work, letter, f"try{n}") for n, letter in enumerate(work.outbox.dead(100)))


def head_of(repo: LocalRepo) -> str:
    return git(repo.folder, "rev-parse", "feature")


def in_work(bench: Bench, repo: LocalRepo) -> ReviewId:
    """A review whose check is in progress, as its scan waits for a host."""
    use(bench, ailing(RateLimited("later", retry_after=900.0)))
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    ref = bench.review(repo, "feature")
    with bench.app.database.read() as work:
        (review,) = work.reviews.live_of(ref)
    assert [check.status for check in bench.checks(repo, head_of(repo))] == ["in_progress"]
    return review.id


def test_another_try_of_a_review_that_could_not_be_checked_judges_the_change_anew(bench: Bench, repo: LocalRepo) -> None:
    use(bench, ailing(HostForbidden("we may not read it")))
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head_of(repo))
    assert (check.status, check.conclusion) == ("completed", "action_required")
    assert [letter.kind for letter in letters(bench)] == ["run_scan"]
    use(bench)
    try_again(bench)
    bench.work()
    assert {(check.status, check.conclusion) for check in bench.checks(repo, head_of(repo))} == {("completed", "failure")}
    assert len(bench.checks(repo, head_of(repo))) == 2, "the new review has a check of its own"
    assert letters(bench) == []


def test_another_try_of_what_began_a_review_begins_one(github: GithubBench) -> None:
    repository = github.repository({"a.txt": "fine\n"})
    github.world.faults.add("POST", "/check-runs$", FORBIDDEN, times=1)
    pull = github.change(repository, {"b.txt": "BAD\n"})
    github.settle()
    assert [(run.status, run.conclusion) for run in github.runs(repository, pull.head_sha)] == [("completed", "action_required")]
    assert [kind for kind, _ in github.dead()] == ["start_review"]
    try_again(github)
    github.settle()
    assert {run.conclusion for run in github.runs(repository, pull.head_sha)} == {"failure"}
    assert github.dead() == []


def test_a_verdict_that_the_host_does_not_take_ends_as_a_check_that_asks_for_action(github: GithubBench) -> None:
    repository = github.repository({"a.txt": "fine\n"})
    github.world.faults.add("PATCH", "/check-runs/", FORBIDDEN, times=1)
    pull = github.change(repository, {"b.txt": "BAD\n"})
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "action_required")
    assert run.title == "Could not check: the result could not be shown here"
    assert "`fixwright queue list`" in (run.summary or "")
    assert "BAD" not in f"{run.summary}{run.text}{run.annotations}"
    try_again(github)
    github.settle()
    assert {run.conclusion for run in github.runs(repository, pull.head_sha)} == {"failure"}
    assert len(github.threads(pull)) == 1
    assert github.dead() == []


def test_a_check_that_could_not_be_ended_is_ended_when_the_host_takes_it_again(github: GithubBench) -> None:
    repository = github.repository({"a.txt": "fine\n"})
    github.world.faults.add("PATCH", "/check-runs/", FORBIDDEN, times=1_000)
    pull = github.change(repository, {"b.txt": "BAD\n"})
    github.settle()
    assert [run.status for run in github.runs(repository, pull.head_sha)] == ["in_progress"]
    refused = sum(asked.method == "PATCH" for asked in github.world.asked)
    assert refused <= 3, "no storm of calls that are refused"
    github.world.faults.clear()
    assert end_checks(github.app) == 0, "it is young, and may be about to end by itself"
    assert end_checks(github.app, quiet=0.0) == 1
    github.settle()
    (run,) = github.runs(repository, pull.head_sha)
    assert (run.status, run.conclusion) == ("completed", "action_required")
    assert end_checks(github.app, quiet=0.0) == 0


def test_a_review_whose_work_was_lost_ends_and_says_so(bench: Bench, repo: LocalRepo) -> None:
    in_work(bench, repo)
    assert end_checks(bench.app, quiet=0.0) == 0, "its scan waits"
    with bench.app.database.work() as work:
        work.transaction.execute(outbox.delete().where(outbox.c.kind == "run_scan"))
    assert end_checks(bench.app, quiet=0.0) == 1
    bench.work()
    (check,) = bench.checks(repo, head_of(repo))
    assert (check.status, check.conclusion) == ("completed", "action_required")
    assert "its work was lost" in check.title


CARRIERS: dict[str, Callable[[ReviewId], Message]] = {
    "run_scan": lambda review: RunScan(ScanId("any"), review),
    "settle_review": SettleReview,
    "publish_check": PublishCheck,
    "withdraw_review": lambda review: WithdrawReview(review, "Superseded"),
}


@pytest.mark.parametrize("kind", CARRIERS)
def test_whichever_message_of_a_review_dies_its_check_asks_for_action(bench: Bench, repo: LocalRepo, kind: str) -> None:
    review = in_work(bench, repo)
    with bench.app.database.work() as work:
        give_up(work, CARRIERS[kind](review), WorkerCrashed("the worker crashed 3 times on it"))
    bench.work()
    (check,) = bench.checks(repo, head_of(repo))
    assert (check.status, check.conclusion) == ("completed", "action_required")
    with bench.app.database.read() as work:
        assert work.reviews.get(review).status is ReviewStatus.FAILED


@pytest.mark.parametrize("kind", CARRIERS)
def test_whichever_message_of_a_review_is_dropped_its_check_ends(bench: Bench, repo: LocalRepo, kind: str) -> None:
    """Also when what follows from giving it up was lost."""
    review = in_work(bench, repo)
    with bench.app.database.work() as work:
        work.transaction.execute(update(outbox).where(outbox.c.kind == "run_scan").values(status="dead", finished_at=0.0))
        letter, *_ = work.outbox.dead(1)
        assert drop(work, DeadMessage(letter.id, "", "", kind, CARRIERS[kind](review), "X", 3, 3))
        assert not drop(work, letter), "it is gone"
    bench.work()
    (check,) = bench.checks(repo, head_of(repo))
    assert (check.status, check.conclusion) == ("completed", "action_required")


def test_who_asked_in_a_comment_is_told_that_nothing_comes_of_it(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    ref = bench.review(repo, "feature")
    with bench.app.database.work() as work:
        review = work.reviews.newest(ref)
        assert review is not None
        ada, error = UserRef("ada", "ada"), WorkerCrashed("the worker crashed 3 times on it")
        waive = Waive(
            INSTALLATION, review.id, "f", "K7Q", SuppressionKind.WAIVER, "because", ada, comment=CommentRef(ref, "1", in_thread=False)
        )
        give_up(work, waive, error)
        give_up(work, RequestFix(INSTALLATION, review.id, "f", "K7Q", ada, CommentRef(ref, "2")), error)
    bench.work()
    said = [comment.body for comment in bench.said(repo, ref).comments if "Could not do that" in comment.body]
    assert said == ["Could not do that: the worker crashed 3 times on it. Ask again."] * 2


def test_a_fix_that_was_given_up_can_be_made_after_all(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    ref = bench.review(repo, "feature")
    fix = given_up_fix(bench, ref)
    with bench.app.database.work() as work:
        letter = DeadMessage(work.outbox.dead(1)[0].id, "", "", "run_fix", RunFix(fix), "X", 1, 0)
        assert retry(work, letter, "again")
    bench.work()
    with bench.app.database.read() as work:
        (row,) = work.transaction.execute(select(outbox.c.body).where(outbox.c.kind == "run_fix", outbox.c.status == "done"))
        assert fix not in row.body, "it is another run"
    assert letters(bench) == []


def given_up_fix(bench: Bench, ref: PullRequestRef) -> FixId:
    """A fix of the only finding whose run was given up."""
    with bench.app.database.work() as work:
        review = work.reviews.newest(ref)
        assert review is not None
        judged = work.reviews.verdict(review.id).judged[0].finding
        repository = work.installations.upsert_repository(ref.repository)
        fix, _ = work.fixes.create(repository, review.id, judged.fingerprint, judged.handle or "")
        give_up(work, RunFix(fix), WorkerCrashed("the worker crashed 3 times on it"))
    bench.work()
    with bench.app.database.work() as work:
        # A letter to take the place of: any message will do.
        work.transaction.execute(update(outbox).where(outbox.c.kind == "accept_event").values(status="dead", finished_at=0.0))
        assert work.fixes.get(fix).status == "failed"
    return fix


def test_a_letter_about_a_review_that_was_forgotten_stops_no_other_and_can_be_dropped(bench: Bench) -> None:
    with bench.app.database.work() as work:
        work.outbox.send(Envelope(RunScan(ScanId("any"), ReviewId("forgotten")), "scan"))
        work.transaction.execute(outbox.update().values(status="dead", error_code="X", finished_at=1.0))
        (letter,) = work.outbox.dead(10)
        assert not retry(work, letter, "again")
        assert drop(work, letter)
        assert work.outbox.dead_ids() == []


def test_a_purge_that_was_given_up_is_tried_again_the_next_day(bench: Bench) -> None:
    with bench.app.database.work() as work:
        give_up(work, PurgeRepository(RepositoryId("gone")), WorkerCrashed("the worker crashed 3 times on it"))
        (row,) = work.transaction.execute(select(outbox))
        assert (row.kind, row.status) == ("purge_repository", "pending")
        assert row.due_at - row.created_at == pytest.approx(86_400.0, abs=5.0)


def test_an_answer_to_a_proposal_that_was_given_up_goes_to_who_asked(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    ref = bench.review(repo, "feature")
    fix = given_up_fix(bench, ref)
    with bench.app.database.work() as work:
        give_up(work, ProposeFix(fix, CommentRef(ref, "3")), WorkerCrashed("the worker crashed 3 times on it"))
        (row,) = work.transaction.execute(select(outbox).where(outbox.c.kind == "reply"))
        assert row.priority == INTERACTIVE
