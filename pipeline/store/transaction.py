"""One open transaction, and the few statements that both databases have but SQL spells differently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Connection, Executable, Result, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.errors import StaleWrite
from pipeline.store.seal import Vault

T = TypeVar("T")

CHUNK = 200
"""Rows or values in one statement: far below SQLite's 32,766 variables, and one round trip is paid back well before."""

Values = Mapping[str, Any]
"""A row on its way in; `Any` as the columns differ in type and SQLAlchemy checks nothing here."""


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterable[list[T]]:
    """The values in lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Transaction:
    """What the aggregates share: the connection, and what is to happen after the commit."""

    def __init__(self, connection: Connection, vault: Vault | None = None) -> None:
        self.connection = connection
        self.vault = vault or Vault()
        self.dialect = connection.dialect.name
        self.after_commit: list[Callable[[], None]] = []
        self.sent = False
        """True when a message was put into the outbox: after the commit the relay is woken."""

    def execute(self, statement: Executable) -> Result[Any]:
        """Run a statement."""
        return self.connection.execute(statement)

    def one(self, statement: Executable, missing: str) -> Row[Any]:
        """The only row. Raises StaleWrite with the sentence `missing` when there is none."""
        row = self.execute(statement).one_or_none()
        if row is None:
            raise StaleWrite(missing)
        return row

    def changed(self, statement: Executable) -> int:
        """Run an INSERT, UPDATE or DELETE; how many rows it hit."""
        # Without the option SQLAlchemy forgets the count of an INSERT and says -1.
        return self.connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """INSERT that knows ON CONFLICT."""
        return postgresql.insert(table) if self.dialect == "postgresql" else sqlite.insert(table)

    def add(self, table: Table, rows: Sequence[Values]) -> None:
        """Insert rows, however many: one statement is put together for all of them, which takes longer than to run it.

        Args:
            rows: all with the same columns. Where the first one's value is SQL (`database_now()`) it is every row's.
        """
        self._for_each(self.insert(table), rows)

    def add_missing(self, table: Table, rows: Sequence[Values], unique: Sequence[str]) -> int:
        """Insert the rows whose `unique` columns do not exist yet; how many those were."""
        added = 0
        for chunk in chunks(rows):
            statement = self.insert(table).values(chunk).on_conflict_do_nothing(index_elements=list(unique))
            added += self.changed(statement)
        return added

    def upsert(self, table: Table, rows: Sequence[Values], unique: Sequence[str], update: Sequence[str]) -> None:
        """Insert rows; where the `unique` columns exist, set the `update` columns to the new values."""
        statement = self.insert(table)
        new = {name: statement.excluded[name] for name in update}
        self._for_each(statement.on_conflict_do_update(index_elements=list(unique), set_=new), rows)

    def _for_each(self, statement: sqlite.Insert | postgresql.Insert, rows: Sequence[Values]) -> None:
        if not rows:
            return
        same = {name: value for name, value in rows[0].items() if isinstance(value, ClauseElement)}
        statement = statement.values(same) if same else statement
        for chunk in chunks(rows):
            self.connection.execute(statement, [{name: value for name, value in row.items() if name not in same} for row in chunk])
