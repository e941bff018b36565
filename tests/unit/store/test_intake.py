"""The intake: acknowledged means durable, twice is once, and nothing is acknowledged that was not kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from pipeline.errors import QueueUnavailable, StoreError, StoreUnavailable
from pipeline.store import intake as intake_module
from pipeline.store.engine import Database
from pipeline.store.intake import Intake, IntakeRow
from pipeline.store.intake_writers import Prepared
from tests.databases import Postgres
from tests.unit.store.samples import HOSTILE, envelope

ROOT = Path(__file__).parents[3]


@pytest.fixture
def intake(database: Database) -> Iterator[Intake]:
    opened = Intake.open(database.url)
    opened.start()
    yield opened
    opened.stop()


def delivery(identity: str = "d1", *, body: bytes = b"{}", name: str = "pull_request.opened", outcome: str = "accepted") -> IntakeRow:
    return IntakeRow("github", "", identity, name, body, outcome)


def rows(database: Database) -> tuple[int, int]:
    """How many deliveries and messages there are."""
    with database.read() as work:
        counted = [work.transaction.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in ("deliveries", "outbox")]
    return counted[0], counted[1]


def test_a_delivery_and_its_message_are_there_when_it_is_answered(database: Database, intake: Intake) -> None:
    assert intake.submit(delivery(body=b"the body"), [envelope()]).result(10)
    assert rows(database) == (1, 1)
    with database.work() as work:
        assert work.deliveries.seen("github", "", "d1")
        assert not work.deliveries.seen("github", "other", "d1")
        assert work.deliveries.body("github", "", "d1") == b"the body"
        (published,) = work.outbox.publishable(10)
        claimed = work.outbox.claim(published.message_id, "me")
    assert claimed is not None
    assert claimed.message == envelope().message


def test_a_repeated_delivery_changes_nothing(database: Database, intake: Intake) -> None:
    assert intake.submit(delivery(), [envelope("first")]).result(10)
    assert not intake.submit(delivery(), [envelope("second")]).result(10)
    assert rows(database) == (1, 1)


def test_one_delivery_may_send_several_messages_or_none(database: Database, intake: Intake) -> None:
    assert intake.submit(delivery("many"), [envelope("a"), envelope("b", priority=0, delay=60, group="g")]).result(10)
    assert intake.submit(delivery("none", outcome="ignored"), []).result(10)
    assert rows(database) == (2, 2)


def test_a_hundred_copies_at_once_are_one(database: Database, intake: Intake) -> None:
    async def deliver() -> list[bool]:
        return await asyncio.gather(*(intake.accept(delivery(), [envelope()]) for _ in range(100)))

    assert sorted(asyncio.run(deliver())) == [False] * 99 + [True]
    assert rows(database) == (1, 1)
    with database.work() as work:
        counts = {(count.name, count.outcome): count.count for count in work.deliveries.counts()}
    assert counts == {("pull_request.opened", "accepted"): 1, ("pull_request.opened", "repeated"): 99}


def test_copies_that_reach_several_processes_are_one(database: Database) -> None:
    several = [Intake.open(database.url) for _ in range(4)]
    for intake in several:
        intake.start()

    def deliver(number: int) -> list[bool]:
        # Every process gets every delivery, in another order: they must not lock each other out.
        order = [(number * 7 + step * (1 if number % 2 else -1)) % 25 for step in range(25)]
        futures = [several[number].submit(delivery(f"d{i}"), [envelope(f"k{i}")]) for i in order]
        return [future.result(20) for future in futures]

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for answers in pool.map(deliver, range(4)) for answer in answers]
    for intake in several:
        intake.stop()
    assert answers.count(True) == 25
    assert rows(database) == (25, 25)


def test_a_delivery_whose_message_cannot_be_kept_is_not_kept_either(database: Database, intake: Intake) -> None:
    with database.work() as work:
        if database.dialect == "sqlite":
            refuse = "CREATE TRIGGER t BEFORE INSERT ON outbox WHEN new.key = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        else:
            refuse = "ALTER TABLE outbox ADD CONSTRAINT t CHECK (key <> 'bad')"
        work.transaction.execute(text(refuse))
    with pytest.raises(StoreError, match="refuses"):
        intake.submit(delivery("d1"), [envelope("good"), envelope("bad")]).result(10)
    assert rows(database) == (0, 0)
    assert intake.submit(delivery("d1"), [envelope("good")]).result(10)
    assert rows(database) == (1, 1)


def test_hostile_texts_are_kept_as_they_are(database: Database, intake: Intake) -> None:
    row = IntakeRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, os.urandom(100))
    assert intake.submit(row, [envelope(HOSTILE, group=HOSTILE)]).result(10)
    assert not intake.submit(row, [envelope(HOSTILE)]).result(10)
    with database.work() as work:
        assert work.deliveries.body(HOSTILE, HOSTILE, HOSTILE) == row.body
        assert work.deliveries.counts()[0].name == HOSTILE
        claimed = work.outbox.claim_next(HOSTILE, "me")
    assert claimed is not None
    assert claimed.key == HOSTILE


def test_bodies_go_after_a_day_and_rows_after_a_week(database: Database, intake: Intake) -> None:
    intake.submit(delivery(), [envelope()]).result(10)

    def pass_by(days: float) -> None:
        with database.work() as work:
            work.transaction.execute(text(f"UPDATE deliveries SET received_at = received_at - {days * 86_400}"))
            work.deliveries.purge()

    pass_by(0.9)
    with database.work() as work:
        assert work.deliveries.body("github", "", "d1") == b"{}"
    pass_by(0.2)
    with database.work() as work:
        assert work.deliveries.body("github", "", "d1") is None
        assert work.deliveries.seen("github", "", "d1")
    pass_by(6)
    assert rows(database) == (0, 1)


class Recording:
    """A writer that shows what it is asked, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.closed = 0
        self.fail: Callable[[Sequence[Prepared]], None] = lambda batch: None

    def write(self, batch: Sequence[Prepared]) -> set[str]:
        self.gate.wait(10)
        self.batches.append(len(batch))
        self.fail(batch)
        return {row.id for row in batch}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def slow(recording: Recording) -> Iterator[Intake]:
    opened = Intake(recording, max_batch=10)
    opened.start()
    yield opened
    recording.gate.set()
    opened.stop()


def test_what_waits_while_one_commit_runs_shares_the_next(recording: Recording, slow: Intake) -> None:
    first = slow.submit(delivery("0"), [])
    while not slow._queue.empty():
        time.sleep(0.001)
    rest = [slow.submit(delivery(str(number)), []) for number in range(1, 26)]
    recording.gate.set()
    assert all(future.result(10) for future in [first, *rest])
    assert recording.batches == [1, 10, 10, 5]


def test_a_failing_commit_fails_all_that_shared_it_and_only_those(recording: Recording, slow: Intake) -> None:
    def full(batch: Sequence[Prepared]) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    recording.fail = full
    futures = [slow.submit(delivery(str(number)), []) for number in range(5)]
    recording.gate.set()
    for future in futures:
        with pytest.raises(StoreUnavailable, match="database or disk is full"):
            future.result(10)
    assert recording.closed >= 1
    recording.fail = lambda batch: None
    assert slow.submit(delivery("after"), []).result(10)


def test_one_row_that_the_database_refuses_fails_alone(recording: Recording, slow: Intake) -> None:
    def poisonous(batch: Sequence[Prepared]) -> None:
        if any(row.delivery_id == "bad" for row in batch):
            raise sqlite3.IntegrityError("constraint failed")

    recording.fail = poisonous
    futures = {name: slow.submit(delivery(name), []) for name in ("a", "b", "bad", "c")}
    recording.gate.set()
    assert all(futures[name].result(10) for name in ("a", "b", "c"))
    with pytest.raises(StoreError, match="refuses the delivery"):
        futures["bad"].result(10)


@pytest.mark.parametrize(
    "fault",
    [
        sqlite3.DatabaseError("database disk image is malformed"),
        psycopg.errors.UndefinedTable('relation "outbox" does not exist'),
        psycopg.errors.UndefinedColumn('column "due_at" does not exist'),
        psycopg.errors.InsufficientPrivilege("permission denied for table deliveries"),
        psycopg.errors.DataCorrupted("invalid page in block 0"),
        KeyError("a bug"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_what_no_row_is_to_blame_for_refuses_none_and_is_tried_again(recording: Recording, slow: Intake, fault: Exception) -> None:
    def ill(batch: Sequence[Prepared]) -> None:
        raise fault

    recording.fail = ill
    recording.gate.set()
    with pytest.raises(StoreUnavailable):
        slow.submit(delivery("a"), []).result(10)
    assert recording.closed >= 1, "what is mended may need another connection"
    recording.fail = lambda batch: None
    assert slow.submit(delivery("a"), []).result(10)


def test_a_fault_of_ours_in_the_writer_does_not_end_the_intake(recording: Recording, slow: Intake) -> None:
    def broken(batch: Sequence[Prepared]) -> None:
        raise KeyError("a bug")

    recording.fail = broken
    recording.gate.set()
    with pytest.raises(StoreError, match="KeyError"):
        slow.submit(delivery("a"), []).result(10)
    recording.fail = lambda batch: None
    assert slow.submit(delivery("b"), []).result(10)


def test_an_idle_connection_that_died_is_replaced_without_a_failure(recording: Recording, slow: Intake) -> None:
    def once(batch: Sequence[Prepared]) -> None:
        recording.fail = lambda batch: None
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    recording.fail = once
    recording.gate.set()
    assert slow.submit(delivery("a"), []).result(10)
    assert recording.batches == [1, 1]


def test_too_many_waiting_deliveries_are_refused_at_once(recording: Recording, slow: Intake) -> None:
    big = b"x" * (intake_module.MAX_WAITING_BYTES // 4)
    accepted: list[Future[bool]] = []
    with pytest.raises(StoreUnavailable, match="too many"):
        for number in range(6):
            accepted.append(slow.submit(delivery(str(number), body=big), []))
    assert len(accepted) >= 4
    recording.gate.set()
    assert all(future.result(20) for future in accepted)
    assert slow.submit(delivery("room again", body=big), []).result(10)


def test_a_stopped_intake_has_written_what_it_took_and_takes_nothing_more(database: Database) -> None:
    intake = Intake.open(database.url)
    with pytest.raises(StoreUnavailable, match="not running"):
        intake.submit(delivery(), [])
    intake.start()
    futures = [intake.submit(delivery(str(number)), [envelope(str(number))]) for number in range(200)]
    started = time.monotonic()
    intake.stop()
    assert time.monotonic() - started < 10
    assert all(future.done() and future.result() for future in futures)
    assert rows(database) == (200, 200)
    with pytest.raises(StoreUnavailable, match="not running"):
        intake.submit(delivery(), [])


def test_a_slow_callback_holds_up_no_delivery(database: Database) -> None:
    called, release = threading.Event(), threading.Event()

    def hangs() -> None:
        called.set()
        release.wait(20)
        raise QueueUnavailable("Redis does not answer")

    intake = Intake.open(database.url, on_commit=hangs)
    intake.start()
    assert intake.submit(delivery("a"), []).result(10)
    assert called.wait(10)
    started = time.monotonic()
    assert intake.submit(delivery("b"), []).result(10)
    assert time.monotonic() - started < 3
    release.set()
    intake.stop()


def test_a_locked_database_is_not_acknowledged(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'fixwright.db'}")
    database.migrate()
    intake = Intake.open(database.url)
    intake.start()
    with database.work():
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            asyncio.run(intake.accept(delivery(), [envelope()]))
        assert 4 < time.monotonic() - started < 9
    assert rows(database) == (0, 0)
    assert intake.submit(delivery(), [envelope()]).result(10), "the lock is gone, and so is the failure"
    intake.stop()
    database.dispose()


def test_a_server_that_cuts_the_connection_costs_nothing(postgres: Postgres, postgres_template: str) -> None:
    name = "cut_connections"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    intake = Intake.open(postgres.url(name))
    intake.start()
    assert intake.submit(delivery("before"), [envelope("before")]).result(10)
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert intake.submit(delivery("after"), [envelope("after")]).result(10)
    intake.stop()
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


_VICTIM = """
import sys
from pipeline.messages import Envelope, SettleReview
from pipeline.store.intake import Intake, IntakeRow

intake = Intake.open(sys.argv[1])
intake.start()
number = 0
while True:
    futures = [
        (n, intake.submit(IntakeRow("github", "", f"d{n}", "push", b"{}"), [Envelope(SettleReview("r"), f"k{n}")]))
        for n in range(number, number + 8)
    ]
    for n, future in futures:
        if future.result(20):
            print(n, flush=True)
    number += 8
"""


def test_what_was_acknowledged_survives_kill_9(database: Database) -> None:
    command = [sys.executable, "-c", _VICTIM, database.url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as victim:
        assert victim.stdout is not None
        acknowledged = [int(victim.stdout.readline()) for _ in range(60)]
        victim.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in victim.stdout.read().split(b"\n")[:-1]]
    with database.work() as work:
        kept = {row.delivery_id for row in work.transaction.execute(text("SELECT delivery_id FROM deliveries"))}
        sent = {row.key for row in work.transaction.execute(text("SELECT key FROM outbox"))}
    assert {f"d{number}" for number in acknowledged} <= kept
    assert {key.removeprefix("k") for key in sent} == {identity.removeprefix("d") for identity in kept}, "both or neither"
