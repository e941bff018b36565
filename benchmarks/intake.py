"""CPU per durable delivery, beside a bare Starlette endpoint that only verifies the signature."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.table import Table, ratio
from bot.demo.local import free_port

SECRET = "benchmark " + "secret"
BODY_BYTES = 24_000
"""Size of a GitHub pull_request payload (a real one: 24,261 bytes)."""

CONNECTIONS = 16


def run(quick: bool) -> Table:
    """Both servers in turn, each in a process of its own; its user and system time is what counts."""
    rounds, requests = (3, 300) if quick else (7, 2_000)
    bare: list[float] = []
    durable: list[float] = []
    with tempfile.TemporaryDirectory() as folder, _bare() as (url, pid), _fixwright(Path(folder)) as (fixwright_url, fixwright_pid):
        for number in range(rounds + 1):
            first = _measure(f"{url}/", pid, requests)
            second = _measure(f"{fixwright_url}/webhooks/github", fixwright_pid, requests)
            if number:  # the first round warms up
                bare.append(first)
                durable.append(second)
    table = Table(
        "CPU of the web process per delivery of 24 kB", "us", [("bare Starlette, signature only", bare), ("fixwright, durable", durable)]
    )
    table.notes.append(f"ratio {ratio(durable, bare):.2f}; every 202 stands for a row that was synced to the disk")
    return table


def payload(number: int) -> bytes:
    """A pull_request.opened delivery like GitHub's, filled up to its usual size."""
    chance = random.Random(number)  # seeded text, no secret
    user = {"login": "dana", "id": 7, "type": "User"}
    repository = {
        "id": 1,
        "name": "members",
        "full_name": "acme/members",
        "private": True,
        "default_branch": "main",
        "clone_url": "https://github.com/acme/members.git",
        "html_url": "https://github.com/acme/members",
        "owner": {"login": "acme", "id": 8, "type": "Organization"},
    }
    head = "".join(chance.choices("0123456789abcdef", k=40))
    branch = {"ref": "feature", "sha": head, "repo": repository, "user": user, "label": "acme:feature"}
    event = {
        "action": "opened",
        "number": number % 1000 + 1,
        "pull_request": {"number": number % 1000 + 1, "head": branch, "base": {**branch, "ref": "main"}, "user": user, "title": "A change"},
        "repository": repository,
        "sender": user,
        "installation": {"id": 99},
    }
    text = json.dumps(event)
    event["pull_request"] |= {"body": "".join(chance.choices("abcdefgh \n", k=BODY_BYTES - len(text)))}  # type: ignore[operator]
    return json.dumps(event).encode()


def _measure(url: str, pid: int, requests: int) -> float:
    before = _cpu(pid)
    asyncio.run(_load(url, requests))
    return (_cpu(pid) - before) / requests * 1e6


async def _load(url: str, requests: int) -> None:
    bodies = [payload(number) for number in range(20)]
    signed = [(body, "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()) for body in bodies]
    remaining = iter(range(requests))

    async def one(client: httpx.AsyncClient) -> None:
        for number in remaining:
            body, signature = signed[number % len(signed)]
            headers = {
                "content-type": "application/json",
                "x-github-event": "pull_request",
                "x-github-delivery": str(uuid.uuid4()),
                "x-hub-signature-256": signature,
            }
            answer = await client.post(url, content=body, headers=headers)
            assert answer.status_code == 202, answer.text

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=CONNECTIONS)) as client:
        await asyncio.gather(*(one(client) for _ in range(CONNECTIONS)))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _bare() -> Iterator[tuple[str, int]]:
    with server([sys.executable, "-m", "benchmarks.bare"], {}) as started:
        yield started


@contextmanager
def _fixwright(folder: Path) -> Iterator[tuple[str, int]]:
    settings = {"FIXWRIGHT_STATE_DIR": str(folder / "state"), "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": SECRET, "FIXWRIGHT_LOG_LEVEL": "error"}
    with server([sys.executable, "-m", "bot.cli", "web"], settings) as started:
        yield started


@contextmanager
def server(command: list[str], settings: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A process that serves on a free port: its address and its number. `settings` are the only ones of ours that it sees."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    process = subprocess.Popen(command, env={**kept, **settings, "FIXWRIGHT_PORT": str(port), "PORT": str(port)})
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
