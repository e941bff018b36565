"""The outbox against a model of it: any order of sends, claims, crashes and sweeps keeps its promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from pipeline.errors import LeaseLost
from pipeline.model.ids import MessageId
from pipeline.store.engine import Database
from pipeline.store.outbox import MAX_CRASHES, Backlog, Claimed
from pipeline.store.tables import outbox
from tests.unit.store.samples import envelope, let_pass

LEASE = 8_000.0
"""Seconds. All times of the machine are so long that the real ones, which pass while it runs, do not count beside them."""
MARGIN = 1_000.0
"""Moments nearer than this to a limit are not asked about."""


@dataclass
class Expected:
    """What the model knows of one message; moments are seconds of the machine's own clock."""

    key: str
    status: str = "pending"
    due: float = 0.0
    until: float = 0.0
    epoch: int = 0
    attempts: int = 0
    crashes: int = 0


class OutboxMachine(RuleBasedStateMachine):
    """Messages m0..m4, workers who may die silently, and a sweep."""

    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.0
        self.model: dict[str, Expected] = {}
        self.ids: dict[str, MessageId] = {}
        self.held: list[Claimed] = []

    @initialize()
    def begin_with_nothing(self) -> None:
        with self.database.work() as work:
            work.transaction.execute(outbox.delete())

    def _id(self, key: str) -> MessageId:
        if key not in self.ids:
            with self.database.read() as work:
                row = work.transaction.execute(outbox.select().where(outbox.c.key == key)).one()
            self.ids[key] = MessageId(row.id)
        return self.ids[key]

    @rule(number=st.integers(0, 4), delay=st.sampled_from([0.0, 50_000.0]))
    def send(self, number: int, delay: float) -> None:
        key = f"m{number}"
        with self.database.work() as work:
            work.outbox.send(envelope(key, delay=delay))
        self.model.setdefault(key, Expected(key, due=self.clock + delay))

    @rule(seconds=st.sampled_from([3_000.0, 20_000.0, 100_000.0]))
    def time_passes(self, seconds: float) -> None:
        let_pass(self.database, seconds)
        self.clock += seconds

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        expected = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        with self.database.work() as work:
            claimed = work.outbox.claim(self._id(expected.key), "worker", LEASE)
        expired = expected.status == "running" and expected.until < self.clock + MARGIN
        due = expected.status == "pending" and expected.due <= self.clock
        assert (claimed is not None) == (due or (expired and expected.crashes + 1 < MAX_CRASHES))
        if claimed is None:
            return
        expected.crashes += expected.status == "running"
        expected.status, expected.until = "running", self.clock + LEASE
        expected.epoch += 1
        expected.attempts += 1
        assert (claimed.epoch, claimed.attempts, claimed.crashes) == (expected.epoch, expected.attempts, expected.crashes)
        self.held.append(claimed)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), verb=st.sampled_from(["renew", "check", "finish", "fail", "give up", "release"]))
    def worker_acts(self, data: st.DataObject, verb: str) -> None:
        claimed = data.draw(st.sampled_from(self.held))
        expected = self.model[claimed.key]
        mine = expected.status == "running" and expected.epoch == claimed.epoch
        if verb == "check":
            mine = mine and expected.until > self.clock + MARGIN
        try:
            with self.database.work() as work:
                match verb:
                    case "renew":
                        work.outbox.renew(claimed.id, claimed.epoch, LEASE)
                    case "check":
                        work.outbox.check(claimed.id, claimed.epoch)
                    case "finish":
                        work.outbox.finish(claimed.id, claimed.epoch)
                    case "fail":
                        work.outbox.fail(claimed.id, claimed.epoch, error_code="X", retry_in=50_000)
                    case "give up":
                        work.outbox.fail(claimed.id, claimed.epoch, error_code="X", retry_in=None)
                    case _:
                        work.outbox.release(claimed.id, claimed.epoch)
        except LeaseLost:
            assert not mine
            return
        assert mine
        match verb:
            case "renew":
                expected.until = self.clock + LEASE
            case "finish":
                expected.status = "done"
            case "fail":
                expected.status, expected.due = "pending", self.clock + 50_000
            case "give up":
                expected.status = "dead"
            case "release":
                expected.status, expected.due, expected.attempts = "pending", self.clock, expected.attempts - 1

    @rule()
    def sweep(self) -> None:
        with self.database.work() as work:
            dead = {found.key for found in work.outbox.expire()}
        for expected in self.model.values():
            if expected.status == "running" and expected.until < self.clock + MARGIN:
                expected.crashes += 1
                expected.status, expected.due = ("dead" if expected.crashes >= MAX_CRASHES else "pending"), self.clock
                assert (expected.key in dead) == (expected.status == "dead")

    @rule()
    def publish(self) -> None:
        with self.database.work() as work:
            found = [published.message_id for published in work.outbox.publishable(100)]
            work.outbox.mark_published(found)
        due = {self._id(e.key) for e in self.model.values() if e.status == "pending" and e.due <= self.clock}
        assert set(found) <= due

    @invariant()
    def nothing_is_lost(self) -> None:
        if not self.model:
            return
        with self.database.read() as work:
            backlog = work.outbox.backlog()
        count = {status: sum(e.status == status for e in self.model.values()) for status in ("pending", "running", "dead")}
        assert backlog == Backlog(count["pending"], count["running"], count["dead"], backlog.oldest_seconds)


@pytest.mark.slow
@pytest.mark.hypothesis  # which it does not see by itself: a machine is no `@given`
def test_any_order_of_events_keeps_the_promises(database: Database) -> None:
    machine = type("OutboxMachineOfOneDatabase", (OutboxMachine,), {"database": database})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))
