"""Migrations at start, under a lock, so that several processes may start at once."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, inspect, text

from pipeline.errors import SchemaTooNew, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"

LOCK_SECONDS = 60.0
"""How long a process waits for another one that migrates."""

_ADVISORY_KEY = 0x66697877  # "fixw": any number that no other program on this database uses


def upgrade(engine: Engine, url: URL) -> None:
    """Bring the schema to the newest revision. Everything in one transaction: a crash in the middle leaves the old schema.

    Raises:
        SchemaTooNew: the database has a revision that this version does not know.
        StoreUnavailable: another process migrates for too long.
    """
    with _file_lock(url), engine.connect() as connection, _advisory_lock(connection), connection.begin():
        found = current(connection)
        if found == newest():
            return
        if found is not None and found not in _known():
            raise SchemaTooNew(
                f"the database has schema {found}, which this version of Fixwright does not know",
                hint="a newer Fixwright has used this database: install that version again, or restore a backup",
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """Revision of the database; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Revision that this version writes."""
    return str(_scripts().get_current_head())


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


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
