"""How many calls a minute a key may make. Counted in the web process that answers: who runs several of them gives each caller as often as
much, and nothing that is away can stop the counting."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders

WINDOW: Final = 60
"""Seconds."""

CALLERS: Final = 20_000
"""Callers that are remembered; who comes after that takes the place of who was silent longest."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a caller may still do."""

    limit: int
    remaining: int
    reset: int
    """Seconds since 1970 at which it begins anew."""
    allowed: bool

    def told(self, headers: MutableHeaders) -> None:
        """Into the headers of an answer."""
        headers["X-RateLimit-Limit"] = str(self.limit)
        headers["X-RateLimit-Remaining"] = str(self.remaining)
        headers["X-RateLimit-Reset"] = str(self.reset)


class RateLimits:
    """Calls by caller: a key that opened something has a count of its own, everybody else one by address, so that guessing is slow.

    Args:
        usual: calls in WINDOW of who is known by an address alone.
        clock: seconds since 1970.
    """

    def __init__(self, usual: int, clock: Callable[[], float] = time.time) -> None:
        self._usual, self._clock = usual, clock
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._known: OrderedDict[str, int] = OrderedDict()

    def knows(self, shown: str, limit: int) -> None:
        """A credential opened something: its plan allows so many calls."""
        self._known[_name(shown)] = limit
        self._known.move_to_end(_name(shown))
        while len(self._known) > CALLERS:
            self._known.popitem(last=False)

    def take(self, shown: str, address: str) -> Left:
        """Count one call.

        Args:
            shown: its credential; may be empty.
            address: where it comes from.
        """
        limit = self._known.get(_name(shown)) if shown else None
        caller = f"address:{address}" if limit is None else _name(shown)
        allowed = self._usual if limit is None else limit
        window = int(self._clock()) // WINDOW
        began, count = self._counts.get(caller, (window, 0))
        count = count + 1 if began == window else 1
        self._counts[caller] = (window, min(count, allowed + 1))
        self._counts.move_to_end(caller)
        while len(self._counts) > CALLERS:
            self._counts.popitem(last=False)
        return Left(allowed, max(0, allowed - count), (window + 1) * WINDOW, count <= allowed)


def _name(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:32]
