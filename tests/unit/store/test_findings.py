"""Findings as identities: one handle, one history, whatever the order in which reviews see them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import event

from pipeline.errors import IllegalMove, StaleWrite
from pipeline.model.finding import Secret
from pipeline.model.fix import FixStatus, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.ids import CommitId, FixId, Handle
from pipeline.store.engine import Database
from pipeline.store.given import LIKELY
from pipeline.store.places import Looked
from pipeline.store.work import Work
from pipeline.triage.handles import AndThese, assign
from tests.unit.store.samples import HOSTILE, commit, finding, pull_request, repository, review


def kinds(work: Work, number: int) -> list[tuple[str, str]]:
    identifier = work.findings.id_of(repository(work), finding(number).fingerprint)
    assert identifier is not None
    return [(event.kind, event.branch) for event in work.findings.events(identifier)]


def test_a_finding_keeps_its_handle_and_comes_out_as_it_went_in(database: Database) -> None:
    hostile = replace(finding(path=HOSTILE), scope=HOSTILE, excerpt=HOSTILE, secret=Secret("AWS access key", "ab" * 32, "WXYZ"))
    with database.work() as work:
        made, where = review(work), repository(work)
        work.findings.remember(where, [hostile], made, HOSTILE, commit("a"))
    with database.work() as work:
        assert work.findings.handles(where) == {"H01": hostile.fingerprint}
        found = work.findings.by_handle(where, Handle("H01"))
        assert found is not None
        assert (found.finding, found.branch, found.commit, found.review) == (hostile, HOSTILE, commit("a"), made)
        assert work.findings.by_fingerprint(where, hostile.fingerprint) == found
        assert work.findings.of_review(made) == [hostile]
        assert work.findings.by_handle(where, Handle("H99")) is None


def test_seen_first_gone_and_back_again_is_its_history(database: Database) -> None:
    with database.work() as work:
        where, one = repository(work), finding(1)
        work.findings.remember(where, [one], review(work, "a"), "feature", commit("a"))
        work.findings.remember(where, [one], review(work, "b"), "feature", commit("b"))
        work.findings.remember(where, [], review(work, "c"), "feature", commit("c"), fixed=[one])
        work.findings.remember(where, [], review(work, "d"), "feature", commit("d"), fixed=[one])
        work.findings.remember(where, [one], review(work, "e"), "feature", commit("e"))
        assert kinds(work, 1) == [("detected", "feature"), ("resolved_auto", "feature"), ("reopened", "feature")]


def test_what_was_not_looked_for_stays_open(database: Database) -> None:
    with database.work() as work:
        where = repository(work)
        ids = work.findings.remember(where, [finding(1), finding(2)], review(work, "a"), "feature", commit("a"))
        work.findings.remember(where, [finding(2)], review(work, "b"), "feature", commit("b"))
        assert work.findings.open_on(where, "feature") == sorted(ids.values())


def test_a_known_finding_that_reaches_another_branch_is_no_discovery(database: Database) -> None:
    with database.work() as work:
        where, one = repository(work), finding(1)
        work.findings.remember(where, [one], review(work, "a"), "main", commit("a"))
        work.findings.remember(where, [one], review(work, "b"), "feature", commit("b"))
        assert kinds(work, 1) == [("detected", "main")]
        assert len(work.findings.open_on(where, "feature")) == 1


def test_branches_are_told_apart(database: Database) -> None:
    with database.work() as work:
        where, one = repository(work), finding(1)
        work.findings.remember(where, [one], review(work, "a"), "main", commit("a"))
        work.findings.remember(where, [], review(work, "b", number=8), "feature", commit("b"), fixed=[one])
        assert kinds(work, 1) == [("detected", "main"), ("resolved_auto", "feature")]
        assert len(work.findings.open_on(where, "main")) == 1
        assert work.findings.open_on(where, "feature") == []


def test_remembering_twice_is_once(database: Database) -> None:
    seen = [finding(1), finding(1, path="app/other.py"), finding(2)]
    with database.work() as work:
        made, where = review(work), repository(work)
        first = work.findings.remember(where, seen, made, "feature", commit("a"))
        second = work.findings.remember(where, seen, made, "feature", commit("a"))
        assert first == second
        assert work.findings.of_review(made) == seen
        assert kinds(work, 1) == kinds(work, 2) == [("detected", "feature")]


def test_a_finding_without_a_handle_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="handle"), database.work() as work:
        work.findings.remember(repository(work), [replace(finding(), handle=None)], review(work), "feature", commit("a"))


def test_a_handle_never_means_two_things(database: Database) -> None:
    with database.work() as work:
        work.findings.remember(repository(work), [finding(1)], review(work), "feature", commit("a"))
    with pytest.raises(StaleWrite), database.work() as work:
        clash = replace(finding(2), handle=Handle("H01"))
        work.findings.remember(repository(work), [clash], review(work, "b"), "feature", commit("b"))


def test_reviews_that_name_findings_at_the_same_time_do_not_clash(database: Database) -> None:
    with database.work() as work:
        where = repository(work)
        reviews = [review(work, "a", number=number) for number in range(4)]
    barrier = threading.Barrier(4)

    def name(number: int) -> None:
        barrier.wait()
        with database.work() as work:
            taken = work.findings.handles(where)
            free = Handle(f"N{len(taken)}")
            mine = replace(finding(number), handle=free)
            work.findings.remember(where, [mine], reviews[number], "feature", commit("a"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(name, range(4)))
    with database.work() as work:
        assert sorted(work.findings.handles(where)) == ["N0", "N1", "N2", "N3"]


def test_of_many_handles_only_those_are_read_that_matter(database: Database) -> None:
    many = [replace(finding(number), fingerprint=f"v1:{number:064x}") for number in range(400)]
    given = assign([one.fingerprint for one in many], {})
    with database.work() as work:
        where = repository(work)
        named = [replace(one, handle=given[one.fingerprint]) for one in many]
        work.findings.remember(where, named, review(work, "a"), "feature", commit("a"))
    wanted = [*(one.fingerprint for one in many[:3]), *(f"v1:{number:064x}" for number in range(400, 700))]
    with database.work() as work:
        taken = work.findings.handles(where)
        read = taken.of(wanted[:4])
        assert {given[fingerprint] for fingerprint in wanted[:3]} <= set(read)
        assert len(read) <= 3 + LIKELY
        assert assign(wanted, taken) == assign(wanted, {handle: owner for owner, handle in given.items()})
        assert assign(wanted, AndThese(taken, {})) == assign(wanted, taken)
        assert len(taken) == len(set(taken)) == 400
        nobody = next(handle for handle in map(Handle, ("C22", "D22", "F22", "G22")) if handle not in given.values())
        assert nobody not in taken


def test_a_thousand_findings_are_remembered(database: Database) -> None:
    many = [replace(finding(number), handle=Handle(f"M{number}")) for number in range(1000)]
    with database.work() as work:
        made, where = review(work), repository(work)
        assert len(work.findings.remember(where, many, made, "feature", commit("a"))) == 1000
        work.findings.remember(where, many[:500], review(work, "b"), "feature", commit("b"), fixed=many[500:])
        assert len(work.findings.open_on(where, "feature")) == 500
        assert work.findings.of_review(made) == many


def test_however_many_findings_one_statement_is_put_together_for_each_table(database: Database) -> None:
    # A statement that names every row takes ten times as long to write as to run, while SQLite lets nobody else write.
    said: list[str] = []
    with database.work() as work:
        where, made = repository(work), review(work)
        event.listen(work.transaction.connection, "before_cursor_execute", lambda *given: said.append(given[2]))
        many = [replace(finding(number, f"f{number}.py"), handle=Handle(f"M{number}")) for number in range(450)]
        everything = Looked(lambda engine, path: True, {"semgrep": "1 rules"})
        work.findings.remember(where, many, made, "main", commit("a"), looked=everything)
        assert len(work.findings.open_on(where, "main")) == 450
    tables = [text.split()[2] for text in set(said) if text.startswith("INSERT")]
    assert sorted(tables) == ["finding_counts", "finding_events", "finding_places", "finding_states", "findings", "occurrences"]


def a_fix(work: Work) -> FixId:
    made, where = review(work), repository(work)
    work.findings.remember(where, [finding()], made, "feature", commit("a"))
    return work.fixes.create(where, made, finding().fingerprint, "H01")[0]


def test_a_fix_is_made_once_for_a_finding_of_a_review(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work)
        made, where = review(work), repository(work)
        assert work.fixes.create(where, made, finding().fingerprint, "H01") == (fix, False)
        other, new = work.fixes.create(where, review(work, "b"), finding().fingerprint, "H01")
        assert new
        assert other != fix
        assert work.fixes.open_count(where) == 2
        assert [found.id for found in work.fixes.of_review(made)] == [fix]


def test_a_fix_made_at_the_same_time_by_several_is_one(database: Database) -> None:
    with database.work() as work:
        made, where = review(work), repository(work)
        work.findings.remember(where, [finding()], made, "feature", commit("a"))
    barrier = threading.Barrier(4)

    def make(_: int) -> tuple[FixId, bool]:
        barrier.wait()
        with database.work() as work:
            return work.fixes.create(where, made, finding().fingerprint, "H01")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(make, range(4)))
    assert len({fix for fix, _ in results}) == 1
    assert [new for _, new in results].count(True) == 1


def test_a_fix_of_a_finding_that_nobody_saw_is_refused(database: Database) -> None:
    with pytest.raises(StaleWrite, match="no finding H77"), database.work() as work:
        work.fixes.create(repository(work), review(work), "v1:77", "H77")


def test_everything_about_a_fix_comes_out_as_it_went_in(database: Database) -> None:
    proof = Proof(ProofWord.VERIFIED, (ProofCheck("parses", True, HOSTILE), ProofCheck("tests", None, "none")), ("tests",))
    receipt = Receipt(b'{"payload": "\xff"}', "sha256:" + "0" * 64)
    with database.work() as work:
        fix = a_fix(work)
        before = work.fixes.get(fix)
        assert (before.status, before.proof, before.receipt, before.pull_request) == (FixStatus.PENDING, None, None, None)
        work.fixes.record(fix, diff=HOSTILE, proof=proof, receipt=receipt, title=HOSTILE, base="abc")
        work.fixes.save_pull_request(fix, pull_request(12))
    with database.work() as work:
        found = work.fixes.get(fix)
        assert (found.diff, found.proof, found.receipt, found.pull_request) == (HOSTILE, proof, receipt, pull_request(12))
        assert work.fixes.fingerprint(fix) == finding().fingerprint


def test_a_fix_moves_only_legally_and_from_where_it_is(database: Database) -> None:
    with database.work() as work:
        fix = a_fix(work)
        work.fixes.move(fix, FixStatus.PENDING, FixStatus.RUNNING)
        work.fixes.move(fix, FixStatus.RUNNING, FixStatus.FAILED, error="the file does not parse")
        assert work.fixes.get(fix).error == "the file does not parse"
        assert work.fixes.open_count(repository(work)) == 0
    with pytest.raises(IllegalMove), database.work() as work:
        work.fixes.move(fix, FixStatus.FAILED, FixStatus.RUNNING)
    with pytest.raises(StaleWrite), database.work() as work:
        work.fixes.move(fix, FixStatus.RUNNING, FixStatus.COMPLETED)
    with pytest.raises(StaleWrite), database.work() as work:
        work.fixes.get(FixId("nothing"))


def test_threads_are_known_by_what_they_are_about(database: Database) -> None:
    with database.work() as work:
        work.effects.remember_threads(pull_request(), {"v1:a": "100", "v1:b": "101"})
        work.effects.remember_threads(pull_request(), {"v1:b": "102"})
        assert work.effects.threads(pull_request()) == {"v1:a": "100", "v1:b": "102"}
        assert work.effects.fingerprint_of_thread(pull_request(), "101") == "v1:b"
        assert work.effects.fingerprint_of_thread(pull_request(), "999") == ""
        assert work.effects.fingerprint_of_thread(pull_request(8), "100") == ""
        assert work.effects.threads(pull_request(8)) == {}


def test_an_effect_is_written_down_before_and_after(database: Database) -> None:
    with database.work() as work:
        assert work.effects.intend(HOSTILE, 1) is None
        known = work.effects.intend(HOSTILE, 2)
        assert known is not None
        assert (known.state, known.epoch) == ("intended", 1)
        work.effects.done(HOSTILE, "77")
        done = work.effects.get(HOSTILE)
        assert done is not None
        assert (done.state, done.remote_id, done.epoch) == ("done", "77", 2)
        assert work.effects.get("other") is None


def test_commits_of_either_hash_are_kept(database: Database) -> None:
    with database.work() as work:
        made, where = review(work), repository(work)
        work.findings.remember(where, [finding()], made, "feature", CommitId("f" * 64))
        found = work.findings.by_handle(where, Handle("H01"))
    assert found is not None
    assert found.commit == "f" * 64
