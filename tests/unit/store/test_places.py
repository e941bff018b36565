"""Where a branch has its findings: true until the same engine, with rules no older, looks there again or the file is gone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from sqlalchemy import select

from pipeline.model.finding import Finding
from pipeline.model.ids import RepositoryId
from pipeline.store.engine import Database
from pipeline.store.places import Looked, no_older
from pipeline.store.tables import finding_places
from pipeline.store.work import Work
from tests.unit.store.samples import HOSTILE, commit, finding, repository, review


def looked(*paths: str, with_: str = "1.2.0 rules", engine: str = "semgrep", only: Collection[str] | None = None) -> Looked:
    """An engine looked at these paths."""
    return Looked(lambda name, path: name == engine and path in paths, {engine: with_}, only)


def opened(work: Work, where: RepositoryId, branch: str = "main") -> list[str]:
    """Places of what is open, sorted."""
    return sorted(f"{p.location.path}:{p.location.line}" for one in work.findings.listed(where, branch, "open") for p in one.places)


def kinds(work: Work, where: RepositoryId, one: Finding) -> list[tuple[str, str, str]]:
    identifier = work.findings.id_of(where, one.fingerprint)
    assert identifier is not None
    return [(event.kind, event.branch, event.detail) for event in work.findings.events(identifier)]


@pytest.mark.parametrize(
    ("now", "then", "enough"),
    [
        ("1.2.0 a", "1.2.0 a", True),
        ("1.2.0 b", "1.2.0 a", True),
        ("1.10.0 b", "1.9.3 a", True),
        ("1.9.3 b", "1.10.0 a", False),
        ("1.9.3 a", "1.10.0 a", True),
    ],
)
def test_an_older_fixwright_with_other_rules_does_not_know_what_is_gone(now: str, then: str, enough: bool) -> None:
    assert no_older(now, then) is enough


def test_only_what_was_looked_at_again_is_resolved(database: Database) -> None:
    one, two = finding(1, "a.py"), finding(2, "b.py")
    with database.work() as work:
        where = repository(work)
        work.findings.remember(where, [one, two], review(work, "a"), "main", commit("a"), looked=looked("a.py", "b.py"))
        work.findings.remember(where, [], review(work, "b"), "main", commit("b"), looked=looked("b.py"))
        assert opened(work, where) == ["a.py:3"]
        work.findings.remember(where, [], review(work, "c"), "main", commit("c"), looked=looked("a.py", engine="betterleaks"))
        work.findings.remember(where, [], review(work, "d"), "main", commit("d"), looked=looked("a.py", with_="1.1.0 older"))
        assert opened(work, where) == ["a.py:3"]
        work.findings.remember(where, [], review(work, "e"), "main", commit("e"), looked=looked("a.py", with_="1.3.0 newer"))
        assert opened(work, where) == []
        assert kinds(work, where, one) == [("detected", "main", ""), ("resolved_auto", "main", "")]


def test_a_finding_with_several_places_is_open_while_one_is_left(database: Database) -> None:
    here, there = finding(1, "a.py"), finding(1, "b.py", 9)
    with database.work() as work:
        where = repository(work)
        work.findings.remember(where, [here, there], review(work, "a"), "main", commit("a"), looked=looked("a.py", "b.py"))
        work.findings.remember(where, [], review(work, "b"), "main", commit("b"), looked=looked("a.py", only=["a.py"]))
        assert opened(work, where) == ["b.py:9"]
        assert kinds(work, where, here) == [("detected", "main", "")]
        work.findings.remember(where, [], review(work, "c"), "main", commit("c"), looked=looked("b.py", only=["b.py"]))
        assert opened(work, where) == []


def test_what_an_engine_did_find_before_it_ran_out_of_time_is_added(database: Database) -> None:
    old, new = finding(1, "a.py"), finding(2, "a.py", 8)
    with database.work() as work:
        where = repository(work)
        work.findings.remember(where, [old], review(work, "a"), "main", commit("a"), looked=looked("a.py"))
        for letter in "bc":
            work.findings.remember(where, [new], review(work, letter), "main", commit(letter), looked=looked())
        assert opened(work, where) == ["a.py:3", "a.py:8"]


def test_the_same_again_changes_nothing_and_hostile_names_survive(database: Database) -> None:
    hostile = replace(finding(1, HOSTILE), scope=HOSTILE)
    with database.work() as work:
        where = repository(work)
        for letter in "ab":
            work.findings.remember(where, [hostile], review(work, letter), HOSTILE, commit(letter), looked=looked(HOSTILE), whole=True)
        (listed,) = work.findings.listed(where, HOSTILE, "all")
        assert (listed.finding, listed.places) == (hostile, (hostile,))
        assert kinds(work, where, hostile) == [("detected", HOSTILE, "")]


def test_only_what_differs_is_written_again(database: Database) -> None:
    same, twin, moves, goes = finding(1, "a.py"), finding(2, "a.py", 9), finding(3, "b.py"), finding(4, "b.py", 7)
    at = looked("a.py", "b.py")

    def written(work: Work) -> list[tuple[str, int, str]]:
        rows = work.transaction.execute(select(finding_places.c.path, finding_places.c.line, finding_places.c.commit))
        return sorted((row.path, row.line, row.commit[0]) for row in rows)

    with database.work() as work:
        where = repository(work)
        work.findings.remember(where, [same, twin, moves, goes], review(work, "a"), "main", commit("a"), looked=at, whole=True)
        moved = replace(moves, location=replace(moves.location, line=4, end_line=4))
        # In another order: the place of a row is no part of what it says.
        work.findings.remember(where, [twin, moved, same], review(work, "b"), "main", commit("b"), looked=at, whole=True)
        assert written(work) == [("a.py", 3, "a"), ("a.py", 9, "a"), ("b.py", 4, "b")]
        newer = looked("a.py", with_="1.3.0 rules", only=["a.py"])
        work.findings.remember(where, [same, twin], review(work, "c"), "main", commit("c"), looked=newer)
        assert written(work) == [("a.py", 3, "c"), ("a.py", 9, "c"), ("b.py", 4, "b")], "who looked is part of it"


def test_the_worst_comes_first_and_the_resolved_are_shown_where_they_were(database: Database) -> None:
    mild, bad, gone = finding(1, "z.py"), finding(2, "b.py"), finding(3, "c.py")
    mild = replace(mild, rule=replace(mild.rule, severity=type(mild.rule.severity).LOW))
    with database.work() as work:
        where = repository(work)
        all_of_them = looked("z.py", "b.py", "c.py")
        work.findings.remember(where, [mild, bad, gone], review(work, "a"), "main", commit("a"), looked=all_of_them)
        work.findings.remember(where, [mild, bad], review(work, "b"), "main", commit("b"), looked=all_of_them)
        assert [one.finding.handle for one in work.findings.listed(where, "main", "open")] == [bad.handle, mild.handle]
        (resolved,) = work.findings.listed(where, "main", "resolved")
        assert (resolved.status, resolved.finding.location.path, resolved.places) == ("resolved", "c.py", ())
        assert len(work.findings.listed(where, "main", "all")) == 3


@pytest.mark.parametrize("push_first", [True, False])
def test_a_merge_is_told_once_whatever_comes_first(database: Database, push_first: bool) -> None:
    one = finding(1, "n.py")
    with database.work() as work:
        where = repository(work)
        made = review(work, "a")
        work.findings.remember(where, [one], made, "pull/7", commit("a"), looked=looked("n.py"))

        def push() -> None:
            work.findings.remember(where, [one], review(work, "b", number=None), "main", commit("b"), looked=looked("n.py"))

        if push_first:
            push()
        work.findings.merge_pull_request(where, 7, "main", made, commit("a"), scanned=True)
        if not push_first:
            push()
        assert opened(work, where) == ["n.py:3"]
        assert opened(work, where, "pull/7") == []
        assert kinds(work, where, one) == [("detected", "pull/7", ""), ("merged", "main", "pull/7")]


def test_a_merged_change_that_lost_its_finding_on_the_way_leaves_nothing_open(database: Database) -> None:
    one = finding(1, "n.py")
    with database.work() as work:
        where = repository(work)
        made = review(work, "a")
        work.findings.remember(where, [one], made, "pull/7", commit("a"), looked=looked("n.py"))
        work.findings.remember(where, [], review(work, "b", number=None), "main", commit("b"), looked=looked("n.py"))
        work.findings.merge_pull_request(where, 7, "main", made, commit("a"), scanned=True)
        assert opened(work, where) == opened(work, where, "pull/7") == []


def test_closing_twice_and_reopening_twice_is_once(database: Database) -> None:
    one, mended = finding(1, "n.py"), finding(2, "m.py")
    with database.work() as work:
        where = repository(work)
        made = review(work, "a")
        work.findings.remember(where, [one, mended], made, "pull/7", commit("a"), looked=looked("n.py", "m.py"))
        work.findings.remember(where, [one], made, "pull/7", commit("b"), looked=looked("n.py", "m.py"))
        for _ in range(2):
            work.findings.close_pull_request(where, 7, made, commit("b"))
        assert opened(work, where, "pull/7") == []
        for _ in range(2):
            work.findings.reopen_pull_request(where, 7, made, commit("b"))
        assert opened(work, where, "pull/7") == ["n.py:3"], "what was mended before stays mended"
        assert [kind for kind, _, _ in kinds(work, where, one)] == ["detected", "resolved_auto", "reopened"]


def test_what_comes_back_from_a_closed_pull_request_is_reopened_and_not_discovered(database: Database) -> None:
    one = finding(1, "n.py")
    with database.work() as work:
        where = repository(work)
        made = review(work, "a")
        work.findings.remember(where, [one], made, "pull/7", commit("a"), looked=looked("n.py"))
        work.findings.close_pull_request(where, 7, made, commit("a"))
        work.findings.remember(where, [one], review(work, "b", number=None), "main", commit("b"), looked=looked("n.py"))
        assert [(kind, branch) for kind, branch, _ in kinds(work, where, one)][-1] == ("reopened", "main")
