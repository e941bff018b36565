"""Clocks that are wrong, or are set while something is worked: row 32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.matrix import Run, fault
from tests.faults.points import CLOCK
from tests.faults.stand import NAMES, Stand

BEFORE_AND_AFTER = {
    "ten minutes fast": ("+600", "+600"),
    "ten minutes slow": ("-600", "-600"),
    "set back in a scan": ("+600", "+0"),
    "set forward in a scan": ("+0", "+600"),
}
"""Seconds by which the clock of every process is wrong, before and while the engine works. The database has a clock of its own, which is
right; that one which is set takes no lease away and holds nothing up is held by `tests/unit/store/test_outbox.py`."""
LEASES_OVER = 12.0
"""Seconds: past a lease, and past two looks of whoever takes expired ones back."""


def set_clock(file: Path, offset: str) -> None:
    """In one step: it is read all the time."""
    part = file.with_suffix(".part")
    part.write_text(offset)
    part.rename(file)


@contextmanager
def wrong_clock(stand: Stand, offset: str) -> Iterator[Path]:
    """All four run with another clock, which is in the file that this gives; their monotonic clock goes on as it is, as on a machine."""
    clock = stand.folder / "clock"
    set_clock(clock, offset)
    stand.quiet()
    for name in NAMES:
        stand.parts[name].stop()
    try:
        stand.start(more={CLOCK: str(clock)})
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
        set_clock(clock, after)
        if before != after:
            time.sleep(LEASES_OVER)
            assert working & set(stand.engine.at_work()), "a lease was lost of a worker that lived"
        stand.engine.release()
        run.cured()
        stand.wait("a finished check", lambda: life.finished)
        run.well()
        recovery = time.monotonic() - run.since
        assert _refused(stand) <= refused + ONCE_EACH, "the host refused our clock again and again"
    run.cured(time.monotonic() - recovery)  # starting everything with the right clock again is no part of it


ONCE_EACH = len(NAMES)
"""Times that the host may refuse a token of the wrong time: each process learns from it how far its clock is off."""


def _refused(stand: Stand) -> int:
    return len([one for one in stand.world.asked if one.status == 401])
