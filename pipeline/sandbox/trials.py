"""Which level of isolation works here, found out by a trial run.

A level that worked once is not doubted again. One that failed is tried again after some seconds: a machine that had no process or memory
left for a moment must not make a worker run strangers' bytes with less isolation for as long as it lives.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipeline.errors import SandboxBusy
from pipeline.sandbox.isolation import Level

log = logging.getLogger(__name__)

ASK_AGAIN = 15.0
"""Seconds for which a failed trial is believed."""


class Trials:
    """What is known of each level. Threads may share one; at worst two of them try the same level at once.

    Args:
        attempt: runs a program at a level; empty when that worked, else why not.
        clock: seconds that only grow.
    """

    def __init__(self, attempt: Callable[[Level], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._attempt = attempt
        self._clock = clock
        self._known: dict[Level, tuple[str, float]] = {}
        self._reached = next(iter(Level))

    def why(self, level: Level) -> str:
        """Empty when `level` works, else why it does not, as of the last `ASK_AGAIN` seconds."""
        cause, until = self._known.get(level, ("", 0.0))
        if level not in self._known or (cause and self._clock() >= until):
            cause = self._attempt(level)
            self._known[level] = (cause, self._clock() + ASK_AGAIN)
        return cause

    def best(self) -> Level:
        """The strongest level that works; a change to one that is not the strongest there is, is logged with its cause.

        Raises:
            SandboxBusy: none works, not even limits.
        """
        causes: list[str] = []
        for level in Level:
            cause = self.why(level)
            if not cause:
                self._note(level, "; ".join(causes))
                return level
            causes.append(f"{level}: {cause}")
        raise SandboxBusy(f"no program can be started: {causes[-1]}", hint="fixwright doctor")

    def _note(self, level: Level, causes: str) -> None:
        changed, self._reached = level is not self._reached, level
        if changed and causes:
            log.warning("sandbox.weaker", extra={"reached": level.value, "isolates": level.isolates, "error": causes})
