"""Migrations at start, under a lock, so that several processes may start at once.

Alembic is imported where it is used: it takes a tenth of a second to load, and most processes and commands never migrate.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, inspect, text

from pipeline.errors import SchemaTooNew, StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"

LOCK_SECONDS = 60.0
"""How long a process waits for another one that migrates."""

COPIES = 3
"""Copies from before a migration that are kept."""

_COPY = ".before-"

_ADVISORY_KEY = 0x66697877  # "fixw": any number that no other program on this database uses


def upgrade(engine: Engine, url: URL) -> None:
    """Bring the schema to the newest revision. Everything in one transaction: a crash in the middle leaves the old schema.

    An SQLite database that has something in it is copied first, beside itself; the last COPIES such copies are kept.

    Raises:
        SchemaTooNew: the database has a revision that this version does not know.
        StoreUnavailable: another process migrates for too long, or there is no room for the copy.
    """
    with _file_lock(url), engine.connect() as connection, _advisory_lock(connection), connection.begin():
        found = current(connection)
        if found == newest():
            return
        refuse_newer(found, url)
        if found is not None:
            _keep_copy(url, found)
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def refuse_newer(found: str | None, url: URL) -> None:
    """Raise SchemaTooNew for a revision that this version does not know."""
    if found is not None and found not in _known():
        raise SchemaTooNew(
            f"the database has schema {found}, which this version of Fixwright does not know",
            hint=f"a newer Fixwright has used this database: install that version again, or {_way_back(url)}",
        )


def copies(folder: Path) -> list[Path]:
    """Copies from before a migration, the oldest first."""
    return sorted(folder.glob(f"*{_COPY}*"), key=lambda path: path.stat().st_mtime)


def forget_old_copies(folder: Path, seconds: float) -> int:
    """Delete copies that are older than `seconds`: what was purged since is still in them. How many."""
    old = [path for path in copies(folder) if path.stat().st_mtime < time.time() - seconds]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _keep_copy(url: URL, revision: str) -> None:
    """A consistent copy by SQLite's own backup interface, readable for us only. Under the migration lock."""
    if url.get_backend_name() != "sqlite":
        return
    path = Path(str(url.database))
    target = path.with_name(f"{path.name}{_COPY}{revision}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        copy_sqlite(path, target)
    except (sqlite3.Error, OSError) as exc:
        target.unlink(missing_ok=True)
        raise StoreUnavailable(
            f"the database cannot be copied before its schema is changed: {exc}", hint=f"make room in {path.parent}; nothing was changed"
        ) from exc
    log.warning("store.migrating", extra={"schema": revision, "to": newest(), "copy": target.name})
    for old in copies(path.parent)[:-COPIES]:
        old.unlink(missing_ok=True)


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to: everything that was committed before, nothing of what was not.

    Raises:
        sqlite3.Error, OSError: it cannot be read, or there is no room. FileExistsError: the target exists.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as from_, closing(sqlite3.connect(target)) as into:
        from_.backup(into)
        # The copy is one file: no log beside it.
        into.execute("PRAGMA journal_mode = DELETE")


def _way_back(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        found = copies(Path(str(url.database)).parent)
        if found:
            return f'go back to the copy from before the upgrade ({found[-1].name}): docs/operations.md, "Upgrade"'
    return 'restore a backup: docs/operations.md, "Upgrade"'


def current(connection: Connection) -> str | None:
    """Revision of the database; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


@cache
def newest() -> str:
    """Revision that this version writes. Each readiness probe asks."""
    return max(_known())


def _known() -> set[str]:
    """A migration's file begins with its revision, and they are numbered in order: Alembic would run every file to say the same."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _file_lock(url: URL) -> Iterator[None]:
    """SQLite: one migrating process at a time, by a lock that the kernel drops when its holder dies."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database) + ".migrate.lock")
    with path.open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _give_up_after(deadline)
        yield


@contextmanager
def _advisory_lock(connection: Connection) -> Iterator[None]:
    """PostgreSQL: the same by an advisory lock of the session, which the server drops when the connection ends."""
    if connection.dialect.name != "postgresql":
        yield
        return
    deadline = time.monotonic() + LOCK_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}):
        _give_up_after(deadline)
    connection.commit()
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_KEY})
        connection.commit()


def _give_up_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StoreUnavailable(f"another process has been migrating the database for {LOCK_SECONDS:.0f} s")
    time.sleep(0.05)
