"""How much we may ask of GitHub, known to all processes: pauses, the hourly budget, what creates content, and a breaker.

Sources: docs "Rate limits for the REST API" (Retry-After first; else at least a minute, then longer and longer; about 80 requests a minute
and 500 an hour that create content) and "Best practices for using the REST API" (writes one after the other; who goes on calling while
limited may be banned). Numbers that GitHub does not name are said to be ours.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from pipeline.errors import HostError, HostGarbage, HostUnavailable, RateLimited
from pipeline.ports import RETRY_CAP, Configuration, HostMemory
from providers.github.failures import LONGEST_WAIT, SECONDARY_WAIT, number

log = logging.getLogger(__name__)

RESERVED = 0.2
"""Part of the hourly budget that work for which nobody waits leaves to the others. Ours."""
STEPS = 20
"""The others are told each time another twentieth of the budget is gone, and only from the half on: most calls write nothing."""
CREATED_A_MINUTE, CREATED_AN_HOUR = 80, 500
CREATES = ("/comments", "/replies", "/reviews", "/pulls")
"""Ends of addresses to which a POST creates content."""
WRITING = 20.0
"""Seconds for which one process may keep the others of an installation from writing."""
FAILURES = 5
"""So many calls in a row without an answer, and nobody calls for a while. Ours."""
OPEN_SECONDS = 15.0
"""How long at most, with jitter; then one call is let through to see. A probe keeps the others away for as long. Ours, so that the operator
may make it shorter (FIXWRIGHT_RETRY_CAP); what GitHub asks for is never shortened."""
FORGET = 3_600.0
"""Seconds after which an old failure counts no more."""

_Result = TypeVar("_Result")


class Limits:
    """The limits of one installation, and the breaker of its instance.

    Args:
        patient: True for work for which nobody waits: it stops while only `RESERVED` of the budget is left.
        open_seconds: see `OPEN_SECONDS`.
    """

    def __init__(
        self,
        memory: HostMemory,
        site: str,
        installation: str,
        *,
        clock: Callable[[], float],
        patient: bool = False,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._memory, self._clock, self._patient = memory, clock, patient
        self._open = open_seconds
        self._installation = f"github/{site}/{{}}/{installation}"
        self._breaker = f"github/{site}/breaker"
        self._told = ""

    def guarded(self, call: Callable[[], _Result], headers: Callable[[], Mapping[str, str]]) -> _Result:
        """Do `call` unless it must wait; learn from how it ends. `headers`: those of the newest answer.

        Raises:
            RateLimited: at once while a pause lasts, the budget is reserved, or the breaker is open.
        """
        self._refuse_while_paused()
        failures = self._enter()
        try:
            result = call()
        except RateLimited as limited:
            self._closed(failures)
            raise self._paused(limited) from None
        except HostUnavailable:
            self._failed()
            raise
        except HostGarbage:
            raise
        except HostError:  # it says no, and that is an answer
            self._closed(failures)
            raise
        self._closed(failures)
        self._learn(headers())
        return result

    @contextmanager
    def writing(self, method: str, address: str) -> Iterator[None]:
        """Nobody else of the installation writes inside of it. Raises RateLimited when too much was created lately."""
        with self._memory.lock(self._installation.format("write"), WRITING):
            if method == "POST" and address.partition("?")[0].endswith(CREATES):
                self._count_created()
            yield

    # --- pauses and the budget ---

    def _refuse_while_paused(self) -> None:
        until = self._memory.get(self._installation.format("pause"))
        if until is not None and (wait := float(until) - self._clock()) > 0:
            raise RateLimited(f"GitHub asked us to wait; {wait:.0f} s of it are left", retry_after=wait)
        if self._patient and (wait := self._reserved()) > 0:
            raise RateLimited(f"the last fifth of GitHub's hourly budget is kept for people; {wait:.0f} s are left", retry_after=wait)

    def _paused(self, limited: RateLimited) -> RateLimited:
        """Tell the others; a limit that names no time and comes again is waited for twice as long each time."""
        wait, strikes = limited.retry_after, self._installation.format("strikes")
        if wait == SECONDARY_WAIT:
            before = int(self._memory.get(strikes) or b"0")
            wait = min(SECONDARY_WAIT * 2**before, LONGEST_WAIT)
            self._memory.put(strikes, str(min(before + 1, 10)).encode(), wait + FORGET)
        self._memory.put(self._installation.format("pause"), f"{self._clock() + wait:.0f}".encode(), wait)
        return RateLimited(limited.message, retry_after=wait, hint=limited.hint, away=limited.away)

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Tell the others how much is left, when that is little. An enterprise server without limits says nothing."""
        left, most = number(headers.get("x-ratelimit-remaining")), number(headers.get("x-ratelimit-limit"))
        reset = number(headers.get("x-ratelimit-reset"))
        if left is None or not most or reset is None or headers.get("x-ratelimit-resource", "core") != "core":
            return
        step = int(left * STEPS / most)
        if step >= STEPS // 2 or (told := f"{step} {reset:.0f}") == self._told:
            return
        self._told = told
        self._memory.put(self._installation.format("budget"), told.encode(), min(max(reset - self._clock(), 1.0), LONGEST_WAIT))

    def _reserved(self) -> float:
        """Seconds until the budget is full again, 0 while there is enough."""
        known = self._memory.get(self._installation.format("budget"))
        if known is None:
            return 0.0
        step, _, reset = known.decode().partition(" ")
        return max(float(reset) - self._clock() + 1, 0.0) if int(step) < STEPS * RESERVED else 0.0

    def _count_created(self) -> None:
        now, key = self._clock(), self._installation.format("created")
        before = [float(moment) for moment in (self._memory.get(key) or b"").decode().split()]
        hour = [moment for moment in before if moment > now - 3_600]
        minute = [moment for moment in hour if moment > now - 60]
        for moments, most, length in ((minute, CREATED_A_MINUTE, 60.0), (hour, CREATED_AN_HOUR, 3_600.0)):
            if len(moments) >= most:
                wait = max(moments[0] + length - now, 1.0)
                raise RateLimited(f"{most} comments, reviews and pull requests were made in the last {length:.0f} s", retry_after=wait)
        self._memory.put(key, " ".join(f"{moment:.1f}" for moment in (*hour, now)).encode(), 3_600.0)

    # --- the breaker ---

    def _enter(self) -> int:
        """How many calls in a row were not answered. Raises RateLimited while nobody calls: that costs no attempt."""
        known = self._memory.get(self._breaker)
        if known is None:
            return 0
        failures, until = _state(known)
        if failures < FAILURES:
            return failures
        if (wait := until - self._clock()) > 0:
            raise RateLimited(
                f"GitHub did not answer {failures} times in a row; it is asked again in {wait:.0f} s", retry_after=wait, away=True
            )
        mine = f"{failures} {self._clock() + self._open:.1f}".encode()
        if not self._memory.compare_and_set(self._breaker, known, mine, FORGET):
            raise RateLimited("another process is asking whether GitHub answers again", retry_after=self._open, away=True)
        return failures

    def _failed(self) -> None:
        known = self._memory.get(self._breaker)
        failures = (_state(known)[0] if known is not None else 0) + 1
        # Several installations of ours would otherwise come back at the same moment. It needs no secrecy.
        seconds = self._open * (0.5 + random.random() / 2)  # noqa: S311
        until = self._clock() + seconds if failures >= FAILURES else 0.0
        if failures == FAILURES:
            log.warning("github.breaker_open", extra={"failures": failures, "seconds": round(seconds, 1)})
        # Lost to another process: then that one has counted, which is good enough.
        self._memory.compare_and_set(self._breaker, known, f"{failures} {until:.1f}".encode(), FORGET)

    def _closed(self, failures: int) -> None:
        """GitHub answered, whatever it said."""
        if failures:
            self._memory.put(self._breaker, b"0 0", 1.0)


def pause_of(configuration: Configuration) -> float:
    """`OPEN_SECONDS`, or less when the operator wants no wait of ours to be that long."""
    return min(OPEN_SECONDS, float(configuration.get(RETRY_CAP, OPEN_SECONDS)))


def _state(value: bytes) -> tuple[int, float]:
    failures, _, until = value.decode().partition(" ")
    return int(failures), float(until)
