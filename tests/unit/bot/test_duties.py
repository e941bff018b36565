"""The relay's duties: each in its time, and none in the way of another."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bot.jobs import Duty, Jobs, Relay
from pipeline.errors import StoreUnavailable
from pipeline.messages import Envelope, SettleReview
from pipeline.model.ids import ReviewId
from pipeline.store.engine import Database


def _relay(tmp_path: Path, *duties: Duty) -> Relay:
    return Relay(Database.open(f"sqlite:///{tmp_path / 'duties.db'}"), Jobs("unix:///nowhere"), duties)


def test_a_duty_is_done_when_its_time_has_come_and_not_before(tmp_path: Path) -> None:
    done: list[str] = []
    relay = _relay(tmp_path, Duty("often", 0.0, lambda: done.append("often")), Duty("later", 60.0, lambda: done.append("later")))
    relay.do_duties()
    relay.do_duties()
    assert done == ["often", "often"]


def test_a_duty_that_fails_is_told_tried_again_and_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("failing")
        raise StoreUnavailable("the disk is full")

    relay = _relay(tmp_path, Duty("failing", 0.0, fail), Duty("other", 0.0, lambda: done.append("other")))
    relay.do_duties()
    relay.do_duties()
    assert done == ["failing", "other"] * 2
    assert "duty.failed" in caplog.text


def test_a_fault_in_a_duty_ends_no_other_duty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fault() -> None:
        raise OSError("an input/output error")

    relay = _relay(tmp_path, Duty("faulty", 0.0, fault), Duty("other", 0.0, lambda: done.append("other")))
    relay.do_duties()
    relay.do_duties()
    assert done == ["other"] * 2
    assert "duty.fault" in caplog.text


def test_a_slow_duty_does_not_hold_up_the_relay(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'slow.db'}")
    database.migrate()
    begun, release, stop = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        release.wait(20)

    thread = threading.Thread(target=Relay(database, Jobs("unix:///nowhere"), [Duty("slow", 0.0, slow)]).run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert begun.wait(10)
        _hold_and_die(database)
        deadline = time.monotonic() + 10
        while _running(database):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not release.is_set()
    finally:
        release.set()
        stop.set()
        thread.join(10)
        database.dispose()
    assert not thread.is_alive()


def _hold_and_die(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(Envelope(SettleReview(ReviewId("held")), "held"))
    with database.read() as work:
        (message,) = work.outbox.publishable(1)
    with database.work() as work:
        assert work.outbox.claim(message.message_id, "a worker that dies", seconds=-1.0) is not None


def _running(database: Database) -> int:
    with database.read() as work:
        return work.outbox.backlog().running
