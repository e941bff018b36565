"""The one hand-written writer: deliveries with their first messages, in group commits.

One thread writes. It takes everything that waits, writes it in one transaction, and answers all of it after that one commit: a busy
intake pays for one fsync where it would pay for dozens (facts: 704 -> 2,063 durable deliveries a second). It speaks to the drivers
directly, as an ORM's statement costs more than the work itself here.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import psycopg

from pipeline.errors import StoreError, StoreUnavailable
from pipeline.messages import Envelope
from pipeline.store.columns import name_text
from pipeline.store.deliveries import KIND
from pipeline.store.engine import parse_url, run_after_commit
from pipeline.store.identifiers import new_id
from pipeline.store.intake_writers import OutboxRow, PostgresWriter, Prepared, SqliteWriter, Writer
from pipeline.store.outbox import encode_envelope
from pipeline.store.seal import Vault

log = logging.getLogger(__name__)

MAX_BATCH: Final = 64
MAX_WAITING: Final = 5_000
"""Deliveries that may wait for the writer; more are refused at once, so that the host delivers them again later."""

MAX_WAITING_BYTES: Final = 256 * 1024 * 1024

PATIENCE_SECONDS: Final = 8.0
"""A delivery that has waited longer is refused: GitHub gives up after 10 s ("Best practices for using webhooks")."""


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """A delivery that is to be kept."""

    provider: str
    instance: str
    delivery_id: str
    """The host's; unique together with provider and instance."""
    name: str
    """The host's name of the event."""
    body: bytes
    """As delivered; kept compressed for a day."""
    outcome: str = "accepted"
    """What is counted: `accepted`, or `ignored` for an event that concerns nobody."""


@dataclass(slots=True)
class _Waiting:
    """A delivery on its way through the writer."""

    row: IntakeRow
    messages: tuple[OutboxRow, ...]
    future: Future[bool] | asyncio.Future[bool]
    loop: asyncio.AbstractEventLoop | None
    """Of an asyncio future, which may be resolved in its own loop only."""
    since: float = field(default_factory=time.monotonic)


class Intake:
    """The writer of deliveries. `start` it after a fork, never before."""

    def __init__(
        self, writer: Writer, *, max_batch: int = MAX_BATCH, on_commit: Callable[[], None] | None = None, vault: Vault | None = None
    ) -> None:
        self._writer, self._vault = writer, vault or Vault()
        self._max_batch = max_batch
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._room = threading.Lock()
        self._bytes = 0
        self._open = False
        self._threads: list[threading.Thread] = []
        self._committed = threading.Event()
        self._ended = False

    @classmethod
    def open(
        cls, url: str, *, max_batch: int = MAX_BATCH, on_commit: Callable[[], None] | None = None, vault: Vault | None = None
    ) -> Intake:
        """An intake into a migrated database; connects on first use.

        Args:
            url: as for `Database.open`.
            max_batch: deliveries in one commit at most.
            vault: seals the bodies.
            on_commit: called soon after commits, in a thread of its own: it may be slow, and its failure is only logged.

        Raises:
            NotConfigured: the URL cannot be understood.
        """
        parsed = parse_url(url)
        writer: Writer = SqliteWriter(parsed) if parsed.get_backend_name() == "sqlite" else PostgresWriter(parsed)
        return cls(writer, max_batch=max_batch, on_commit=on_commit, vault=vault)

    def start(self) -> None:
        """Start the writer."""
        self._open = True
        self._threads = [threading.Thread(target=self._write_all, name="intake", daemon=True)]
        if self._on_commit is not None:
            self._threads.append(threading.Thread(target=self._wake_all, args=(self._on_commit,), name="intake-wake", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 15.0) -> None:
        """Take nothing more, write what waits, and close; waits at most `seconds`."""
        self._open = False
        self._queue.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def submit(self, row: IntakeRow, envelopes: Sequence[Envelope]) -> Future[bool]:
        """Keep a delivery and send its messages, from any thread.

        Returns:
            A future: True when the delivery is new and durable, False when it was known (then no message is sent). It raises
            StoreUnavailable when nothing was kept, StoreError when this delivery can never be kept.

        Raises:
            StoreUnavailable: too much waits already, or the intake is not running.
        """
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        self._enqueue(row, envelopes, future, None)
        return future

    async def accept(self, row: IntakeRow, envelopes: Sequence[Envelope], patience: float = PATIENCE_SECONDS) -> bool:
        """Like `submit`, for a coroutine. Gives up with StoreUnavailable after `patience` seconds; the delivery may then still be kept,
        and is a repeated one when the host delivers it again."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._enqueue(row, envelopes, future, loop)
        try:
            return await asyncio.wait_for(future, patience)
        except TimeoutError:
            raise StoreUnavailable(f"the database took longer than {patience:.0f} s") from None

    # --- inside ---

    def _enqueue(
        self,
        row: IntakeRow,
        envelopes: Sequence[Envelope],
        future: Future[bool] | asyncio.Future[bool],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        messages = tuple(_message(envelope, row.delivery_id, self._vault) for envelope in envelopes)
        with self._room:
            if not self._open:
                raise StoreUnavailable("the intake is not running")
            if self._queue.qsize() >= MAX_WAITING or self._bytes + len(row.body) > MAX_WAITING_BYTES:
                raise StoreUnavailable("too many deliveries wait for the database")
            self._bytes += len(row.body)
            self._queue.put(_Waiting(row, messages, future, loop))

    def _write_all(self) -> None:
        """The writer's thread: until `stop`."""
        running = True
        while running:
            batch: list[_Waiting] = []
            found = self._queue.get()
            while found is not None:
                batch.append(found)
                if len(batch) >= self._max_batch or self._queue.empty():
                    break
                found = self._queue.get()
            running = found is not None
            if batch:
                self._write(batch)
        self._writer.close()
        self._ended = True
        self._committed.set()

    def _write(self, batch: list[_Waiting]) -> None:
        """Write a batch and answer every one of it."""
        with self._room:
            self._bytes -= sum(len(waiting.row.body) for waiting in batch)
        now = time.monotonic()
        fresh = [waiting for waiting in batch if now - waiting.since < PATIENCE_SECONDS]
        results: list[bool | StoreError] = []
        if fresh:
            try:
                results = self._commit([_prepare(waiting, self._vault) for waiting in fresh])
            except Exception as exc:  # the writer's boundary: a fault of ours must not end the intake
                log.exception("intake.fault")
                self._writer.close()
                results = [StoreUnavailable(f"the delivery cannot be kept ({type(exc).__name__})")] * len(fresh)
        too_late = [waiting for waiting in batch if now - waiting.since >= PATIENCE_SECONDS]
        refusal = StoreUnavailable("the delivery has waited too long for the database")
        _answer([*zip(fresh, results, strict=True), *((waiting, refusal) for waiting in too_late)])

    def _commit(self, batch: list[Prepared]) -> list[bool | StoreError]:
        """One transaction for all; when a row of it is refused, one for each, so that only that row fails."""
        try:
            new = self._write_twice(batch)
        except _REFUSED as exc:
            self._writer.close()
            if len(batch) == 1:
                log.error("intake.refused", extra={"error": type(exc).__name__, "delivery_id": batch[0].delivery_id})
                return [StoreError(f"the database refuses the delivery ({type(exc).__name__})")]
            return [result for row in batch for result in self._commit([row])]
        except _UNAVAILABLE as exc:
            self._writer.close()
            log.error("intake.database_down", extra={"error": _first_line(exc), "deliveries": len(batch)})
            return [StoreUnavailable(f"the database does not take deliveries: {_first_line(exc)}")] * len(batch)
        self._committed.set()
        return [row.id in new for row in batch]

    def _write_twice(self, batch: list[Prepared]) -> set[str]:
        """Try again on a fresh connection: the old one may have died while nothing was to be done. Rows that were committed although
        the answer was lost come back as repeated, which is as good."""
        try:
            return self._writer.write(batch)
        except (psycopg.OperationalError, _READ_ONLY) as exc:
            self._writer.close()
            if isinstance(exc, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable | _READ_ONLY):
                raise
            return self._writer.write(batch)

    def _wake_all(self, callback: Callable[[], None]) -> None:
        """The waker's thread: many commits while the callback runs are one call."""
        while True:
            self._committed.wait()
            self._committed.clear()
            run_after_commit(callback)
            if self._ended:
                return


_READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
"""Another server has taken its place. psycopg counts it among the faults of the caller."""
_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError, psycopg.IntegrityError, psycopg.DataError, ValueError, OverflowError)
"""What a row itself is to blame for: it would be refused by a sound database too, however often it is tried."""
_UNAVAILABLE = (sqlite3.Error, psycopg.Error, OSError)
"""All else, a damaged file and a missing table or right too: people mend it, and what was acknowledged must be there to be taken then."""


def _message(envelope: Envelope, delivery_id: str, vault: Vault) -> OutboxRow:
    identifier, key, kind, body, priority, group, delay, tenant, repository = encode_envelope(envelope, vault)
    whose = (name_text(tenant), name_text(repository))
    return (identifier, name_text(key), kind, body, priority, name_text(group), delay, name_text(delivery_id), *whose)


def _prepare(waiting: _Waiting, vault: Vault) -> Prepared:
    row = waiting.row
    return Prepared(
        id=new_id(),
        provider=name_text(row.provider),
        instance=name_text(row.instance),
        delivery_id=name_text(row.delivery_id),
        name=name_text(row.name),
        outcome=name_text(row.outcome),
        size=len(row.body),
        body=vault.close(KIND, zlib.compress(row.body, 1)),
        messages=waiting.messages,
    )


def _answer(answers: Sequence[tuple[_Waiting, bool | StoreError]]) -> None:
    """Tell everybody; each event loop is woken once, as a wake-up costs more than writing a row."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[_Waiting, bool | StoreError]]] = {}
    for waiting, result in answers:
        by_loop.setdefault(waiting.loop, []).append((waiting, result))
    for loop, mine in by_loop.items():
        if loop is None:
            _resolve_all(mine)
            continue
        try:
            loop.call_soon_threadsafe(_resolve_all, mine)
        except RuntimeError:
            log.debug("intake.loop_ended")


def _resolve_all(answers: Sequence[tuple[_Waiting, bool | StoreError]]) -> None:
    for waiting, result in answers:
        _resolve(waiting.future, result)


def _resolve(future: Future[bool] | asyncio.Future[bool], result: bool | StoreError) -> None:
    if future.done():
        return  # who waited has gone; the delivery is kept all the same
    if isinstance(result, StoreError):
        future.set_exception(result)
    else:
        future.set_result(result)


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__
