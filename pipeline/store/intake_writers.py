"""The statements of the intake, for both databases, on the bare drivers."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, Protocol

import psycopg
from sqlalchemy import URL

from pipeline.store.engine import BUSY_SECONDS, CONNECT_SECONDS, prepare_sqlite, server_options

OutboxRow = tuple[str, str, str, str, int, str, float, str, str, str]
"""See `pipeline.store.outbox.encode_envelope`: id, key, kind, body, priority, group, delay; the id of the delivery; tenant, repository."""

STATEMENT_SECONDS: Final = 7.0
"""PostgreSQL: a statement that takes longer is given up, before the host gives up on us."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery as it goes into the tables: texts are escaped (`tables.escape_text`), the body is compressed."""

    id: str
    provider: str
    instance: str
    delivery_id: str
    name: str
    outcome: str
    size: int
    body: bytes
    messages: tuple[OutboxRow, ...]

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes a delivery the same delivery."""
        return (self.provider, self.instance, self.delivery_id)


class Writer(Protocol):
    """One connection of the intake, used by one thread."""

    def write(self, batch: Sequence[Prepared]) -> set[str]:
        """Write all of it in one transaction, durable on return. Returns the ids of those that are new; the others are repeated.
        Raises the driver's errors, and then has written nothing."""

    def close(self) -> None:
        """Close the connection; it is opened again by the next `write`."""


def counted(batch: Sequence[Prepared], new: set[str]) -> list[tuple[str, str, str, int]]:
    """What to add to the counters, sorted, so that two writers lock the rows in the same order."""
    counter = Counter((row.provider, row.name, row.outcome if row.id in new else "repeated") for row in batch)
    return [(*key, number) for key, number in sorted(counter.items())]


class SqliteWriter:
    """SQLite: one statement a row costs microseconds; the commit is what is shared."""

    _DELIVERY: Final = """
        INSERT INTO deliveries (id, provider, instance, delivery_id, name, outcome, received_at, size, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, (julianday('now') - 2440587.5) * 86400.0, ?7, ?8)
        ON CONFLICT (provider, instance, delivery_id) DO NOTHING
    """
    _OUTBOX: Final = """
        INSERT INTO outbox (id, key, kind, body, priority, "group", status, created_at, due_at, publish_at, delivery_id, begun_at,
                            tenant, repository)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'pending', moment, moment + ?7, moment + ?7, ?8, moment, ?9, ?10
        FROM (SELECT (julianday('now') - 2440587.5) * 86400.0 AS moment) WHERE true
        ON CONFLICT (key) DO NOTHING
    """
    _COUNT: Final = """
        INSERT INTO delivery_counts (provider, name, outcome, count) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (provider, name, outcome) DO UPDATE SET count = count + excluded.count
    """

    def __init__(self, url: URL) -> None:
        self._path = str(url.database)
        self._connection: sqlite3.Connection | None = None

    def write(self, batch: Sequence[Prepared]) -> set[str]:
        """See `Writer.write`."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            prepare_sqlite(self._connection)
        cursor = self._connection.cursor()
        new: set[str] = set()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            for row in batch:
                values = (row.id, *row.identity, row.name, row.outcome, row.size, row.body)
                if cursor.execute(self._DELIVERY, values).rowcount == 1:
                    new.add(row.id)
                    cursor.executemany(self._OUTBOX, row.messages)
            cursor.executemany(self._COUNT, counted(batch, new))
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise
        return new

    def close(self) -> None:
        """See `Writer.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresWriter:
    """PostgreSQL: every statement is a round trip, so that a batch is one statement a table."""

    _DELIVERY: Final[LiteralString] = """
        INSERT INTO deliveries (id, provider, instance, delivery_id, name, outcome, received_at, size, body)
        SELECT id, provider, instance, delivery_id, name, outcome,
               CAST(extract(epoch FROM clock_timestamp()) AS double precision), size, body
        FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::int4[], %b::bytea[])
             AS new (id, provider, instance, delivery_id, name, outcome, size, body)
        ON CONFLICT (provider, instance, delivery_id) DO NOTHING
        RETURNING id
    """
    _OUTBOX: Final[LiteralString] = """
        INSERT INTO outbox (id, key, kind, body, priority, "group", status, created_at, due_at, publish_at, delivery_id, begun_at,
                            tenant, repository)
        SELECT id, key, kind, body, priority, grouped, 'pending', moment, moment + delay, moment + delay, delivery, moment,
               tenant, repository
        FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::int4[], %b::text[], %b::float8[], %b::text[], %b::text[],
                    %b::text[])
             AS new (id, key, kind, body, priority, grouped, delay, delivery, tenant, repository),
             (SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision) AS moment) AS clock
        ON CONFLICT (key) DO NOTHING
    """
    _COUNT: Final[LiteralString] = """
        INSERT INTO delivery_counts (provider, name, outcome, count)
        SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::int8[])
        ON CONFLICT (provider, name, outcome) DO UPDATE SET count = delivery_counts.count + excluded.count
    """

    def __init__(self, url: URL) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._options = server_options(url, statement_timeout=STATEMENT_SECONDS)
        self._connection: psycopg.Connection[tuple[str]] | None = None

    def write(self, batch: Sequence[Prepared]) -> set[str]:
        """See `Writer.write`."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, connect_timeout=CONNECT_SECONDS, options=self._options)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Sorted: two writers that insert the same deliveries in different orders would lock each other out.
            ordered = sorted(batch, key=lambda row: row.identity)
            columns = zip(*((row.id, *row.identity, row.name, row.outcome, row.size, row.body) for row in ordered), strict=True)
            new = {found[0] for found in cursor.execute(self._DELIVERY, [list(column) for column in columns])}
            messages = sorted((message for row in ordered if row.id in new for message in row.messages), key=lambda message: message[1])
            if messages:
                cursor.execute(self._OUTBOX, [list(column) for column in zip(*messages, strict=True)])
            cursor.execute(self._COUNT, [list(column) for column in zip(*counted(batch, new), strict=True)])
        return new

    def close(self) -> None:
        """See `Writer.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
