"""How many calls a minute a key may make. Counted in Redis, for all web processes together; while that is away each process goes on by
itself from where it was, so that nothing that is away stops an answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.datastructures import MutableHeaders

log = logging.getLogger(__name__)

WINDOW: Final = 60
"""Seconds."""

CALLERS: Final = 20_000
"""Callers that are remembered; who comes after that takes the place of who was silent longest."""

PATIENCE: Final = 0.25
"""Seconds that one call waits for the shared count."""

APART: Final = 5.0
"""Seconds for which the shared count is not asked for after it did not answer."""

CONNECTIONS: Final = 8
"""To Redis, of one process."""


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


class SharedCounts:
    """Counts that all web processes have together.

    Args:
        url: of the Redis of the queue; empty: there is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: redis.asyncio.Redis | None = None
        self._apart_until = 0.0
        self._apart = False

    async def add(self, caller: str, window: int) -> int | None:
        """Count one call: how many there were in this window, with it. None when nobody can say."""
        if not self._url or time.monotonic() < self._apart_until:
            return None
        key = f"fixwright:calls:{window}:{_name(caller)}"
        try:
            async with asyncio.timeout(PATIENCE), self._open().pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.expire(key, 2 * WINDOW)
                number = int((await pipe.execute())[0])
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._apart_until = time.monotonic() + APART
            if not self._apart:
                log.warning("api.calls_apart", extra={"error": type(error).__name__})
            self._apart = True
            return None
        self._apart = False
        return number

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> redis.asyncio.Redis:
        if self._client is None:
            waits = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
            pool = redis.asyncio.BlockingConnectionPool.from_url(self._url, max_connections=CONNECTIONS, timeout=PATIENCE, **waits)
            self._client = redis.asyncio.Redis.from_pool(pool)
        return self._client


class RateLimits:
    """Calls by caller: a key that opened something has a count of its own, everybody else one by address, so that guessing is slow.

    Args:
        usual: calls in WINDOW of who is known by an address alone.
        shared: what other web processes count with; None: this one is alone.
        clock: seconds since 1970.
    """

    def __init__(self, usual: int, shared: SharedCounts | None = None, clock: Callable[[], float] = time.time) -> None:
        self._usual, self._shared, self._clock = usual, shared or SharedCounts(""), clock
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._known: OrderedDict[str, int] = OrderedDict()

    def knows(self, shown: str, limit: int) -> None:
        """A credential opened something: its plan allows so many calls."""
        self._known[_name(shown)] = limit
        self._known.move_to_end(_name(shown))
        while len(self._known) > CALLERS:
            self._known.popitem(last=False)

    async def take(self, shown: str, address: str) -> Left:
        """Count one call.

        Args:
            shown: its credential; may be empty.
            address: where it comes from.
        """
        limit = self._known.get(_name(shown)) if shown else None
        caller = f"address:{address}" if limit is None else _name(shown)
        allowed = self._usual if limit is None else limit
        window = int(self._clock()) // WINDOW
        together = await self._shared.add(caller, window)
        began, count = self._counts.get(caller, (window, 0))
        before = count if began == window else 0
        count = before + 1 if together is None else together
        self._counts[caller] = (window, min(max(before, count), allowed + 1))
        self._counts.move_to_end(caller)
        while len(self._counts) > CALLERS:
            self._counts.popitem(last=False)
        return Left(allowed, max(0, allowed - count), (window + 1) * WINDOW, count <= allowed)


def _name(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:32]
