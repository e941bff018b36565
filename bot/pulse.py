"""A process says that it lives, and what it counted, where every other process can read it: in the store."""

from __future__ import annotations

import logging
import os
import socket
import time
from types import TracebackType
from typing import Literal

from pipeline.errors import StoreError
from pipeline.store.engine import Database
from pipeline.store.processes import HEARTBEAT_SECONDS
from pipeline.tally import TALLY

log = logging.getLogger(__name__)


def process_name() -> str:
    """Name of this process: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def tell(database: Database) -> None:
    """Add what this process counted to the store. When that does not answer, it is kept for the next time."""
    sums, latest = TALLY.drain()
    if not sums and not latest:
        return
    try:
        with database.work() as work:
            work.counters.add(sums, latest)
    except StoreError as error:
        TALLY.put_back(sums, latest)
        log.warning("metrics.not_told", extra={"code": error.code})


class Pulse:
    """The heartbeat of one process. As a context: said at its beginning, taken back at its end."""

    def __init__(self, database: Database, kind: Literal["web", "relay", "worker"]) -> None:
        self._database = database
        self._kind = kind
        self._pid = os.getpid()
        self._last = float("-inf")

    def beat(self) -> None:
        """Say that we live, at most every HEARTBEAT_SECONDS. Errors of the database are somebody else's to tell."""
        if time.monotonic() - self._last < HEARTBEAT_SECONDS or os.getpid() != self._pid:
            return
        self._last = time.monotonic()
        try:
            with self._database.work() as work:
                work.processes.beat(process_name(), self._kind)
        except StoreError as error:
            log.debug("pulse.not_told", extra={"code": error.code})

    def __enter__(self) -> Pulse:
        self.beat()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if os.getpid() != self._pid:
            return
        try:
            with self._database.work() as work:
                work.processes.ended(process_name())
        except StoreError as failure:
            log.debug("pulse.not_told", extra={"code": failure.code})
