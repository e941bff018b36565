"""A whole Fixwright in one process before the double of a host: deliveries come in over HTTP, everything else goes out over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

import httpx2
from sqlalchemy import ColumnElement, and_, func, select
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.worker import work_message
from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.ids import MessageId
from pipeline.model.scan import Covered, FindingSeen, Output, ScanRequest, ScanType, Tree
from pipeline.ports import Control
from pipeline.store.tables import outbox, reviews
from pipeline.triage.fingerprint import identify_secret
from tests.fakes import BAD_LINE, GoodFixer, LineScanner
from tests.harness import Bench

Delivery = TypeVar("Delivery")
"""What the double sends."""

KEY_RULE = Rule("fake.key", "A key in the code", "Anyone who reads the code has this key.", Severity.HIGH, Confidence.HIGH, 798)
KEY = re.compile(r"key-[0-9a-z]{20}")
VALUE = "key-" + "a1b2c3d4e5" * 2
"""What `KeyScanner` takes for a secret."""


def _soon() -> tuple[ColumnElement[bool], ...]:
    return outbox.c.status.in_(["pending", "running"]), outbox.c.due_at < time.time() + 3_600


class KeyScanner(LineScanner):
    """Finds what looks like a key, instantly."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        super().__init__(ScanType.SECRETS, before)

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """Line by line; the value leaves only as a keyed hash."""
        self._before()
        for file in request.tree.files:
            content = (request.tree.root / file.on_disk).read_bytes()
            for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
                for match in KEY.finditer(line):
                    where = Location(file.path, number, number, match.start() + 1, match.end() + 1)
                    hashed = hmac.new(request.secret_key, match[0].encode(), hashlib.sha256).hexdigest()
                    secret = Secret("test key", hashed, match[0][-4:])
                    yield FindingSeen(identify_secret(Finding(KEY_RULE, where, "", self.name, secret=secret), content, match[0]))
            yield Covered((file.path,))


def bad_words(rule: str, tree: Tree, control: Control, seconds: float) -> Sequence[Location]:
    """Every BAD in a tree: what the gate calls residues."""
    if rule != BAD_LINE.id:
        raise KeyError(rule)
    found = []
    for file in tree.files:
        lines = (tree.root / file.on_disk).read_text("utf-8", "replace").splitlines()
        found += [Location(file.path, number, number) for number, line in enumerate(lines, 1) if "BAD" in line]
    return found


class WiredBench(Bench, Generic[Delivery]):
    """An app, a host, and the wire between them. Nothing happens until `settle`.

    Args:
        settings: of the environment, for the host's provider.
    """

    def __init__(self, tmp_path: Path, database_url: str, settings: Mapping[str, str]) -> None:
        super().__init__(tmp_path, database_url, {"FIXWRIGHT_RETRY_CAP": "0.1", **settings})
        self.delivered = 0
        self.client = TestClient(make_asgi(self.app))
        self.client.__enter__()
        self.look_with(LineScanner(), KeyScanner())

    def close(self) -> None:
        """Let go of everything."""
        self.client.__exit__(None, None, None)
        super().close()

    def look_with(self, *scanners: LineScanner) -> None:
        """Put these engines in place, with the fixer that mends what the first kind finds."""
        self.use(scanners=scanners, fixers=[GoodFixer()])
        self.app.plugins = replace(self.app.plugins, residues=bad_words)

    # --- the host's side ---

    @abstractmethod
    def told(self) -> Sequence[Delivery]:
        """Everything that the host had to tell so far."""

    @abstractmethod
    def post(self, delivery: Delivery) -> httpx2.Response:
        """One delivery, as the host sends it."""

    def post_copies(self, delivery: Delivery, count: int) -> list[int]:
        """The same delivery many times, from 16 connections."""
        with ThreadPoolExecutor(16) as pool:
            return [answer.status_code for answer in pool.map(lambda _: self.post(delivery), range(count))]

    def take(self) -> None:
        """Everything that happened since the last time is delivered, in order."""
        waiting = self.told()[self.delivered :]
        for delivery in waiting:
            answer = self.post(delivery)
            assert answer.status_code == 202, answer.text
        self.delivered += len(waiting)

    # --- our side ---

    def settle(self, seconds: float = 60.0) -> None:
        """Deliver and work until both sides are quiet: what we do there comes back to us as deliveries."""
        deadline = time.monotonic() + seconds
        while True:
            self.take()
            if not self.work_some() and self.delivered == len(self.told()):
                return
            assert time.monotonic() < deadline, "it never became quiet"

    def work_review(self, number: int) -> None:
        """Do all that the review of a pull request still needs, whatever else is due."""
        with self.app.database.read() as work:
            identity = work.transaction.execute(select(reviews.c.id).where(reviews.c.pull_request == number)).scalar_one()
        for _ in range(10):
            with self.app.database.read() as work:
                statement = select(outbox.c.id).where(outbox.c.status == "pending", outbox.c.body.contains(str(identity)))
                waiting = [MessageId(found) for found in work.transaction.execute(statement).scalars()]
            for message in waiting:
                work_message(self.app, message)
            if not waiting:
                return
        raise AssertionError("the review never ended")

    def work_some(self) -> bool:
        """Work what can be claimed now; False when nothing is left to do at all."""
        with self.app.database.read() as work:
            statement = select(outbox.c.id).where(*_soon())
            waiting = [MessageId(found) for found in work.transaction.execute(statement.order_by(outbox.c.created_at)).scalars()]
        for identity in waiting:
            work_message(self.app, identity)
        if waiting and self.unfinished():
            time.sleep(0.02)  # a retry that is not due yet
        return bool(waiting)

    def unfinished(self) -> int:
        """How many messages are neither done nor dead, and due within the hour: a purge waits for days."""
        return self._count(and_(*_soon()))

    def dead(self) -> list[tuple[str, str]]:
        """Messages that were given up: kind and code."""
        with self.app.database.read() as work:
            statement = select(outbox.c.kind, outbox.c.error_code).where(outbox.c.status == "dead")
            return [(row.kind, row.error_code) for row in work.transaction.execute(statement)]

    def sent(self, kind: str) -> int:
        """How many messages of a kind there ever were."""
        return self._count(outbox.c.kind == kind)

    def reviews(self, head: str) -> int:
        """How many reviews of a head there ever were."""
        with self.app.database.read() as work:
            statement = select(func.count()).select_from(reviews).where(reviews.c.head == head)
            return int(work.transaction.execute(statement).scalar_one())

    def _count(self, condition: ColumnElement[bool]) -> int:
        with self.app.database.read() as work:
            statement = select(func.count()).select_from(outbox).where(condition)
            return int(work.transaction.execute(statement).scalar_one())
