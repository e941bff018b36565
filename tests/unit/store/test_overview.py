"""What the operator and the metrics are told, by both databases alike."""

from __future__ import annotations

from sqlalchemy import update

from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.migrate import newest
from pipeline.store.tables import counters, processes
from pipeline.tally import Tally
from tests.unit.store import samples


def test_the_backlog_by_priority_and_what_is_in_whose_hands(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(samples.envelope("now", priority=0), samples.envelope("later", priority=2, delay=60.0))
        work.outbox.send(samples.envelope("running", priority=1))
    with database.read() as work:
        ids = {row.priority: row.message_id for row in work.outbox.publishable(5)}
    with database.work() as work:
        assert work.outbox.claim(ids[1], "host:7", seconds=30.0) is not None
    with database.read() as work:
        waiting = {one.priority: (one.count, one.later) for one in work.overview.waiting()}
        (running,) = work.overview.running()
        assert work.overview.dead() == 0
        assert work.overview.last_delivery() is None
    assert waiting == {"command": (0, 0), "interactive": (1, 0), "normal": (0, 0), "batch": (0, 1)}
    assert (running.owner, running.kind, running.attempt) == ("host:7", "settle_review", 1)
    assert 0 < running.lease_seconds <= 30


def test_numbers_of_many_processes_add_up_and_an_old_gauge_is_forgotten(database: Database) -> None:
    for _ in range(3):
        tally = Tally()
        tally.add("calls_total", 2, status="200")
        tally.latest("remaining", 7.0)
        with database.work() as work:
            work.counters.add(*tally.drain())
        assert tally.drain() == ({}, {})
    with database.read() as work:
        assert [(c.name, dict(c.labels), c.value) for c in work.counters.all()] == [
            ("calls_total", {"status": "200"}, 6),
            ("remaining", {}, 7),
        ]
    with database.work() as work:
        work.transaction.execute(update(counters).values(updated_at=database_now() - 7200))
        assert work.counters.forget_gauges(("remaining",)) == 1
    with database.read() as work:
        assert [c.name for c in work.counters.all()] == ["calls_total"]


def test_a_process_is_alive_while_it_says_so(database: Database) -> None:
    with database.work() as work:
        work.processes.beat("host:1", "web")
        work.processes.beat("host:1", "web")
        work.processes.beat("host:2", "worker")
        work.transaction.execute(update(processes).where(processes.c.id == "host:2").values(seen_at=database_now() - 2 * 86_400))
    with database.work() as work:
        assert [(one.id, one.alive) for one in work.processes.all()] == [("host:1", True), ("host:2", False)]
        assert work.processes.forget() == 1


def test_a_repository_is_found_by_its_name_in_any_case(database: Database) -> None:
    with database.work() as work:
        number = samples.repository(work)
        work.installations.upsert(samples.INSTALLATION)
        work.organizations.settle(one_each=False)
        ((named, _, _),) = work.installations.named(samples.REPOSITORY.full_name.upper())
        found = work.repositories.get(named)
        assert (found.id, found.account, found.organization, found.state) == (number, "acme", "default", "active")
        assert work.overview.repositories() == {"active": 1}
        assert work.overview.installations() == {"active": 1}
        assert work.installations.named("acme/other") == []


def test_the_database_tells_its_size_and_its_schema(database: Database) -> None:
    assert database.size() > 10_000
    assert database.schema() == newest()
    assert database.compact()
    database.healthy()
