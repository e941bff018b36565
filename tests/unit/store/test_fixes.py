"""Attempts at a fix: what stands while one is made, what is kept of each, and what the history of the finding says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from pipeline.errors import IllegalMove, StaleWrite
from pipeline.model.finding import Location
from pipeline.model.fix import FixStatus, MemberState, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.ids import FixId
from pipeline.store.engine import Database
from pipeline.store.tables import fixes
from pipeline.store.work import Work
from tests.unit.store.samples import HOSTILE, commit, finding, pull_request, repository, review

PROOF = Proof(ProofWord.VERIFIED, (ProofCheck("parses", True, "yes"),))
RECEIPT = Receipt(b"one", "sha256:" + "0" * 64)
OTHER = Receipt(b"two", "sha256:" + "1" * 64)


def a_fix(work: Work, instructions: str = "") -> FixId:
    made, where = review(work), repository(work)
    work.findings.remember(where, [finding()], made, "feature", commit("a"))
    return work.fixes.create(where, made, finding().fingerprint, "H01", asked_by="ada", instructions=instructions)[0]


def completed(work: Work) -> FixId:
    fix = a_fix(work)
    work.fixes.start(fix, 1)
    work.fixes.record(fix, diff="first", proof=PROOF, receipt=RECEIPT, title="bind", base="a1")
    work.fixes.move(fix, FixStatus.RUNNING, FixStatus.COMPLETED)
    return fix


def kinds(work: Work, fix: FixId) -> list[str]:
    return [event.kind for event in work.findings.events(work.fixes.get(fix).finding) if event.kind.startswith("fix_")]


def test_an_attempt_is_kept_with_what_was_wished_for(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work, HOSTILE)
        (attempt,) = work.fixes.attempts(fix)
        assert (attempt.number, attempt.status, attempt.instructions, attempt.asked_by) == (1, "pending", HOSTILE, "ada")
        assert (attempt.started_at, attempt.ended_at, attempt.steps) == (None, None, 0)


def test_a_refinement_leaves_what_stands_until_there_is_better(database: Database) -> None:
    with database.work() as work:
        fix = completed(work)
        assert work.fixes.refine(fix, instructions="next", choice="two", asked_by="bob") == 2
        running = work.fixes.get(fix)
        assert (running.status, running.diff, running.choice, running.attempt) == ("running", "first", "", 2)
        work.fixes.start(fix, 2)
        work.fixes.start(fix, 2)
        work.fixes.record(fix, diff="second", proof=PROOF, receipt=OTHER)
        work.fixes.move(fix, FixStatus.RUNNING, FixStatus.COMPLETED)
        ended = work.fixes.get(fix)
        assert (ended.diff, ended.receipt, ended.choice, ended.title, ended.base) == ("second", OTHER, "two", "bind", "a1")
        assert [(one.number, one.status, one.diff) for one in work.fixes.attempts(fix)] == [
            (1, "completed", "first"),
            (2, "completed", "second"),
        ]
        assert kinds(work, fix) == ["fix_created", "fix_started", "fix_completed", "fix_started", "fix_completed"]


def test_a_refinement_that_comes_to_nothing_takes_nothing_away(database: Database) -> None:
    with database.work() as work:
        fix = completed(work)
        work.fixes.refine(fix, instructions="next", choice="two")
        work.fixes.start(fix, 2)
        work.fixes.record(fix, diff="worse", proof=None, receipt=None)
        work.fixes.fail(fix, "it does not parse")
        ended = work.fixes.get(fix)
        assert (ended.status, ended.diff, ended.receipt, ended.error) == ("completed", "first", RECEIPT, "it does not parse")
        assert [(one.status, one.error) for one in work.fixes.attempts(fix)] == [("completed", ""), ("failed", "it does not parse")]
        assert kinds(work, fix)[-1] == "fix_failed"


def test_a_first_attempt_that_comes_to_nothing_fails_the_run(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work)
        work.fixes.fail(fix, "gone")
        assert (work.fixes.get(fix).status, work.fixes.get(fix).error) == ("failed", "gone")
        with pytest.raises(IllegalMove):
            work.fixes.refine(fix, instructions="", choice="")


def test_only_one_of_two_refinements_is_begun(database: Database) -> None:
    with database.work() as work:
        fix = completed(work)
        work.fixes.refine(fix, instructions="a", choice="")
        with pytest.raises(IllegalMove):
            work.fixes.refine(fix, instructions="b", choice="")
        assert [one.instructions for one in work.fixes.attempts(fix)] == ["", "a"]


def test_who_makes_a_run_that_was_called_off_learns_it(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work)
        work.fixes.start(fix, 1)
        assert work.fixes.wanted(fix, 1)
        assert work.fixes.cancel(fix, "bob")
        assert not work.fixes.wanted(fix, 1)
        assert not work.fixes.cancel(fix, "eve")
        found = work.fixes.get(fix)
        assert (found.status, found.cancel_asked_by, work.fixes.attempts(fix)[0].status) == ("cancelled", "bob", "cancelled")
    with pytest.raises(StaleWrite), database.work() as work:
        work.fixes.start(fix, 1)
    with pytest.raises(StaleWrite), database.work() as work:
        work.fixes.move(fix, FixStatus.RUNNING, FixStatus.COMPLETED)
    with database.work() as work:
        (cancelled,) = [event for event in work.findings.events(found.finding) if event.kind == "fix_cancelled"]
        assert (cancelled.actor, cancelled.branch, cancelled.detail) == ("bob", f"pull/{pull_request().number}", fix)


def test_a_run_that_was_called_off_can_be_begun_again_and_is_kept(database: Database) -> None:
    with database.work() as work:
        made, where = review(work), repository(work)
        work.findings.remember(where, [finding()], made, "feature", commit("a"))
        old, _ = work.fixes.create(where, made, finding().fingerprint, "H01", "a b.py:3")
        with pytest.raises(StaleWrite):
            work.fixes.again(old)
        work.fixes.cancel(old, "bob")
        new = work.fixes.again(old)
        assert work.fixes.create(where, made, finding().fingerprint, "H01", "a b.py:3") == (new, False)
        assert (work.fixes.get(old).place, work.fixes.get(old).replaced_by, work.fixes.get(old).status) == ("a b.py:3", new, "cancelled")
        assert work.fixes.get(new).place == "a b.py:3"
        assert [fix.id for fix in work.fixes.of_review(made)] == [new]
        assert work.fixes.fingerprint(old) == finding().fingerprint
        with pytest.raises(StaleWrite):
            work.fixes.again(old)


def test_steps_are_counted_and_never_backwards(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work)
        work.fixes.beat(fix, 1, 5)
        assert work.fixes.attempts(fix)[0].steps == 0  # not running yet
        work.fixes.start(fix, 1)
        for steps in (1, 3, 2):
            work.fixes.beat(fix, 1, steps)
        work.fixes.beat(fix, 2, 9)
        (attempt,) = work.fixes.attempts(fix)
        assert attempt.steps == 3
        assert attempt.started_at is not None
        assert attempt.active_at is not None
        assert attempt.active_at >= attempt.started_at


def test_fixes_are_listed_newest_first(database: Database) -> None:
    with database.work() as work:
        first = a_fix(work)
        work.fixes.cancel(first, "bob")
        second = work.fixes.again(first)
        assert {fix.id for fix in work.fixes.newest(5)} == {first, second}
        assert [fix.id for fix in work.fixes.newest(5, status=FixStatus.CANCELLED)] == [first]
        assert len(work.fixes.newest(1, repository=repository(work))) == 1


def test_a_run_of_several_keeps_what_became_of_each_and_an_older_row_is_one(database: Database) -> None:
    with database.work() as work:
        made, where, other = review(work), repository(work), finding(2)
        work.findings.remember(where, [finding(), other], made, "feature", commit("a"))
        also = [(other.fingerprint, "H02", "b.py:1")]
        fix, _ = work.fixes.create(where, made, finding().fingerprint, "H01", "a.py:1", also=also)
        first, second = work.fixes.get(fix).members
        assert [(one.handle, one.place, one.state) for one in (first, second)] == [("H01", "a.py:1", "wanted"), ("H02", "b.py:1", "wanted")]
        work.fixes.start(fix, 1)
        became = (
            replace(first, state=MemberState.MENDED, choice="x", at=Location("a.py", 2, 2)),
            replace(second, state=MemberState.LEFT_OUT, why=HOSTILE),
        )
        work.fixes.record(fix, diff="d", proof=PROOF, receipt=RECEIPT, members=became)
        work.fixes.move(fix, FixStatus.RUNNING, FixStatus.COMPLETED)
        known = work.fixes.get(fix)
        assert (known.members, known.mends) == (became, became[:1])
        told = [[event.kind for event in work.findings.events(one.finding)][-1] for one in became]
        assert told == ["fix_completed", "fix_failed"]
        work.transaction.execute(update(fixes).values(members=None))
        (alone,) = work.fixes.get(fix).members
        assert (alone.finding, alone.handle, alone.place, alone.mended) == (first.finding, "H01", "a.py:1", True)
        with pytest.raises(ValueError, match="at most 10"):
            work.fixes.create(where, made, finding().fingerprint, "H01", "z", also=also * 10)
