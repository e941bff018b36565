"""What every connection to SQLite is asked to do, and what errors of drivers mean."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreError, StoreUnavailable
from pipeline.store.engine import BUSY_SECONDS, Database, prepare_sqlite, translated

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
        (psycopg.errors.UndefinedTable('relation "outbox" does not exist'), True),
        (psycopg.errors.UndefinedColumn('column "due_at" does not exist'), True),
        (psycopg.errors.InsufficientPrivilege("permission denied for table outbox"), True),
        (psycopg.errors.DataCorrupted("invalid page in block 0"), True),
        (sqlite3.DatabaseError("database disk image is malformed"), True),
        (psycopg.errors.SyntaxError('syntax error at or near "selct"'), False),
        (psycopg.errors.NumericValueOutOfRange("integer out of range"), False),
        (sqlite3.DataError("string or blob too big"), False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_only_a_statement_and_its_values_are_refused_all_else_is_tried_again(origin: Exception, retryable: bool) -> None:
    module = psycopg if isinstance(origin, psycopg.Error) else sqlite3
    with pytest.raises(StoreError) as caught, translated():
        raise DBAPIError.instance("select 1", {}, origin, module.Error)
    assert (caught.value.retryable, isinstance(caught.value, StoreUnavailable)) == (retryable, retryable)


def test_a_file_that_is_no_database_is_one_to_come_back_to(tmp_path: Path) -> None:
    (tmp_path / "fixwright.db").write_bytes(b"no database at all " * 500)
    database = Database.open(f"sqlite:///{tmp_path / 'fixwright.db'}")
    with pytest.raises(StoreUnavailable, match="not a database"), database.read():
        pass
    database.dispose()
