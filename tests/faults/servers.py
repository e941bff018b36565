"""The servers of a stand: a queue that can be stopped, frozen, emptied and filled, and the two databases."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis

from bot.embedded import bundled_server

DatabaseKind = Literal["sqlite", "postgresql"]
QueueKind = Literal["redis", "valkey"]
HostKind = Literal["github", "gitlab"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Which database and which queue, and before which host."""

    database: DatabaseKind
    queue: QueueKind
    host: HostKind = "github"

    @property
    def name(self) -> str:
        """`postgresql+redis`; before another host than GitHub `gitlab+postgresql+redis`."""
        return f"{'' if self.host == 'github' else f'{self.host}+'}{self.database}+{self.queue}"


POSTGRES_REDIS, SQLITE_VALKEY = Pair("postgresql", "redis"), Pair("sqlite", "valkey")
POSTGRES_VALKEY, SQLITE_REDIS = Pair("postgresql", "valkey"), Pair("sqlite", "redis")
GITLAB_SQLITE_VALKEY, GITLAB_POSTGRES_REDIS = Pair("sqlite", "valkey", "gitlab"), Pair("postgresql", "redis", "gitlab")
WHOLE = (POSTGRES_REDIS, SQLITE_VALKEY, GITLAB_SQLITE_VALKEY)
"""On these every row of their host runs; on the others those that name the database or the queue."""
PAIRS = (*WHOLE, POSTGRES_VALKEY, SQLITE_REDIS, GITLAB_POSTGRES_REDIS)


class QueueServer:
    """Debian's redis-server or the bundled Valkey on a unix socket, without any file: a restart forgets everything."""

    def __init__(self, folder: Path, kind: QueueKind) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.kind = folder, kind
        self._socket = folder / "q.sock"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing(kind: QueueKind) -> str:
        """What is not installed; empty when all is there."""
        if kind == "redis":
            return "" if shutil.which("redis-server") else "redis-server is not installed"
        return "" if bundled_server() else "the bundled Valkey is not installed"

    def start(self) -> None:
        """Start it, empty. Raises AssertionError."""
        program = "redis-server" if self.kind == "redis" else str(bundled_server())
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                client.ping()
                return
            time.sleep(0.02)
        raise AssertionError(f"{program} did not start")

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A connection of the test's own."""
        client = redis.Redis.from_url(self.url, socket_timeout=5)
        try:
            yield client
        finally:
            client.close()

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """SIGSTOP: it takes connections and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, with all that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
            self._socket.unlink(missing_ok=True)
