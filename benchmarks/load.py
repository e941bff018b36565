"""Deliveries while Redis does not answer: real payloads at an even pace, one web process, SQLite, every 202 on the disk.

Redis is halted (SIGSTOP: connections hang) and then killed (they are refused). Who delivers waits for nobody: the times of the deliveries
are fixed beforehand, and what is measured begins at that time, also when no connection is free then. Afterwards Redis comes back empty,
a relay and a worker start, and everything that was acknowledged must have been worked: its message is done, and each pull request of the
double of GitHub has one finished check.

Every thirtieth delivery concerns a pull request of the double: a real payload on whose repository and head it is put. The others are
real ones that concern nobody, which are kept and counted too. Client, server, Redis and the double share this machine's cores.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from benchmarks.intake import CONNECTIONS
from benchmarks.servers import Redis, environment, server
from benchmarks.table import Table
from pipeline.model.event import Delivery
from pipeline.store.engine import Database
from pipeline.store.tables import deliveries, outbox
from providers.github import PROVIDER
from tests.engines import instant
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

SAMPLES = Path(__file__).parents[1] / "tests" / "samples" / "github" / "webhooks.json.gz"
RATE = 100
"""Deliveries a second: some hundred times what an organization of a thousand developers makes."""
CONCERNS = 30
"""Every so many deliveries one is about a pull request of the double."""
PULLS = 8
AIM = 100.0
"""Milliseconds: 99 of 100 deliveries are answered by then, whatever Redis does."""
DRAIN_SECONDS = 600.0


@dataclass
class Answers:
    """What came back while Redis was in one state."""

    what: str
    milliseconds: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    """Ids of deliveries that were answered 2xx."""
    refused: int = 0

    @property
    def p99(self) -> float:
        """Of the answers 2xx."""
        return sorted(self.milliseconds)[max(0, -(-99 * len(self.milliseconds) // 100) - 1)]


def run(quick: bool) -> Table:
    """Redis there, halted, killed; then everything is worked."""
    seconds = 5.0 if quick else 30.0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        world = stack.enter_context(GithubWorld.start(folder / "world"))
        repository, pulls = _pulls(world)
        redis = Redis(folder)
        stack.callback(redis.kill)
        settings = _settings(folder, world, redis)
        url, _ = stack.enter_context(server([sys.executable, "-m", "bot.cli", "web"], settings))
        client = Client(url, world.webhook_secret, _bodies(world, pulls))
        warm = client.deliver("warming up", 1.0)
        told = [client.deliver("Redis answers", seconds / 3)]
        redis.signal(signal.SIGSTOP)
        told.append(client.deliver("Redis halted", seconds))
        redis.signal(signal.SIGCONT)
        redis.kill()
        told.append(client.deliver("Redis killed", seconds))
        redis.start()
        began = time.monotonic()
        _work_off(settings, folder)
        table = Table(f"deliveries at {RATE}/s over {CONNECTIONS} connections, from their time to the answer", "ms")
        table.rows = [(answers.what, answers.milliseconds) for answers in told]
        table.notes = [_judged(answers) for answers in told]
        table.notes.append(_worked(folder, world, repository, pulls, [warm, *told], time.monotonic() - began))
        return table


def _judged(told: Answers) -> str:
    missed = " MISSED" if told.p99 > AIM or told.refused else ""
    return f"{told.what}: 2xx p99 {told.p99:.0f} ms (aim: {AIM:.0f}), {len(told.accepted)} taken, {told.refused} refused{missed}"


# --- the scene ------------------------------------------------------------------------------------------------------------------------


def _settings(folder: Path, world: GithubWorld, redis: Redis) -> dict[str, str]:
    return {
        "FIXWRIGHT_STATE_DIR": str(folder / "state"),
        "FIXWRIGHT_ENGINES_DIR": str(instant(folder / "engines")),
        "FIXWRIGHT_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
        "REDIS_URL": redis.url,
        "FIXWRIGHT_LOG_LEVEL": "error",
        "FIXWRIGHT_GITHUB_APP_ID": str(world.app_id),
        "FIXWRIGHT_GITHUB_PRIVATE_KEY": world.private_key_pem,
        "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": world.webhook_secret,
        "FIXWRIGHT_GITHUB_API_URL": world.api_url,
    }


def _pulls(world: GithubWorld) -> tuple[Repository, list[PullRequest]]:
    world.hooks.paused = True
    repository = world.create_repository("octo", "shop", files={"shop.py": "def total(prices):\n    return sum(prices)\n"})
    world.set_permission("ada", repository, "write")
    pulls = []
    for number in range(PULLS):
        world.commit(repository, f"change{number}", {"shop.py": f"def total(prices):\n    return sum(prices) + {number}\n"})
        pulls.append(world.open_pull_request("ada", repository, f"change{number}", "main", f"Change {number}"))
    return repository, pulls


def _bodies(world: GithubWorld, pulls: Sequence[PullRequest]) -> Iterator[tuple[str, bytes]]:
    """Names of events and bodies, without end."""
    with gzip.open(SAMPLES, "rt", encoding="utf-8") as stream:
        samples = json.load(stream)
    strange = [(sample["event"], json.dumps(sample["payload"]).encode()) for sample in samples]
    strange = [(event, body) for event, body in strange if _concerns_nobody(event, body, world.webhook_secret)]
    opened = [
        s["payload"] for s in samples if s["event"] == "pull_request" and s["payload"]["action"] in ("opened", "synchronize", "reopened")
    ]
    ours = [
        json.dumps(_put_on(copy.deepcopy(opened[number % len(opened)]), delivery.payload)).encode()
        for number, delivery in enumerate(world.hooks.of("pull_request", "opened"))
    ]
    assert len(ours) == len(pulls)
    number = 0
    while True:
        yield ("pull_request", ours[number // CONCERNS % len(ours)]) if number % CONCERNS == 0 else strange[number % len(strange)]
        number += 1


def _put_on(payload: Any, of_double: Any) -> Any:
    """A real payload about a pull request that the double has."""
    payload |= {name: of_double[name] for name in ("repository", "installation", "number", "sender")}
    payload["pull_request"] |= {name: of_double["pull_request"][name] for name in ("id", "number", "head", "base", "user", "state")}
    return payload


def _concerns_nobody(event: str, body: bytes, secret: str) -> bool:
    headers = {"x-github-event": event, "x-github-delivery": "sample", "x-hub-signature-256": _sign(secret, body)}
    return PROVIDER.receive(Delivery("github", "", headers, body), {"WEBHOOK_SECRET": secret}).event is None


def _sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# --- the client -----------------------------------------------------------------------------------------------------------------------


class Client:
    """Delivers at an even pace over a few connections that stay open. Bare streams: an HTTP library would cost more than the server."""

    def __init__(self, url: str, secret: str, bodies: Iterator[tuple[str, bytes]]) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._secret, self._bodies = parts.hostname or "", parts.port or 0, secret, bodies

    def deliver(self, what: str, seconds: float) -> Answers:
        """For so long."""
        told = Answers(what)
        asyncio.run(self._deliver(told, seconds))
        return told

    async def _deliver(self, told: Answers, seconds: float) -> None:
        due: asyncio.Queue[tuple[float, str, bytes] | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._connection(due, told)) for _ in range(CONNECTIONS)]
        loop = asyncio.get_running_loop()
        first = loop.time() + 0.2
        for number in range(int(seconds * RATE)):
            at = first + number / RATE
            await asyncio.sleep(max(0.0, at - loop.time()))
            due.put_nowait((at, *next(self._bodies)))
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)

    async def _connection(self, due: asyncio.Queue[tuple[float, str, bytes] | None], told: Answers) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        loop = asyncio.get_running_loop()
        while (item := await due.get()) is not None:
            at, event, body = item
            identity = str(uuid.uuid4())
            writer.write(self._request(identity, event, body))
            status = await _status(reader)
            if 200 <= status < 300:
                told.milliseconds.append((loop.time() - at) * 1e3)
                told.accepted.append(identity)
            else:
                told.refused += 1
        writer.close()
        await writer.wait_closed()

    def _request(self, identity: str, event: str, body: bytes) -> bytes:
        head = (
            f"POST /webhooks/github HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {identity}\r\nX-Hub-Signature-256: {_sign(self._secret, body)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    """Of one answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


# --- afterwards -----------------------------------------------------------------------------------------------------------------------


def _work_off(settings: dict[str, str], folder: Path) -> None:
    """A relay and a worker, until nothing waits."""
    database = Database.open(f"sqlite:///{folder / 'state' / 'fixwright.db'}")
    with _process("relay", settings, folder), _process("worker", settings, folder):
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            with database.read() as work:
                backlog = work.outbox.backlog()
            if backlog.waiting + backlog.running == 0:
                break
            time.sleep(0.2)
    database.dispose()


@contextmanager
def _process(name: str, settings: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "bot.cli", name], env=environment(settings), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _worked(
    folder: Path, world: GithubWorld, repository: Repository, pulls: Sequence[PullRequest], told: Sequence[Answers], seconds: float
) -> str:
    """What became of everything that was acknowledged."""
    acknowledged = {identity for answers in told for identity in answers.accepted}
    database = Database.open(f"sqlite:///{folder / 'state' / 'fixwright.db'}")
    with database.read() as work:
        kept = {row.delivery_id for row in work.transaction.execute(select(deliveries.c.delivery_id))}
        states = {
            row.status: row.number
            for row in work.transaction.execute(select(outbox.c.status, func.count().label("number")).group_by(outbox.c.status))
        }
    database.dispose()
    runs = [world.checks(repository, pull.head_sha) for pull in pulls]
    finished = sum(len(found) == 1 and found[0].status == "completed" for found in runs)
    lost, unfinished = len(acknowledged - kept), sum(number for status, number in states.items() if status != "done")
    missed = " MISSED" if lost or unfinished or finished < len(pulls) else ""
    return (
        f"{len(acknowledged)} acknowledged, {lost} of them lost; {states.get('done', 0)} messages done, {unfinished} not, "
        f"after {seconds:.0f} s; {finished} of {len(pulls)} pull requests have their one finished check{missed}"
    )
