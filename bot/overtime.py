"""How long one message may take, and the watch that a worker keeps over the child that works it.

A child that hangs renews its lease all the same, in a thread of its own, and RQ waits for an hour: so nobody would ever take its message
over. The worker therefore looks at a page of memory that it shares with its child, and ends a child that takes too long, or of which
nothing was heard (a call that never comes back and lets no other thread run).
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable
from typing import Final

from pipeline.messages import Message, RunFix, RunScan, ScanRepository

TALKING_SECONDS: Final = 600.0
"""For what decides, or asks a host: a fetch may take 120 s, one call of a host 30 s."""

LOOKING_SECONDS, RUNS = 300.0, 10
"""For what runs engines or tests: so long for all the rest, and as many of an engine's longest runs (FIXWRIGHT_ENGINE_SECONDS)."""

SILENT_SECONDS: Final = 30.0
"""A child is heard of every 2 s; waiting for a database that does not answer it is silent for 10 s at most."""

_FORMAT: Final = "dd"


def limit(message: Message, engine_seconds: float, cap: float) -> float:
    """Seconds of the wall clock that one attempt at a message may take.

    Args:
        engine_seconds, cap: as the operator set them.
    """
    looks = isinstance(message, RunScan | ScanRepository | RunFix)
    return min(LOOKING_SECONDS + RUNS * engine_seconds if looks else TALKING_SECONDS, cap)


class Watch:
    """Until when the message of a child may take, and when the child was heard of. Made before the fork, shared after it.

    Times are of the monotonic clock, which is the same for all processes of a machine and stands still while the machine sleeps.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._page = mmap.mmap(-1, struct.calcsize(_FORMAT))

    def begin(self, seconds: float) -> None:
        """The child begins a message, which may take so long."""
        now = self._clock()
        struct.pack_into(_FORMAT, self._page, 0, now + seconds, now)

    def beat(self) -> None:
        """The child lives."""
        until, _ = struct.unpack_from(_FORMAT, self._page)
        struct.pack_into(_FORMAT, self._page, 0, until, self._clock())

    def end(self) -> None:
        """No message is being worked."""
        struct.pack_into(_FORMAT, self._page, 0, 0.0, 0.0)

    def trouble(self) -> str:
        """Why the child must be ended; empty when all is well or nothing is being worked."""
        until, heard = struct.unpack_from(_FORMAT, self._page)
        now = self._clock()
        if until and now > until:
            return "it takes too long"
        return "nothing is heard of it" if until and now > heard + SILENT_SECONDS else ""
