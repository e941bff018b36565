"""Whether what this process writes to a host is still its work to do.

A worker that was stopped (a frozen container, a laptop's lid) goes on in the middle of a line, beside whoever took its
message over meanwhile. A look at the lease before an effect does not help when the stop falls between the look and the request: so the last
thing before each request that changes something is a look at the clock, which costs nothing, and when it says that the lease may have run
out, a question to the database. What is left is a stop between that look and the system call, a few microseconds long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Fence", "awake", "before_a_write", "fenced"]


def awake() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock (Linux: `CLOCK_BOOTTIME`). One thing stops it too: a
    hypervisor that pauses the whole machine; then only the look at the database before each effect stands between two workers."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Fence:
    """What one process knows of the lease that it works under.

    Args:
        seconds: how long a lease holds from each renewal.
        renew: renews it. Raises LeaseLost when somebody else has it, StoreUnavailable when that cannot be known.
        held: what `clock` said right before the lease was asked for.
        clock: seconds that only grow, also while the process is stopped.
    """

    def __init__(self, seconds: float, renew: Callable[[], None], held: float, clock: Callable[[], float] = awake) -> None:
        self._seconds, self._renew, self._held, self._clock = seconds, renew, held, clock

    def renewed(self) -> None:
        """Renew the lease; it is counted from before the question, as the answer may be late. Raises what `renew` raises."""
        asked = self._clock()
        self._renew()
        self._held = asked

    def look(self) -> None:
        """Go on only with a lease that holds. Raises what `renew` raises."""
        if self._clock() - self._held >= self._seconds:
            self.renewed()


_CURRENT: ContextVar[Fence | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(fence: Fence) -> Iterator[None]:
    """What is written to hosts in the block is written under that lease."""
    token = _CURRENT.set(fence)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def before_a_write() -> None:
    """Called by each provider right before a request that changes something on its host, each attempt of it; outside of a worker's message
    (a command of the operator) nothing is looked at. Raises LeaseLost, StoreUnavailable."""
    fence = _CURRENT.get()
    if fence is not None:
        fence.look()
