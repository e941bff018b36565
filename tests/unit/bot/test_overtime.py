"""How long a message may take, and what a worker sees of a child that hangs."""

from __future__ import annotations

import os

import pytest

from bot.overtime import SILENT_SECONDS, TALKING_SECONDS, Watch, limit
from pipeline.messages import Message, RunFix, RunScan, SettleReview, Speak
from pipeline.model.ids import FixId, ReviewId, ScanId

REVIEW = ReviewId("r")


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (SettleReview(REVIEW), TALKING_SECONDS),
        (Speak(REVIEW), TALKING_SECONDS),
        (RunScan(ScanId("s"), REVIEW), 1_500.0),
        (RunFix(FixId("f")), 1_500.0),
    ],
)
def test_what_runs_engines_may_take_longer_than_what_talks(message: Message, seconds: float) -> None:
    assert limit(message, engine_seconds=120.0, cap=3_600.0) == seconds
    assert limit(message, engine_seconds=120.0, cap=5.0) == 5.0


def test_engines_that_may_take_long_lengthen_the_step_up_to_the_hour_after_which_the_queue_ends_it() -> None:
    assert limit(RunScan(ScanId("s"), REVIEW), engine_seconds=3_600.0, cap=3_600.0) == 3_600.0


def test_nothing_is_wrong_while_nothing_is_worked() -> None:
    watch = Watch()
    assert watch.trouble() == ""
    watch.begin(-1.0)
    assert watch.trouble() == "it takes too long"
    watch.end()
    assert watch.trouble() == ""


def test_a_worker_sees_what_its_child_wrote() -> None:
    watch = Watch()
    child = os.fork()
    if child == 0:
        watch.begin(-1.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert watch.trouble() == "it takes too long"


def test_a_child_of_which_nothing_is_heard_is_in_trouble() -> None:
    now = 0.0
    watch = Watch(lambda: now)
    watch.begin(1_000.0)
    now = SILENT_SECONDS - 1
    assert watch.trouble() == ""
    watch.beat()
    now = 2 * SILENT_SECONDS - 2
    assert watch.trouble() == ""
    now = 2 * SILENT_SECONDS
    assert watch.trouble() == "nothing is heard of it"
