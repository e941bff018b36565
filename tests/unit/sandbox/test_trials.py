"""A level that failed its trial once is asked again, and less isolation is never taken in silence."""

from __future__ import annotations

import logging

import pytest

from pipeline.errors import SandboxBusy
from pipeline.sandbox.isolation import Level
from pipeline.sandbox.trials import ASK_AGAIN, Trials


class Machine:
    """One whose levels fail for the causes that it is told, with a clock of its own."""

    def __init__(self, **causes: str) -> None:
        self.causes = causes
        self.now = 100.0
        self.tried: list[str] = []
        self.trials = Trials(self.attempt, lambda: self.now)

    def attempt(self, level: Level) -> str:
        self.tried.append(level.value)
        return self.causes.get(level.value, "")


def weaker(caplog: pytest.LogCaptureFixture) -> list[tuple[object, object, object]]:
    lines = [vars(record) for record in caplog.records if record.getMessage() == "sandbox.weaker"]
    assert all(line["levelno"] == logging.WARNING for line in lines)
    return [(line["reached"], line["isolates"], line["error"]) for line in lines]


def test_a_level_that_failed_for_a_moment_is_used_again_after_some_seconds() -> None:
    machine = Machine(bubblewrap="EAGAIN", namespaces="EAGAIN")
    assert machine.trials.best() is Level.LIMITS
    machine.causes.clear()
    machine.now += ASK_AGAIN - 0.1
    assert machine.trials.best() is Level.LIMITS
    machine.now += 0.2
    assert machine.trials.best() is Level.BUBBLEWRAP


def test_a_level_that_worked_is_not_tried_again_and_one_that_failed_not_at_once() -> None:
    machine = Machine(bubblewrap="not installed")
    for _ in range(3):
        assert machine.trials.best() is Level.NAMESPACES
    assert machine.tried == ["bubblewrap", "namespaces"]
    machine.now += 10 * ASK_AGAIN
    assert machine.trials.best() is Level.NAMESPACES
    assert machine.tried == ["bubblewrap", "namespaces", "bubblewrap"]
    assert machine.trials.why(Level.BUBBLEWRAP) == "not installed"


def test_less_isolation_is_logged_with_its_causes_once_a_change(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(bubblewrap="EAGAIN", namespaces="ENOMEM")
    first = ("limits", False, "bubblewrap: EAGAIN; namespaces: ENOMEM")
    for _ in range(3):
        machine.trials.best()
        machine.now += 2 * ASK_AGAIN
    assert weaker(caplog) == [first]
    del machine.causes["namespaces"]
    machine.trials.best()
    machine.trials.best()
    assert weaker(caplog) == [first, ("namespaces", True, "bubblewrap: EAGAIN")]


def test_the_best_level_is_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    assert Machine().trials.best() is Level.BUBBLEWRAP
    assert not caplog.records


def test_where_nothing_can_be_started_the_work_is_tried_again_later() -> None:
    machine = Machine(bubblewrap="EAGAIN", namespaces="EAGAIN", limits="no process left")
    with pytest.raises(SandboxBusy, match="no process left") as caught:
        machine.trials.best()
    assert caught.value.retryable
