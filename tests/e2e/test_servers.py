"""`fixwright up` on the operator's own servers, and what it says when they do not answer."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from bot.demo import content
from tests.databases import Postgres, postgres
from tests.e2e.processes import Running
from tests.engines import HeldEngine, needs_engines

__all__ = ["postgres"]

pytestmark = pytest.mark.slow

KEY = base64.b64encode(b"a key of these tests, 32 bytes..").decode()
LOUD = 15.0
"""Seconds within which a wrong setting is told, on a loaded machine."""


class RedisServer:
    """Debian's redis-server on a unix socket, without any file: a restart forgets everything."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self._socket.parent),
        ]
        self._process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.05)
                else:
                    return
        raise AssertionError("redis-server did not start")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    # A short path: a socket's name may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="fixwright-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def own_database(postgres: Postgres) -> Iterator[str]:
    """An empty database: `up` makes its tables."""
    name = f"own_{os.getpid()}_{time.monotonic_ns()}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _begin(running: Running) -> str:
    running.repo.commit(content.MAIN, "first")
    running.push("main")
    head = running.repo.commit(content.CHANGE, "change", branch="feature")
    running.push("feature")
    return head


def _see_the_end(running: Running, head: str) -> None:
    """A failing check and two threads, once each, and nothing left to do."""
    assert running.finished(head, 120).conclusion == "failure"
    said = running.wait("threads", lambda: running.said() if len(running.said().threads) == 2 else None, 60)
    running.idle()
    assert said.notifications == 1
    assert len(running.checks(head)) == 1
    assert sorted(thread.path for thread in said.threads) == ["config/backup.py", "members/web.py"]


@contextmanager
def _running(tmp_path: Path, settings: Mapping[str, str]) -> Iterator[Running]:
    running = Running(tmp_path, {"FIXWRIGHT_SECRET_KEY": KEY, **settings})
    try:
        running.start()
        yield running
        assert running.stop() == 0
        assert running.processes_left() == []
    finally:
        running.close()


@needs_engines
def test_the_whole_thread_on_postgresql_and_an_own_redis(tmp_path: Path, own_database: str, redis_server: RedisServer) -> None:
    with _running(tmp_path, {"DATABASE_URL": own_database, "REDIS_URL": redis_server.url}) as running:
        head = _begin(running)
        _see_the_end(running, head)
    assert not (tmp_path / "state" / "valkey").exists()
    assert not (tmp_path / "state" / "fixwright.db").exists()
    with redis_server.client() as client:
        assert client.dbsize() > 0


@needs_engines
def test_a_redis_that_loses_everything_loses_no_work(tmp_path: Path, redis_server: RedisServer) -> None:
    engine = HeldEngine(tmp_path / "engines", "betterleaks")
    with _running(tmp_path, {"FIXWRIGHT_ENGINES_DIR": str(engine.folder), "REDIS_URL": redis_server.url}) as running:
        engine.hold()
        head = _begin(running)
        running.wait("an engine at work", engine.at_work)
        at_work = set(engine.at_work())
        with redis_server.client() as client:
            client.flushall()
        time.sleep(6)  # longer than a worker waits between two signs of life to the queue
        redis_server.stop()
        time.sleep(6)
        redis_server.start()
        assert set(engine.at_work()) & at_work, "the message that was worked on goes on"
        engine.release()
        _see_the_end(running, head)


def _up(tmp_path: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    environment = {**kept, "FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_PORT": "0", **settings}
    return subprocess.run(
        [sys.executable, "-m", "bot.cli", "up"], env=environment, cwd=tmp_path, capture_output=True, timeout=LOUD, check=False
    )


NOBODY = "postgresql://fixwright:a-password-of-this-test@127.0.0.1:9/fixwright"
WRONG = {
    "no Redis": ({"REDIS_URL": "redis://127.0.0.1:9/0", "FIXWRIGHT_SECRET_KEY": KEY}, 3, "REDIS_URL is set, but no Redis answers there"),
    "no socket": ({"REDIS_URL": "unix:///nowhere/redis.sock", "FIXWRIGHT_SECRET_KEY": KEY}, 3, "REDIS_URL"),
    "no URL": ({"REDIS_URL": "nonsense", "FIXWRIGHT_SECRET_KEY": KEY}, 2, "REDIS_URL must begin with redis://"),
    "no PostgreSQL": ({"DATABASE_URL": NOBODY, "FIXWRIGHT_SECRET_KEY": KEY}, 3, "database"),
    "another database": ({"DATABASE_URL": "mysql://a-password-of-this-test@localhost/x", "FIXWRIGHT_SECRET_KEY": KEY}, 2, "'mysql'"),
    "no key": ({"DATABASE_URL": NOBODY}, 2, "FIXWRIGHT_SECRET_KEY"),
    "a wrong key": ({"FIXWRIGHT_SECRET_KEY": "a-password-of-this-test"}, 2, "FIXWRIGHT_SECRET_KEY"),
}


@pytest.mark.parametrize("what", WRONG)
def test_up_says_in_one_line_what_is_wrong(tmp_path: Path, what: str) -> None:
    settings, code, said = WRONG[what]
    done = _up(tmp_path, settings)
    lines = done.stderr.decode().splitlines()
    told = [line for line in lines if line.startswith("fixwright: ")]
    assert done.returncode == code, lines
    assert len(told) == 1
    assert said in told[0]
    assert "Traceback" not in done.stderr.decode()
    assert "a-password-of-this-test" not in done.stderr.decode()


def test_an_own_redis_needs_a_key_too(tmp_path: Path, redis_server: RedisServer) -> None:
    done = _up(tmp_path, {"REDIS_URL": redis_server.url})
    assert done.returncode == 2
    assert b"FIXWRIGHT_SECRET_KEY" in done.stderr


def test_up_does_not_lead_to_whoever_has_its_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _up(tmp_path, {"FIXWRIGHT_PORT": str(taken.getsockname()[1])})
    assert done.returncode == 2
    assert b"is taken" in done.stderr
    assert b"/setup" not in done.stdout
