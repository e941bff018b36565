"""How much we may ask of a host, known to all processes: pauses, the budget, what creates content, and a breaker.

What a kind of host asks for is data (`Manners`). Numbers without a source are ours.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import HostError, HostGarbage, HostUnavailable, RateLimited
from pipeline.ports import RETRY_CAP, Configuration, HostMemory

log = logging.getLogger(__name__)

SECONDARY_WAIT = 60.0
"""Seconds to wait for a limit that names no time."""
LONGEST_WAIT = 3_600.0
"""Seconds; no host asks for more, so a longer wish is a broken clock."""
RESERVED = 0.2
"""Part of the budget that work for which nobody waits leaves to the others."""
STEPS = 20
"""The others are told each time another twentieth of the budget is gone, and only from the half on: most calls write nothing."""
WRITING = 20.0
"""Seconds for which one process may keep the others of an installation from writing."""
FAILURES = 5
"""So many calls in a row without an answer, and nobody calls for a while."""
OPEN_SECONDS = 15.0
"""How long at most, with jitter; then one call is let through to see. A probe keeps the others away for as long. The operator may make it
shorter (FIXWRIGHT_RETRY_CAP); what a host asks for is never shortened."""
FORGET = 3_600.0
"""Seconds after which an old failure counts no more."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of the requests that a host allows in a while."""

    left: float
    most: float
    reset: float
    """Seconds since the epoch: when all of it is there again."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How one kind of host wants to be asked."""

    provider: str
    """Name of the plug-in: keys begin with it."""
    host: str
    """Name of the host for people."""
    budget: Callable[[Mapping[str, str]], Budget | None]
    """Reads the budget from the headers of an answer; None when they say nothing of it."""
    budget_word: str
    """`hourly budget`."""
    created: tuple[tuple[int, float], ...]
    """How many things that people see may be created in how many seconds."""
    created_word: str
    """`comments, reviews and pull requests`."""
    tripped: str
    """Name of the log event when nobody calls for a while: `github.breaker_open`."""


class Limits:
    """The limits of one installation or of one token, and the breaker of its instance.

    Args:
        whose: what the host counts by: the number of an installation, or the digest of a token.
        patient: True for work for which nobody waits: it stops while only `RESERVED` of the budget is left.
        open_seconds: see `OPEN_SECONDS`.
    """

    def __init__(
        self,
        manners: Manners,
        memory: HostMemory,
        site: str,
        whose: str,
        *,
        clock: Callable[[], float],
        patient: bool = False,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._manners, self._memory, self._clock, self._patient = manners, memory, clock, patient
        self._open = open_seconds
        self._key = f"{manners.provider}/{site}/{{}}/{whose}"
        self._breaker = f"{manners.provider}/{site}/breaker"
        self._told = ""

    def guarded(self, call: Callable[[], _Result], headers: Callable[[], Mapping[str, str]]) -> _Result:
        """Do `call` unless it must wait; learn from how it ends. `headers`: those of the newest answer.

        Raises:
            RateLimited: at once while a pause lasts, the budget is reserved, or the breaker is open; and when this call was the one that
                was let through to see, and was not answered.
        """
        self.refuse()
        failures = self._enter()
        try:
            result = call()
        except RateLimited as limited:
            self._closed(failures)
            raise self._paused(limited) from None
        except HostUnavailable as unavailable:
            self._failed()
            if failures >= FAILURES:  # it was only to be seen whether somebody answers again: that costs no attempt, whoever looked
                raise RateLimited(unavailable.message, retry_after=self._open, hint=unavailable.hint, away=True) from unavailable
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
    def alone(self, *, creates: bool) -> Iterator[None]:
        """Nobody else writes inside of it. Raises RateLimited when too much was created lately."""
        with self._memory.lock(self._key.format("write"), WRITING):
            if creates:
                self._count_created()
            yield

    # --- pauses and the budget ---

    def refuse(self) -> None:
        """Raises RateLimited while a pause lasts, or the budget is reserved."""
        until = self._memory.get(self._key.format("pause"))
        if until is not None and (wait := float(until) - self._clock()) > 0:
            raise RateLimited(f"{self._manners.host} asked us to wait; {wait:.0f} s of it are left", retry_after=wait)
        if self._patient and (wait := self._reserved()) > 0:
            text = f"the last fifth of {self._manners.host}'s {self._manners.budget_word} is kept for people; {wait:.0f} s are left"
            raise RateLimited(text, retry_after=wait)

    def _paused(self, limited: RateLimited) -> RateLimited:
        """Tell the others; a limit that names no time and comes again is waited for twice as long each time."""
        wait, strikes = limited.retry_after, self._key.format("strikes")
        if wait == SECONDARY_WAIT:
            before = int(self._memory.get(strikes) or b"0")
            wait = min(SECONDARY_WAIT * 2**before, LONGEST_WAIT)
            self._memory.put(strikes, str(min(before + 1, 10)).encode(), wait + FORGET)
        self._memory.put(self._key.format("pause"), f"{self._clock() + wait:.0f}".encode(), wait)
        return RateLimited(limited.message, retry_after=wait, hint=limited.hint, away=limited.away)

    def _learn(self, headers: Mapping[str, str]) -> None:
        """Tell the others how much is left, when that is little. A server without limits says nothing."""
        budget = self._manners.budget(headers)
        if budget is None or not budget.most:
            return
        step = int(budget.left * STEPS / budget.most)
        if step >= STEPS // 2 or (told := f"{step} {budget.reset:.0f}") == self._told:
            return
        self._told = told
        self._memory.put(self._key.format("budget"), told.encode(), min(max(budget.reset - self._clock(), 1.0), LONGEST_WAIT))

    def _reserved(self) -> float:
        """Seconds until the budget is full again, 0 while there is enough."""
        known = self._memory.get(self._key.format("budget"))
        if known is None:
            return 0.0
        step, _, reset = known.decode().partition(" ")
        return max(float(reset) - self._clock() + 1, 0.0) if int(step) < STEPS * RESERVED else 0.0

    def _count_created(self) -> None:
        now, key = self._clock(), self._key.format("created")
        longest = max((length for _, length in self._manners.created), default=0.0)
        before = [float(moment) for moment in (self._memory.get(key) or b"").decode().split()]
        before = [moment for moment in before if moment > now - longest]
        for most, length in self._manners.created:
            moments = [moment for moment in before if moment > now - length]
            if len(moments) >= most:
                wait = max(moments[0] + length - now, 1.0)
                raise RateLimited(f"{most} {self._manners.created_word} were made in the last {length:.0f} s", retry_after=wait)
        self._memory.put(key, " ".join(f"{moment:.1f}" for moment in (*before, now)).encode(), longest)

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
            text = f"{self._manners.host} did not answer {failures} times in a row; it is asked again in {wait:.0f} s"
            raise RateLimited(text, retry_after=wait, away=True)
        mine = f"{failures} {self._clock() + self._open:.1f}".encode()
        if not self._memory.compare_and_set(self._breaker, known, mine, FORGET):
            raise RateLimited(f"another process is asking whether {self._manners.host} answers again", retry_after=self._open, away=True)
        return failures

    def _failed(self) -> None:
        known = self._memory.get(self._breaker)
        failures = (_state(known)[0] if known is not None else 0) + 1
        # Several installations of ours would otherwise come back at the same moment. It needs no secrecy.
        seconds = self._open * (0.5 + random.random() / 2)  # noqa: S311  # jitter, which needs no secrecy
        until = self._clock() + seconds if failures >= FAILURES else 0.0
        if failures == FAILURES:
            log.warning(self._manners.tripped, extra={"failures": failures, "seconds": round(seconds, 1)})
        # Lost to another process: then that one has counted, which is good enough.
        self._memory.compare_and_set(self._breaker, known, f"{failures} {until:.1f}".encode(), FORGET)

    def _closed(self, failures: int) -> None:
        """It answered, whatever it said."""
        if failures:
            self._memory.put(self._breaker, b"0 0", 1.0)


def pause_of(configuration: Configuration) -> float:
    """`OPEN_SECONDS`, or less when the operator wants no wait of ours to be that long."""
    return min(OPEN_SECONDS, float(configuration.get(RETRY_CAP, OPEN_SECONDS)))


def number(text: str | None) -> float | None:
    """A header that should be a number; None when it is absent or is none."""
    try:
        found = float(text) if text is not None and len(text) < 32 else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _state(value: bytes) -> tuple[int, float]:
    failures, _, until = value.decode().partition(" ")
    return int(failures), float(until)
