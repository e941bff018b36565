"""A process says that it lives, and what it counted, where every other process can read it: in the store. That it lives it also says in
a file of the state folder, for who asks on the same machine: a process whose database is away is not dead."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from pipeline.errors import StoreError
from pipeline.store.engine import Database
from pipeline.store.processes import ALIVE_SECONDS, HEARTBEAT_SECONDS
from pipeline.tally import TALLY

log = logging.getLogger(__name__)

Kind = Literal["web", "relay", "worker"]

FOLDER = "alive"
"""Below the state folder: one empty file for each process, `kind.host-namespace.pid`, whose time is that of the last heartbeat."""
_KEEP_SECONDS = 86_400.0

_BORN = secrets.token_hex(4)


def process_name() -> str:
    """Name of this process: `host:pid-` and what no other one has. Containers can share the name of a host, and in each of them numbers
    begin at 1: one that is taken for another loses its messages when the other's child dies, and counts their crashes."""
    return f"{socket.gethostname()}:{os.getpid()}-{_BORN}"


def _here() -> str:
    """This host, and the namespace in which our number counts: whoever asks for the health of a container is in the same one."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())  # pid_namespaces(7): `pid:[4026531836]`
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}-{namespace.strip('pid:[]')}"


def silent_here(state: Path, kind: Kind) -> float | None:
    """Seconds since a process of this kind was heard of on this machine; None when none was within a day."""
    silent = [_silent(file) for file in (state / FOLDER).glob(f"{kind}.{_here()}.*")]
    return min((seconds for seconds in silent if seconds < _KEEP_SECONDS), default=None)


def lives(silent: float | None) -> bool:
    """Whether it is still believed."""
    return silent is not None and silent <= ALIVE_SECONDS


def _silent(file: Path) -> float:
    """Seconds; a clock that was set back makes nobody dead. Infinite for a file that is gone."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return float("inf")


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
    """The heartbeat of one process. As a context: said at its beginning, taken back at its end.

    Args:
        state: the state folder.
    """

    def __init__(self, database: Database, kind: Kind, state: Path) -> None:
        self._database = database
        self._kind = kind
        self._file = state / FOLDER / f"{kind}.{_here()}.{os.getpid()}"
        self._pid = os.getpid()
        self._last = float("-inf")

    def beat(self) -> None:
        """Say that we live, at most every HEARTBEAT_SECONDS. Errors of the database are somebody else's to tell."""
        if time.monotonic() - self._last < HEARTBEAT_SECONDS or os.getpid() != self._pid:
            return
        self._last = time.monotonic()
        self._touch()
        try:
            with self._database.work() as work:
                work.processes.beat(process_name(), self._kind)
        except StoreError as error:
            log.debug("pulse.not_told", extra={"code": error.code})

    def _touch(self) -> None:
        """Before the store is told, which may take its time to say that it is away."""
        try:
            if not self._file.exists():
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                for old in self._file.parent.iterdir():
                    if _silent(old) >= _KEEP_SECONDS:
                        old.unlink(missing_ok=True)
            self._file.touch()
        except OSError as error:
            log.warning("pulse.no_file", extra={"error": error.strerror or type(error).__name__})

    def __enter__(self) -> Pulse:
        self.beat()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if os.getpid() != self._pid:
            return
        with suppress(OSError):
            self._file.unlink()
        try:
            with self._database.work() as work:
                work.processes.ended(process_name())
        except StoreError as failure:
            log.debug("pulse.not_told", extra={"code": failure.code})
