"""CPU per durable delivery, beside a bare Starlette endpoint that only verifies the signature, and beside a Probot app that only puts
the delivery into Redis."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks import probot as rival
from benchmarks.servers import server
from benchmarks.table import Table, ratio

SECRET = "benchmark " + "secret"
BODY_BYTES = 24_000
"""Size of a GitHub pull_request payload (a real one: 24,261 bytes)."""

CONNECTIONS = 16
WARM_SECONDS = 2.0
PROBOT = "Probot, put into Redis"


def run(quick: bool) -> Table:
    """The servers in turn, each in a process of its own; its user and system time is what counts."""
    rounds, requests = (3, 300) if quick else (7, 2_000)
    why = ""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        bare_url, bare_pid = stack.enter_context(server([sys.executable, "-m", "benchmarks.bare"], {}))
        url, pid = stack.enter_context(_fixwright(folder))
        servers = {"bare Starlette, signature only": (f"{bare_url}/", bare_pid), "fixwright, durable": (f"{url}/webhooks/github", pid)}
        try:
            servers[PROBOT] = stack.enter_context(rival.started(folder, SECRET))
        except rival.NotMeasured as reason:
            why = str(reason)
        for address, _ in servers.values():
            asyncio.run(_load(address, seconds=WARM_SECONDS))
        measured = {what: list[float]() for what in servers}
        for _ in range(rounds):
            for what, (address, process) in servers.items():
                measured[what].append(_measure(address, process, requests))
    table = Table("CPU of the web process per delivery of 24 kB", "us", list(measured.items()))
    bare, durable, probot = (measured.get(what, []) for what in ("bare Starlette, signature only", "fixwright, durable", PROBOT))
    table.notes.append(f"ratio {ratio(durable, bare):.2f}; every 202 stands for a row that was synced to the disk")
    table.notes.append(
        f"for the curious: to Probot, whose answer stands for an entry in the memory of Redis, {ratio(durable, probot):.2f}; "
        "what Redis itself uses is not counted"
        if probot
        else f"{PROBOT}: not measured: {why}"
    )
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


async def _load(url: str, requests: int = 1_000_000, seconds: float = math.inf) -> None:
    """So many deliveries over all connections, or as many as go into `seconds` seconds."""
    bodies = [payload(number) for number in range(20)]
    signed = [(body, "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()) for body in bodies]
    remaining, end = iter(range(requests)), time.monotonic() + seconds

    async def one(client: httpx.AsyncClient) -> None:
        for number in remaining:
            if time.monotonic() > end:
                return
            body, signature = signed[number % len(signed)]
            headers = {
                "content-type": "application/json",
                "x-github-event": "pull_request",
                "x-github-delivery": str(uuid.uuid4()),
                "x-hub-signature-256": signature,
            }
            answer = await client.post(url, content=body, headers=headers)
            assert answer.is_success, answer.text

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=CONNECTIONS)) as client:
        await asyncio.gather(*(one(client) for _ in range(CONNECTIONS)))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _fixwright(folder: Path) -> Iterator[tuple[str, int]]:
    settings = {"FIXWRIGHT_STATE_DIR": str(folder / "state"), "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": SECRET, "FIXWRIGHT_LOG_LEVEL": "error"}
    with server([sys.executable, "-m", "bot.cli", "web"], settings) as started:
        yield started
