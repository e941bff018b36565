"""The log: numbers without gaps, given after the commit by one at a time, so that who reads the newest first misses nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pipeline.model.ids import OrganizationId
from pipeline.model.review import ReviewStatus
from pipeline.store.engine import Database
from pipeline.store.eventlog import Sought
from tests.unit.store.samples import INSTALLATION, REPOSITORY, change, commit, finding, repository, review


def settle(database: Database) -> OrganizationId:
    with database.work() as work:
        repository(work)
        review(work)
        work.organizations.settle(one_each=False)
        return work.organizations.named("default").id


def happen(database: Database, number: int, first: threading.Event | None = None, then: threading.Event | None = None) -> None:
    """A transaction in which a finding of its own repository is detected; before it commits it says so, and waits."""
    source = replace(REPOSITORY, external_id=str(number), full_name=f"acme/{number}")
    with database.work() as work:
        where = work.installations.upsert_repository(source)
        made, _ = work.reviews.create(f"of {number}", INSTALLATION, replace(change(), repository=source), status=ReviewStatus.PLANNED)
    with database.work() as work:
        work.findings.remember(where, [finding(number)], made, "main", commit("a"))
        if first is not None and then is not None:
            first.set()
            assert then.wait(20)


class Poller:
    """Reads the newest first until it meets what it knows."""

    def __init__(self, database: Database, organization: OrganizationId) -> None:
        self._database, self._organization = database, organization
        self.seen: list[int] = []

    def poll(self) -> list[int]:
        before: int | None = None
        new: list[int] = []
        while True:
            with self._database.read() as work:
                events, more, _ = work.events.page(self._organization, Sought(), limit=2, before=before)
            for one in events:
                if one.sequence in self.seen:
                    more = False
                    break
                new.append(one.sequence)
            if not more or not events:
                break
            before = events[-1].sequence
        self.seen = [*new, *self.seen]
        return new


def number(database: Database, at_most: int = 1_000) -> int:
    with database.work() as work:
        return work.events.number(at_most)


def test_numbers_have_no_gaps_and_are_given_once(database: Database) -> None:
    organization = settle(database)
    for one in range(5):
        happen(database, one)
    with database.read() as work:
        assert work.events.waiting()
        assert work.events.page(organization, Sought(), limit=9) == ([], False, 0)
    assert [number(database, 2) for _ in range(4)] == [2, 2, 1, 0]
    with database.read() as work:
        assert not work.events.waiting()
        events, more, total = work.events.page(organization, Sought(), limit=3, at_most=4)
    assert ([one.sequence for one in events], more, total) == ([5, 4, 3], True, 4)
    assert [one.logged_at for one in events] == sorted((one.logged_at for one in events), reverse=True)


def test_what_commits_late_is_not_missed_by_who_reads_until_what_he_knows(database: Database) -> None:
    organization = settle(database)
    poller = Poller(database, organization)
    wrote, may_commit = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        if database.dialect == "sqlite":  # one writer at a time: there the order of writing is that of the commits
            may_commit.set()
        late = pool.submit(happen, database, 1, wrote, may_commit)
        assert wrote.wait(20)
        happen(database, 2)
        if database.dialect == "sqlite":
            late.result(20)
            assert number(database) == 2
            assert poller.poll() == [2, 1]
            return
        assert number(database) == 1
        assert poller.poll() == [1]
        may_commit.set()
        late.result(20)
    assert number(database) == 1
    assert poller.poll() == [2]
    assert poller.poll() == []
    with database.read() as work:
        events, _, _ = work.events.page(organization, Sought(), limit=9)
        positions = [event.position for one in events for event in work.findings.events(one.finding)]
    assert len(positions) == 2
    assert positions == sorted(positions), "what was written first has the later number"


def test_many_give_numbers_at_the_same_time_and_each_event_gets_one(database: Database) -> None:
    organization = settle(database)
    for one in range(30):
        happen(database, one)
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: number(database, 5), range(12)))
    assert sum(given) == 30
    with database.read() as work:
        events, _, _ = work.events.page(organization, Sought(), limit=100)
    assert [one.sequence for one in events] == list(range(30, 0, -1))
