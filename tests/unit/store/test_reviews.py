"""Reviews and their scans: made once, moved only legally, shown only where they speak for a commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.errors import IllegalMove, StaleWrite
from pipeline.lifecycle import REVIEW
from pipeline.model.finding import BaselineState, Judged, Standing
from pipeline.model.ids import CommitId, ReviewId, ScanId
from pipeline.model.review import Conclusion, ReviewStatus, Verdict
from pipeline.model.scan import BatchStatus, Coverage, EngineRun, Gap, GapClass, ScanResult, ScanStatus, ScanType
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.store.engine import Database
from tests.unit.store.samples import HOSTILE, INSTALLATION, REPOSITORY, change, commit, finding, pull_request, review

PLANNED, SCANNING, SETTLING, DONE, CANCELLED = (
    ReviewStatus.PLANNED,
    ReviewStatus.SCANNING,
    ReviewStatus.SETTLING,
    ReviewStatus.DONE,
    ReviewStatus.CANCELLED,
)


def test_a_review_comes_out_as_it_went_in(database: Database) -> None:
    whole = replace(change(), author=UserRef("9", HOSTILE), head_ref=HOSTILE, title=HOSTILE, commits=3, draft=True, from_fork=True)
    with database.work() as work:
        made, new = work.reviews.create("key", INSTALLATION, whole, status=PLANNED)
    with database.work() as work:
        found = work.reviews.get(made)
    assert new
    assert found.change == whole
    assert replace(found.installation, id=INSTALLATION.id) == INSTALLATION
    assert (found.status, found.superseded_by) == (PLANNED, "")


def test_the_same_key_is_the_same_review(database: Database) -> None:
    with database.work() as work:
        first = work.reviews.create("key", INSTALLATION, change(), status=PLANNED)
    with database.work() as work:
        second = work.reviews.create("key", INSTALLATION, change(), status=PLANNED)
    assert (first[1], second) == (True, (first[0], False))


def test_the_same_key_at_the_same_moment_is_the_same_review(database: Database) -> None:
    barrier = threading.Barrier(6)

    def make(_: int) -> tuple[ReviewId, bool]:
        barrier.wait()
        with database.work() as work:
            return work.reviews.create("key", INSTALLATION, change(), status=PLANNED)

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert len({identifier for identifier, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1


def test_a_cancelled_review_is_not_taken_up_again(database: Database) -> None:
    with database.work() as work:
        first = review(work, "a")
        work.reviews.move(first, PLANNED, CANCELLED, superseded_by=commit("b"))
        review(work, "b")
        again, new = work.reviews.create("7:a", INSTALLATION, change("a"), status=PLANNED)
        newest = work.reviews.newest(pull_request())
    assert new
    assert again != first
    assert newest is not None
    assert newest.id == again


def test_a_pull_request_that_returns_to_a_head_that_it_left_is_judged_anew_once(database: Database) -> None:
    with database.work() as work:
        first = review(work, "a")
        second = review(work, "b")
        assert work.reviews.newest(pull_request()) == work.reviews.get(second)
        again = review(work, "a")
        assert again not in (first, second)
        assert work.reviews.newest(pull_request()) == work.reviews.get(again)
        assert review(work, "a") == again


def test_what_was_asked_again_for_the_same_change_stands_for_it(database: Database) -> None:
    with database.work() as work:
        first = review(work, "a")
        asked, new = work.reviews.create("7:a, asked", INSTALLATION, change("a"), status=PLANNED)
        assert new
        assert asked != first
        assert review(work, "a") == asked
        assert work.reviews.newest(pull_request()) == work.reviews.get(asked)


def test_a_renamed_repository_keeps_its_reviews_and_shows_its_new_name(database: Database) -> None:
    renamed = replace(REPOSITORY, full_name="acme/store", clone_url="https://github.com/acme/store.git", default_branch="")
    with database.work() as work:
        made = review(work)
        work.installations.upsert_repository(renamed)
        newest = work.reviews.newest(PullRequestRef(renamed, 7))
    assert newest is not None
    assert newest.id == made
    assert newest.change.repository == replace(renamed, default_branch="main"), "what a payload leaves out is not forgotten"
    assert newest.change.pull_request == PullRequestRef(newest.change.repository, 7)


def test_what_was_begun_under_an_old_name_does_not_bring_it_back(database: Database) -> None:
    with database.work() as work:
        known = work.installations.upsert_repository(replace(REPOSITORY, full_name="acme/store"))
        assert work.installations.identify(REPOSITORY) == known
        assert work.installations.repository(known).full_name == "acme/store"
        unknown = replace(REPOSITORY, external_id="4712")
        assert work.installations.repository(work.installations.identify(unknown)) == unknown


def test_a_move_from_another_state_than_the_present_is_refused(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        work.reviews.move(made, PLANNED, SCANNING)
    with pytest.raises(StaleWrite, match="planned"), database.work() as work:
        work.reviews.move(made, PLANNED, CANCELLED)
    with database.work() as work:
        assert work.reviews.get(made).status is SCANNING


def test_a_move_that_the_lifecycle_does_not_have_is_refused(database: Database) -> None:
    with database.work() as work:
        made = review(work)
    with pytest.raises(IllegalMove), database.work() as work:
        work.reviews.move(made, PLANNED, DONE)
    with pytest.raises(IllegalMove), database.work() as work:
        work.reviews.move(made, {PLANNED, DONE}, SCANNING)


def test_of_many_moves_at_once_one_wins(database: Database) -> None:
    with database.work() as work:
        made = review(work)
    barrier = threading.Barrier(6)

    def move(_: int) -> bool:
        barrier.wait()
        try:
            with database.work() as work:
                work.reviews.move(made, PLANNED, SCANNING)
        except StaleWrite:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(move, range(6))).count(True) == 1


def test_any_live_state_may_be_cancelled(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        work.reviews.move(made, PLANNED, SCANNING)
        work.reviews.move(made, REVIEW.live, CANCELLED, superseded_by=commit("b"))
        found = work.reviews.get(made)
        assert (found.status, found.superseded_by) == (CANCELLED, commit("b"))
        assert work.reviews.times(made).finished is not None


def test_only_unfinished_reviews_of_that_pull_request_are_live(database: Database) -> None:
    with database.work() as work:
        ended, first, second = review(work, "a"), review(work, "b"), review(work, "c")
        review(work, "d", number=8)
        pushed = review(work, "e", number=None)
        work.reviews.move(ended, PLANNED, CANCELLED)
        assert [found.id for found in work.reviews.live_of(pull_request())] == [first, second]
        assert [found.id for found in work.reviews.live_of_branch(REPOSITORY, "feature")] == [pushed]


def test_the_newest_review_of_an_unknown_pull_request_is_none(database: Database) -> None:
    with database.work() as work:
        assert work.reviews.newest(pull_request(99)) is None
        assert work.reviews.live_of(pull_request(99)) == []
        assert work.reviews.of_head(REPOSITORY, commit("a")) == []


def heads(database: Database, head: str) -> list[tuple[int | None, Conclusion | None]]:
    with database.work() as work:
        return [(summary.pull_request, summary.conclusion) for summary in work.reviews.of_head(REPOSITORY, commit(head))]


def test_a_head_shows_every_open_pull_request_and_branch_that_stands_there(database: Database) -> None:
    with database.work() as work:
        strict = review(work, "a", number=7)
        lax = review(work, "a", number=8)
        review(work, "a", number=None)
        work.reviews.save_verdict(strict, Verdict(Conclusion.FAILURE))
        work.reviews.save_verdict(lax, Verdict(Conclusion.SUCCESS))
    assert heads(database, "a") == [(7, Conclusion.FAILURE), (8, Conclusion.SUCCESS), (None, None)]
    assert heads(database, "b") == []


def test_a_pull_request_that_moved_on_speaks_for_its_old_head_no_more(database: Database) -> None:
    with database.work() as work:
        review(work, "a")
        review(work, "a", number=8)
        review(work, "b")
    assert heads(database, "a") == [(8, None)]
    assert heads(database, "b") == [(7, None)]


def test_a_closed_pull_request_speaks_for_no_commit_until_it_is_open_again(database: Database) -> None:
    with database.work() as work:
        review(work, "a")
        review(work, "a", number=None)
        work.reviews.mark_closed(pull_request())
        work.reviews.mark_branch_deleted(REPOSITORY, "feature")
    assert heads(database, "a") == []
    with database.work() as work:
        review(work, "a")
    assert heads(database, "a") == [(7, None)]


def test_closing_a_pull_request_that_was_never_judged_is_no_error(database: Database) -> None:
    with database.work() as work:
        work.reviews.mark_closed(pull_request(99))
        assert work.reviews.newest(pull_request(99)) is None


def test_a_cancelled_review_is_shown_on_no_commit(database: Database) -> None:
    with database.work() as work:
        made = review(work, "a")
        work.reviews.move(made, PLANNED, CANCELLED)
    assert heads(database, "a") == []


def test_planned_reviews_of_a_head_can_be_found(database: Database) -> None:
    with database.work() as work:
        first, second = review(work, "a"), review(work, "a", number=8)
        work.reviews.move(second, PLANNED, SCANNING)
        assert work.reviews.planned_of(REPOSITORY, commit("a")) == [first]


def test_policy_and_verdict_come_out_as_they_went_in(database: Database) -> None:
    gaps = (Gap("policy", "", HOSTILE, GapClass.ERROR, "us"),)
    judged = Judged(finding(path=HOSTILE), BaselineState.NEW, Standing.BLOCKS, in_diff=True)
    verdict = Verdict(
        Conclusion.FAILURE, (judged,), older=3, coverage=Coverage((EngineRun("semgrep", "1", "ab", 4),), gaps), notes=(HOSTILE,)
    )
    with database.work() as work:
        made = review(work)
        assert (work.reviews.policy(made), work.reviews.policy_source(made), work.reviews.policy_gaps(made)) == ("{}", "", ())
        with pytest.raises(StaleWrite, match="no verdict"):
            work.reviews.verdict(made)
        work.reviews.set_policy(made, '{"gate": {}}', ".github/fixwright.yml at 1234567", gaps)
        work.reviews.save_verdict(made, verdict, {"tool_version": "1", "seconds": 1.5})
    with database.work() as work:
        assert work.reviews.policy(made) == '{"gate": {}}'
        assert work.reviews.policy_source(made) == ".github/fixwright.yml at 1234567"
        assert work.reviews.policy_gaps(made) == gaps
        assert work.reviews.verdict(made) == verdict
        assert work.reviews.facts(made) == {"tool_version": "1", "seconds": 1.5}
        (summary,) = work.reviews.of_head(REPOSITORY, commit("a"))
        assert 0 <= summary.seconds < 60


def test_an_unknown_review_is_an_error_everywhere(database: Database) -> None:
    unknown = ReviewId("nothing")
    with database.work() as work:
        for ask in (work.reviews.get, work.reviews.policy, work.reviews.verdict, work.reviews.pending_scans, work.reviews.times):
            with pytest.raises(StaleWrite, match="nothing"):
                ask(unknown)
        with pytest.raises(StaleWrite):
            work.reviews.set_policy(unknown, "{}", "")
        with pytest.raises(StaleWrite):
            work.reviews.scan(ScanId("nothing"))


def scanning(database: Database) -> tuple[ReviewId, ScanId, ScanId]:
    with database.work() as work:
        made = review(work)
        scans = [work.reviews.add_batch(made, scan_type, CommitId("a" * 40), True) for scan_type in (ScanType.SECRETS, ScanType.SEMGREP)]
        work.reviews.move(made, PLANNED, SCANNING)
        for scan in scans:
            work.reviews.move_scan(scan, ScanStatus.QUEUED, ScanStatus.RUNNING)
    return made, scans[0], scans[1]


def test_a_scan_type_is_added_once(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        first = work.reviews.add_batch(made, ScanType.SECRETS, commit("a"), True)
        assert work.reviews.add_batch(made, ScanType.SECRETS, commit("a"), True) == first
        other = work.reviews.add_batch(made, ScanType.SEMGREP, commit("a"), False)
        assert work.reviews.pending_scans(made) == 2
        assert [(scan.id, scan.scan_type, scan.required) for scan in work.reviews.scans(made)] == [
            (first, ScanType.SECRETS, True),
            (other, ScanType.SEMGREP, False),
        ]


def test_the_last_scan_to_end_reads_zero(database: Database) -> None:
    made, first, second = scanning(database)
    with database.work() as work:
        assert work.reviews.move_scan(first, ScanStatus.RUNNING, ScanStatus.DONE) == 1
        assert work.reviews.pending_scans(made) == 1
        assert work.reviews.move_scan(second, ScanStatus.RUNNING, ScanStatus.FAILED, error="timed out", blame="change") == 0
        assert work.reviews.pending_scans(made) == 0
        assert work.reviews.scan(second).error == "timed out"
        assert [batch.status for batch in work.reviews.batches(made)] == [BatchStatus.ASSESSING, BatchStatus.FAILED]
        work.reviews.finish_batches(made)
        assert [batch.status for batch in work.reviews.batches(made)] == [BatchStatus.DONE, BatchStatus.FAILED]


def test_of_scans_that_end_at_the_same_time_exactly_one_reads_zero(database: Database) -> None:
    for round_number in range(5):
        with database.work() as work:
            made = review(work, "a", number=100 + round_number)
            scans = [work.reviews.add_batch(made, scan_type, commit("a"), True) for scan_type in ScanType]
            for scan in scans:
                work.reviews.move_scan(scan, ScanStatus.QUEUED, ScanStatus.RUNNING)
        barrier = threading.Barrier(len(scans))

        def end(scan: ScanId, barrier: threading.Barrier = barrier, made: ReviewId = made) -> int:
            barrier.wait()
            with database.work() as work:
                work.reviews.move_scan(scan, ScanStatus.RUNNING, ScanStatus.DONE)
                return work.reviews.pending_scans(made)

        with ThreadPoolExecutor(len(scans)) as pool:
            assert sorted(pool.map(end, scans)) == [0, 1, 2, 3]


def test_a_scan_that_ended_is_not_counted_down_again(database: Database) -> None:
    made, first, _ = scanning(database)
    with database.work() as work:
        work.reviews.move_scan(first, ScanStatus.RUNNING, ScanStatus.DONE)
    with pytest.raises(StaleWrite), database.work() as work:
        work.reviews.move_scan(first, ScanStatus.RUNNING, ScanStatus.DONE)
    with database.work() as work:
        assert work.reviews.pending_scans(made) == 1


def test_a_cancelled_review_takes_its_scans_with_it(database: Database) -> None:
    made, first, second = scanning(database)
    with database.work() as work:
        work.reviews.move_scan(first, ScanStatus.RUNNING, ScanStatus.DONE)
        work.reviews.move(made, SCANNING, CANCELLED)
        assert [scan.status for scan in work.reviews.scans(made)] == [ScanStatus.DONE, ScanStatus.CANCELLED]
        assert {batch.status for batch in work.reviews.batches(made)} == {BatchStatus.CANCELLED}
    with pytest.raises(StaleWrite), database.work() as work:
        work.reviews.move_scan(second, ScanStatus.RUNNING, ScanStatus.DONE)


def test_results_come_out_as_they_went_in_and_are_replaced_by_a_second_run(database: Database) -> None:
    made, first, second = scanning(database)
    hostile = ScanResult((finding(path=HOSTILE),), Coverage(gaps=(Gap("semgrep", HOSTILE, "larger than 1 MB", GapClass.LIMIT),)))
    with database.work() as work:
        work.reviews.save_scan_result(first, "head", ScanResult((), Coverage()))
        work.reviews.save_scan_result(first, "head", hostile)
        work.reviews.save_scan_result(first, "base", ScanResult((), Coverage()))
        work.reviews.save_scan_result(second, "history", ScanResult((finding(2),), Coverage()))
    with database.work() as work:
        results = work.reviews.scan_results(made)
    assert [side for side, _ in results] == ["base", "head", "history"]
    assert results[1][1] == hostile
