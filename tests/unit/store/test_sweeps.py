"""Whole scans in the store: few at a time whoever asks, each due one taken once, and what is lost is due again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import update

from pipeline.model.ids import CommitId, RepositoryId
from pipeline.store.engine import Database
from pipeline.store.sweeps import AT_ONCE, ScanProgress
from pipeline.store.tables import installations, repositories, scan_slots
from pipeline.store.work import Work
from tests.unit.store.samples import INSTALLATION, REPOSITORY, commit, review


def many(work: Work, count: int) -> list[RepositoryId]:
    """So many repositories of one installation."""
    work.installations.upsert(INSTALLATION)
    sources = [replace(REPOSITORY, external_id=f"{n}", full_name=f"acme/r{n}") for n in range(count)]
    return [work.installations.upsert_repository(source) for source in sources]


def test_hundreds_that_are_due_are_begun_few_at_a_time_the_longest_due_first(database: Database) -> None:
    with database.work() as work:
        all_of_them = many(work, 50)
        for number, one in enumerate(all_of_them):
            work.installations.want_scan(one, -1000.0 + number)
    with database.work() as work:
        assert work.installations.scan_progress() == ScanProgress(50, 0, 0, 0)
        first = work.installations.take_due()
        assert [one.id for one in first] == all_of_them[:AT_ONCE]
        assert all(one.first for one in first)
        assert work.installations.take_due() == []
        assert work.installations.scan_progress() == ScanProgress(50 - AT_ONCE, AT_ONCE, 0, 0)
    with database.work() as work:
        made = review(work)
        work.installations.scanned(first[0].id, made, commit("a"), "rules 1", 1000.0)
        (following,) = work.installations.take_due()
        assert following.id == all_of_them[AT_ONCE]
        assert work.installations.scan_progress() == ScanProgress(50 - AT_ONCE - 1, AT_ONCE, 1, 0)


def test_several_relays_that_ask_at_once_begin_each_repository_once(database: Database) -> None:
    with database.work() as work:
        for one in many(work, 6):
            work.installations.want_scan(one, -10.0)
    barrier = threading.Barrier(4)

    def ask(_: int) -> list[RepositoryId]:
        barrier.wait()
        with database.work() as work:
            return [one.id for one in work.installations.take_due()]

    with ThreadPoolExecutor(4) as pool:
        taken = [one for some in pool.map(ask, range(4)) for one in some]
    assert len(taken) == len(set(taken)) <= AT_ONCE
    assert taken


def test_what_was_lost_on_its_way_is_due_again(database: Database) -> None:
    with database.work() as work:
        (one,) = many(work, 1)
        work.installations.want_scan(one, -10.0)
        assert [due.id for due in work.installations.take_due()] == [one]
        assert work.installations.listing(one).running
    with database.work() as work:
        work.transaction.execute(update(scan_slots).values(until=1.0))
        assert [due.id for due in work.installations.take_due()] == [one]


def test_who_asks_during_a_scan_gets_another_one_after_it(database: Database) -> None:
    with database.work() as work:
        (one,) = many(work, 1)
        work.installations.want_scan(one, -10.0)
        work.installations.take_due()
        work.installations.want_scan(one)
        work.installations.scanned(one, review(work), commit("a"), "rules 1", 1000.0)
        assert [due.id for due in work.installations.take_due()] == [one]
        work.installations.scanned(one, review(work), commit("a"), "rules 1", None)
        assert work.installations.listing(one).due_at is None


def test_disabled_archived_and_gone_ones_and_suspended_homes_are_left_alone(database: Database) -> None:
    with database.work() as work:
        chosen = many(work, 3)
        for one, state in zip(chosen, ("disabled", "archived", "gone"), strict=True):
            work.installations.want_scan(one, -10.0)
            work.transaction.execute(update(repositories).where(repositories.c.id == one).values(state=state))
        assert work.installations.take_due() == []
        assert work.installations.scan_progress() == ScanProgress(0, 0, 0, 0)
        assert [work.installations.state_of(one) for one in chosen] == ["disabled", "archived", "gone"]
        work.transaction.execute(update(repositories).values(state="active"))
        work.transaction.execute(update(installations).values(state="suspended"))
        assert work.installations.take_due() == []
        assert work.installations.state_of(chosen[0]) == "suspended"


def test_new_rules_make_everything_due_within_their_spread_and_once(database: Database) -> None:
    with database.work() as work:
        chosen = many(work, 4)
        for one in chosen[:3]:
            work.installations.scanned(one, review(work), commit("a"), "rules 1", 1_000_000.0)
        assert work.installations.want_all_but("rules 1", 3600.0) == 0
        assert work.installations.want_all_but("rules 2", 3600.0) == 3
        assert work.installations.want_all_but("rules 2", 3600.0) == 0
        moments = sorted(work.installations.listing(one).due_at or 0.0 for one in chosen[:3])
        assert moments[2] - moments[0] > 1000.0
        assert work.installations.listing(chosen[3]).due_at is None


def test_failures_are_counted_and_come_again(database: Database) -> None:
    with database.work() as work:
        (one,) = many(work, 1)
        work.installations.nothing_to_scan(one, "the host does not show it to us", 60.0)
        assert work.installations.scan_progress() == ScanProgress(0, 0, 0, 1)
        assert work.installations.listing(one).trouble == "the host does not show it to us"


def test_a_push_continues_the_list_only_from_where_it_stands(database: Database) -> None:
    a, b, c = (CommitId(commit(letter)) for letter in "abc")
    with database.work() as work:
        (one,) = many(work, 1)
        assert not work.installations.listed(one, a, b), "there is no list yet"
        work.installations.scanned(one, review(work), a, "rules 1", None)
        assert work.installations.listed(one, a, b)
        assert not work.installations.listed(one, a, c)
        assert work.installations.listing(one).commit == b


def test_a_name_means_the_repositories_that_have_it_whatever_the_case(database: Database) -> None:
    with database.work() as work:
        work.installations.upsert(INSTALLATION)
        work.installations.upsert_repository(replace(REPOSITORY, full_name="Acme/Shop"))
        work.installations.upsert_repository(replace(REPOSITORY, instance="ghe.example.org", external_id="9"))

        def named(name: str) -> list[tuple[str, bool]]:
            return [(source.instance, home is not None) for _, source, home in work.installations.named(name)]

        assert named("acme/shop") == [("ghe.example.org", False), ("github.com", True)]
        assert named("GHE.example.org/acme/shop") == [("ghe.example.org", False)]
        assert named("acme/%") == []


def test_never_scanned_is_what_nobody_looked_at_or_asked_for(database: Database) -> None:
    with database.work() as work:
        untouched, waiting, begun, done, failed = many(work, 5)
        work.installations.want_scan(begun, -20.0)
        assert [due.id for due in work.installations.take_due()] == [begun]
        work.installations.want_scan(waiting, 1000.0)
        work.installations.scanned(done, review(work), commit("a"), "rules 1", None)
        work.installations.nothing_to_scan(failed, "the host does not show it to us", 10.0)
        assert work.installations.never_scanned([untouched, waiting, begun, done, failed]) == [untouched]
        assert work.installations.never_scanned([]) == []
