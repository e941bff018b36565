"""The heartbeat of a fix run: it counts what is done, and learns whether anybody still waits for it."""

from __future__ import annotations

import time

from pipeline.model.ids import FixId
from pipeline.store.engine import Database

EVERY = 0.2
"""Seconds for which an answer of the database holds: a run that is called off ends within two."""

SIGN_EVERY = 10.0
"""Seconds between two signs of life while one program runs."""


class Heartbeat:
    """Of one attempt. Nothing but counts and moments is written down: no text of a program."""

    def __init__(self, database: Database, fix: FixId, attempt: int) -> None:
        self._database = database
        self._fix = fix
        self._attempt = attempt
        self._steps = 0
        self._wanted = True
        self._asked = self._signed = time.monotonic() - SIGN_EVERY

    def step(self) -> bool:
        """One more thing is done. True when nobody waits any more."""
        self._steps += 1
        self._sign(time.monotonic())
        return self.over()

    def over(self) -> bool:
        """True when the run was called off, or has ended otherwise."""
        now = time.monotonic()
        if self._wanted and now - self._asked >= EVERY:
            self._asked = now
            with self._database.read() as work:
                self._wanted = work.fixes.wanted(self._fix, self._attempt)
            if self._wanted and now - self._signed >= SIGN_EVERY:
                self._sign(now)
        return not self._wanted

    def wanted(self) -> bool:
        """The opposite of `over`, as `RunControl` asks it."""
        return not self.over()

    def _sign(self, now: float) -> None:
        self._signed = now
        with self._database.work() as work:
            work.fixes.beat(self._fix, self._attempt, self._steps)
