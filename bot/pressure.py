"""When too much comes: what makes the web process refuse deliveries with 503, looked at now and then and never for a single delivery.

Hosts that keep refused deliveries (GitHub) deliver them again; for the others what can still be written is written to a file
(`bot.kept`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pipeline.errors import DeliveryPutOff, StoreError
from pipeline.sandbox.upkeep import free_bytes
from pipeline.store.engine import Database

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between two looks."""

RELIEF: Final = 0.9
"""Deliveries are taken again only when this part of a limit is not reached any more: at the limit itself each look would say otherwise."""

Kind = Literal["queue", "disk", "memory"]
KINDS: Final[tuple[Kind, ...]] = ("queue", "disk", "memory")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is too much; `bot.settings` has the defaults."""

    waiting: int
    """Messages in the outbox."""
    free_bytes: int
    """On the disk of the state folder, at least."""
    held_bytes: int
    """Of bodies that one web process holds at the same moment."""


class Pressure:
    """What is too much now. Safe to share between threads.

    Args:
        folder: whose disk counts; need not exist yet.
    """

    def __init__(self, database: Database, folder: Path, limits: Limits) -> None:
        self._database, self._folder, self.limits = database, folder, limits
        self._lock = threading.Lock()
        self._reasons: dict[Kind, str] = {}
        self._held = 0

    @property
    def reasons(self) -> Mapping[Kind, str]:
        """Why deliveries are refused, by what there is too much of; empty while they are taken. As of the last look."""
        return dict(self._reasons)

    @property
    def held(self) -> int:
        """Bytes of bodies that this process holds."""
        return self._held

    def look(self) -> Mapping[Kind, str]:
        """Look at all of it; the answer is `reasons`. A database that is away changes nothing of what is known of the queue."""
        self._judge_disk()
        self._judge_queue()
        with self._lock:
            self._settle("memory", "", over=self._held > self.limits.held_bytes * RELIEF and "memory" in self._reasons)
        return self.reasons

    def hold(self, number: int) -> None:
        """So many bytes more are held. Raises DeliveryPutOff when that is too much; then they are not counted."""
        with self._lock:
            if self._held + number > self.limits.held_bytes:
                what = f"bodies of {self.limits.held_bytes / 1e6:.0f} MB are being received (FIXWRIGHT_MAX_HELD_MB)"
                self._settle("memory", what, over=True)
                raise DeliveryPutOff("too much is being received; send it again later")
            self._held += number

    def let_go(self, number: int) -> None:
        """They are not held any more."""
        with self._lock:
            self._held -= number

    def check(self, kinds: tuple[Kind, ...] = KINDS) -> None:
        """Raise DeliveryPutOff when there was too much of one of these at the last look."""
        for kind in kinds:
            if kind in self._reasons:
                raise DeliveryPutOff(f"too much has come ({kind}); send it again later")

    # --- inside ---

    def _judge_disk(self) -> None:
        free, floor = free_bytes(self._folder), self.limits.free_bytes
        with self._lock:
            what = f"{free / 1e6:.0f} MB are free in {self._folder}, less than {floor / 1e6:.0f} (FIXWRIGHT_INTAKE_FREE_MB)"
            self._settle("disk", what, over=free < (floor / RELIEF if "disk" in self._reasons else floor))

    def _judge_queue(self) -> None:
        most = self.limits.waiting
        try:
            with self._database.read() as work:
                waiting = work.publishing.waiting(most + 1)
        except StoreError:
            return
        with self._lock:
            what = f"more than {most} messages wait (FIXWRIGHT_MAX_WAITING)"
            self._settle("queue", what, over=waiting > (most * RELIEF if "queue" in self._reasons else most))

    def _settle(self, kind: Kind, what: str, *, over: bool) -> None:
        """Said once when it begins and once when it ends. Called under the lock."""
        if over and kind not in self._reasons:
            log.error("intake.refusing", extra={"reason": kind, "error": what})
            self._reasons[kind] = what
        elif over and what:
            self._reasons[kind] = what
        elif not over and self._reasons.pop(kind, None) is not None:
            log.warning("intake.taking_again", extra={"reason": kind})
