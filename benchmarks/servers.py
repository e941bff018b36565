"""Processes that a benchmark starts beside itself, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from bot.demo.local import free_port
from bot.embedded import answers, bundled_server


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours without what would lead to somebody's own Fixwright."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    return {**kept, **settings}


@contextmanager
def server(command: list[str], settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """A process that serves on a free port: its address and its number. `settings` are the only ones of ours that it sees."""
    port = free_port()
    process = subprocess.Popen(command, env=environment({**settings, "FIXWRIGHT_PORT": str(port), "PORT": str(port)}))
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/healthz", timeout=1)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")


class Redis:
    """A server of our own on a unix socket, which remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """An empty one."""
        program = bundled_server()
        if program is None:
            raise RuntimeError("there is neither a Valkey nor a Redis here")
        command = [str(program), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not answers(self.url):
            if time.monotonic() > deadline:
                raise RuntimeError("Redis does not start")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Halt it, or let it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self.socket.unlink(missing_ok=True)
