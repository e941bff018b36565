"""What every connection to SQLite is asked to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.engine import BUSY_SECONDS, prepare_sqlite

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
