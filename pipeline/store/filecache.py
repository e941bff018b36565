"""What engines said of file versions, in a file of its own: for commands that have no database and want to go on where they were."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import NotConfigured
from pipeline.leaks import clean_document

MAX_AGE_SECONDS = 60 * 86_400.0
"""Since the last use."""
MAX_BYTES = 1 << 30
"""Of all entries together; the least recently used ones go first."""
_WAIT = 60.0
"""Seconds that one process waits for another one to end writing."""


class FileCache:
    """`pipeline.stages.examine.Cache` in one SQLite file that only its owner can read. Several processes may use it at once.

    Args:
        path: the file; its folder is there.
        origin: digest of what makes the answers besides what their keys name: the version of our own code. Entries of another origin are
            not seen.

    Raises:
        NotConfigured: the file cannot be made or is no such file.
    """

    def __init__(self, path: Path, origin: bytes) -> None:
        self._origin = origin
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._file = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS said (origin BLOB, key BLOB, value BLOB, used REAL, PRIMARY KEY (origin, key)) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise NotConfigured(f"{path} cannot be used: {error}", hint="remove it: it is made anew") from None

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The known entries; they count as used now."""
        found: dict[bytes, bytes] = {}
        for key in keys:
            row = self._file.execute("SELECT value FROM said WHERE origin = ? AND key = ?", (self._origin, key)).fetchone()
            if row is not None:
                found[key] = row[0]
        now = time.time()
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("UPDATE said SET used = ? WHERE origin = ? AND key = ?", [(now, self._origin, key) for key in found])
        self._file.execute("COMMIT")
        return found

    def put_many(self, entries: Mapping[bytes, bytes]) -> None:
        """Remember the entries, JSON texts each."""
        now = time.time()
        rows = [(self._origin, key, clean_document(value.decode("ascii")).encode("ascii"), now) for key, value in entries.items()]
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", rows)
        self._file.execute("COMMIT")

    def trim(self, *, max_bytes: int = MAX_BYTES) -> int:
        """Forget what was not used for long, and, while all is too large, what was not used for longest; how many."""
        gone = self._file.execute("DELETE FROM said WHERE used < ?", (time.time() - MAX_AGE_SECONDS,)).rowcount
        size = self._file.execute("SELECT coalesce(sum(length(value)), 0) FROM said").fetchone()[0]
        if size <= max_bytes:
            return gone
        doomed = []
        for origin, key, length in self._file.execute("SELECT origin, key, length(value) FROM said ORDER BY used, key"):
            if size <= max_bytes:
                break
            size -= length
            doomed.append((origin, key))
        self._file.executemany("DELETE FROM said WHERE origin = ? AND key = ?", doomed)
        return gone + len(doomed)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
