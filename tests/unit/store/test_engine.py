"""What every connection to SQLite is asked to do, and what errors of drivers mean."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from pipeline.errors import StoreError, StoreUnavailable
from pipeline.store.engine import BUSY_SECONDS, prepare_sqlite, translated

FULL = 2
"""SQLite manual, "PRAGMA synchronous"."""


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("synchronous", FULL), ("journal_mode", "wal"), ("foreign_keys", 1), ("secure_delete", 1), ("busy_timeout", int(BUSY_SECONDS * 1000))],
)
def test_a_commit_is_on_the_disk_readers_do_not_wait_and_what_is_deleted_is_overwritten(
    tmp_path: Path, pragma: str, value: int | str
) -> None:
    with closing(sqlite3.connect(tmp_path / "fixwright.db")) as connection:
        prepare_sqlite(connection)
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)


@pytest.mark.parametrize(
    ("origin", "retryable"),
    [
        (psycopg.ProgrammingError("another command is in progress: connection in transaction status ACTIVE"), True),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), True),
        (psycopg.errors.UndefinedTable('relation "outbox" does not exist'), False),
    ],
    ids=["left in the middle of a statement", "closed", "a statement that the database refuses"],
)
def test_a_connection_that_can_do_nothing_more_is_no_fault_of_the_statement(origin: Exception, retryable: bool) -> None:
    with pytest.raises(StoreError) as caught, translated():
        raise ProgrammingError("select 1", {}, origin)
    assert (caught.value.retryable, isinstance(caught.value, StoreUnavailable)) == (retryable, retryable)
