"""Clocks that are wrong, or are set while something is worked: row 32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.matrix import NotChecked, Run, fault
from tests.faults.stand import NAMES, Stand

BEFORE_AND_AFTER = {
    "ten minutes fast": ("+600", "+600"),
    "ten minutes slow": ("-600", "-600"),
    "set back in a scan": ("+600", "+0"),
    "set forward in a scan": ("+0", "+600"),
}
"""Seconds by which the clock of every process is wrong, before and while the engine works. A database on SQLite has the clock of those who
use it; a PostgreSQL has its own, which is right."""


LEASES_OVER = 12.0
"""Seconds: past a lease, and past two looks of whoever takes expired ones back."""


def _library() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise NotChecked("faketime is not installed")
    return str(found[0])


@contextmanager
def wrong_clock(stand: Stand, offset: str) -> Iterator[Path]:
    """All four run with another clock, which is in the file that this gives; their monotonic clock goes on as it is, as on a real machine.

    Only the library is loaded: the command `faketime` would set a time that nobody can change any more (README of libfaketime, "Using
    FAKETIME_TIMESTAMP_FILE").
    """
    clock = stand.folder / "clock"
    clock.write_text(offset)
    fake = {
        "LD_PRELOAD": _library(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    stand.quiet()
    for name in NAMES:
        stand.parts[name].stop()
    try:
        stand.start(more=fake)
        yield clock
    finally:
        for name in NAMES:
            stand.parts[name].stop()
        stand.start()


@fault(32, "clocks are ten minutes wrong, or are set in the middle of a scan", steps=tuple(BEFORE_AND_AFTER))
def clock_set(run: Run) -> None:
    stand, (before, after) = run.stand, BEFORE_AND_AFTER[run.step]
    with wrong_clock(stand, before) as clock:
        refused = _refused(stand)
        stand.engine.hold()
        life = run.begin()
        working = set(stand.wait("an engine at work", stand.engine.at_work))
        clock.write_text(after)
        if before != after:
            time.sleep(LEASES_OVER)
            assert working & set(stand.engine.at_work()), "a lease was lost of a worker that lived"
        stand.engine.release()
        run.cured()
        stand.wait("a finished check", lambda: life.finished)
        stand.wait("all is well", lambda: not run.problems())
        recovery = time.monotonic() - run.since
        assert _refused(stand) <= refused + ONCE_EACH, "the host refused our clock again and again"
    run.cured(time.monotonic() - recovery)  # starting everything with the right clock again is no part of it


ONCE_EACH = len(NAMES)
"""Times that the host may refuse a token of the wrong time: each process learns from it how far its clock is off."""


def _refused(stand: Stand) -> int:
    return len([one for one in stand.world.asked if one.status == 401])
