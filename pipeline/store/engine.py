"""The database: opening, migrating, transactions, and the border where SQLAlchemy's errors become ours."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, ReadOnlySqlTransaction, UndefinedColumn, UndefinedTable
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from pipeline.errors import FixwrightError, NotConfigured, StaleWrite, StoreError, StoreUnavailable
from pipeline.store import migrate
from pipeline.store.columns import database_now
from pipeline.store.seal import Vault
from pipeline.store.work import Work

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a statement waits for a lock of another process before the database counts as unavailable."""

CONNECT_SECONDS = 5
SYNCHRONOUS = "FULL"
"""SQLite: a commit is on the disk when it returns (facts: about 0.1 ms more than NORMAL on a quiet disk)."""


class Database:
    """An opened database. Safe to share between threads; after a fork call `dispose_after_fork` in the child first."""

    def __init__(self, url: URL, engine: Engine, vault: Vault | None = None) -> None:
        self._url = url
        self._vault = vault or Vault()
        self._engine = engine
        self._callbacks: list[Callable[[], None]] = []
        self._inside = threading.local()

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)})"

    @classmethod
    def open(cls, url: str, vault: Vault | None = None) -> Database:
        """Prepare a database; connects on first use. The file and folder of an SQLite database are made, readable for us only.

        Args:
            url: `sqlite:///relative`, `sqlite:////absolute`, or `postgresql://user:password@host:port/name`.
            vault: seals what only we read; None for who reads none of it.

        Raises:
            NotConfigured: the URL cannot be understood, or names another kind of database.
            StoreUnavailable: the folder cannot be made.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            _make_file(Path(str(parsed.database)))
            engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS}, pool_size=5, max_overflow=20)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            arguments = {"connect_timeout": CONNECT_SECONDS, "options": server_options(parsed)}
            engine = create_engine(
                parsed,
                hide_parameters=True,
                connect_args=arguments,
                pool_size=5,
                max_overflow=20,
                pool_pre_ping=True,
                pool_timeout=BUSY_SECONDS,
            )
            event.listen(engine, "handle_error", _leave_read_only)
        return cls(parsed, engine, vault)

    @property
    def url(self) -> str:
        """The URL with its password; never for a log."""
        return self._url.render_as_string(hide_password=False)

    @property
    def vault(self) -> Vault:
        """Seals what only we read."""
        return self._vault

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    def migrate(self) -> None:
        """Bring the schema to the newest version; several processes may call it at once.

        Raises:
            SchemaTooNew: a newer Fixwright has written this database.
            StoreUnavailable: it does not answer, or another process holds the migration lock for too long.
        """
        with translated():
            migrate.upgrade(self._engine, self._url)

    @contextmanager
    def work(self) -> Iterator[Work]:
        """One transaction: committed when the block ends well, undone when it raises.

        Raises:
            StoreUnavailable, StaleWrite: see `translated`.
            StoreError: this thread has one open already. On SQLite the second would wait for the first for ever.
        """
        if getattr(self._inside, "work", False):
            raise StoreError("a transaction is open in this thread already", hint="a fault of ours: do not nest Database.work()")
        self._inside.work = True
        try:
            with translated(), self._engine.begin() as connection:
                work = Work(connection, self._vault)
                yield work
        finally:
            self._inside.work = False
        callbacks = [*work.transaction.after_commit, *(self._callbacks if work.transaction.sent else ())]
        for callback in callbacks:
            run_after_commit(callback)

    @contextmanager
    def read(self) -> Iterator[Work]:
        """One transaction that reads only: on SQLite it neither waits for a writer nor makes one wait. Nothing is committed."""
        with translated(), self._engine.connect().execution_options(fixwright_read=True) as connection:
            yield Work(connection, self._vault)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every commit that put a message into the outbox. What it raises is logged: the commit stands."""
        self._callbacks.append(callback)

    def now(self) -> float:
        """Seconds since 1970 by the clock of the database, which decides about leases."""
        with self.read() as work:
            return float(work.transaction.execute(select(database_now())).scalar_one())

    def healthy(self) -> None:
        """Raise StoreUnavailable unless the database answers and has the schema that this version writes; SchemaTooNew for a newer one."""
        with translated(), self._engine.connect() as connection:
            found = migrate.current(connection)
        migrate.refuse_newer(found, self._engine.url)
        if found != migrate.newest():
            raise StoreUnavailable(
                f"the database has schema {found or 'none'}, this version needs {migrate.newest()}",
                hint="start `fixwright up` once to migrate",
            )

    def compact(self, max_bytes: int | None = None) -> bool:
        """SQLite: write the file anew without what was deleted, and empty its log. Whoever writes meanwhile waits: about 2 s for 250 MB.

        Overwriting what is deleted (`secure_delete`) is not enough: rows that moved from page to page leave copies behind.

        Args:
            max_bytes: a larger file is left as it is, only its log is emptied.

        Returns:
            True when nothing of what was deleted is left in the file. PostgreSQL does this by itself (autovacuum).
        """
        if self.dialect != "sqlite":
            return True
        small = max_bytes is None or self.size() <= max_bytes
        with translated(), self._engine.connect() as connection:
            raw = connection.connection.driver_connection
            if not isinstance(raw, sqlite3.Connection):
                return False
            try:
                if small:
                    raw.execute("VACUUM")
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.OperationalError as exc:
                raise StoreUnavailable(
                    f"the database file cannot be written anew: {exc}", hint="the rows are deleted all the same"
                ) from exc
        return small

    def size(self) -> int:
        """Bytes of the database on the disk."""
        if self.dialect == "sqlite":
            path = Path(str(self._url.database))
            return sum(found.stat().st_size for found in path.parent.glob(f"{path.name}*") if found.is_file())
        with self.read() as work:
            return int(work.transaction.execute(select(func.pg_database_size(func.current_database()))).scalar_one())

    @property
    def path(self) -> Path:
        """SQLite: the file. Raises StoreError for another kind of database."""
        if self.dialect != "sqlite":
            raise StoreError("only an SQLite database is a file")
        return Path(str(self._url.database))

    def schema(self) -> str:
        """Revision of the schema; empty for an empty database."""
        with translated(), self._engine.connect() as connection:
            return migrate.current(connection) or ""

    def dispose(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    def dispose_after_fork(self) -> None:
        """In a forked child: forget the parent's connections without closing them under its feet."""
        self._engine.dispose(close=False)
        self._inside = threading.local()


def server_options(url: URL, **more: float) -> str:
    """PostgreSQL: what every session of ours sets, after what the URL itself asks for. `more`: further time-outs, in seconds."""
    asked = url.query.get("options", "")
    timeouts = {"lock_timeout": BUSY_SECONDS, **more}
    ours = " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in timeouts.items())
    # Our questions end after some rows of an index. Helpers are started for what all of it would be, which takes longer than the answer.
    ours += " -c max_parallel_workers_per_gather=0"
    return f"{asked if isinstance(asked, str) else ' '.join(asked)} {ours}".strip()


def parse_url(url: str) -> URL:
    """A database URL with the driver that we use. Raises NotConfigured; the message never holds the URL, which may hold a password."""
    hint = "DATABASE_URL is sqlite:////path/to/file or postgresql://user:password@host:5432/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise NotConfigured("the database URL cannot be understood", hint=hint) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise NotConfigured(f"there is no support for '{parsed.drivername}' databases", hint=hint)
    if parsed.database in (None, "", ":memory:"):
        raise NotConfigured("the SQLite database must be a file: several processes share it", hint=hint)
    return parsed.set(drivername="sqlite")


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the database become errors of ours.

    Raises:
        StoreUnavailable: no answer, locked, full, read-only, no more connections, deadlock, a damaged file, a missing table or right:
            trying again can help, as nothing of it is the statement's fault.
        StaleWrite: a unique or foreign key refuses the row: somebody else was there first, or what it refers to is gone.
        StoreError: the statement or its values are refused.
    """
    try:
        yield
    except IntegrityError as exc:
        raise StaleWrite(f"the database refuses the row ({_name(exc)})") from exc
    except PoolTimeout as exc:
        raise StoreUnavailable(f"the database does not do its work: {_said(exc)}") from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise StoreUnavailable(f"the connection to the database broke: {_said(exc)}") from exc
        if isinstance(exc.orig, _MENDED_BY_PEOPLE) or not isinstance(exc, DataError | NotSupportedError | ProgrammingError):
            named = "" if isinstance(exc, OperationalError | InterfaceError) else f" ({_name(exc)})"
            raise StoreUnavailable(f"the database does not do its work: {_said(exc)}{named}") from exc
        if isinstance(exc, ProgrammingError) and not _code(exc):
            # The driver's own word, not the database's: who ends a process in the middle of a statement leaves its connection so.
            raise StoreUnavailable(f"the connection to the database can do nothing more: {_said(exc)}") from exc
        raise StoreError(f"the database refuses a statement ({_name(exc)})") from exc
    except SQLAlchemyError as exc:
        raise StoreError(f"the database cannot do a statement ({type(exc).__name__})") from exc


_MENDED_BY_PEOPLE = (UndefinedTable, UndefinedColumn, InvalidSchemaName, InsufficientPrivilege)
"""A PostgreSQL that is being restored or set up. psycopg counts it among the faults of the caller."""


def run_after_commit(callback: Callable[[], None]) -> None:
    """Call something that only saves time (waking the relay): a failure must not make a commit look undone."""
    try:
        callback()
    except FixwrightError as error:
        log.warning("store.callback_failed", extra={"code": error.code, "error": error.message})


def _name(exc: DBAPIError) -> str:
    """What kind of error, without values: `SQLITE_CONSTRAINT_UNIQUE`, `23505`."""
    return _code(exc) or type(exc.orig).__name__


def _code(exc: DBAPIError) -> str:
    """What the database itself calls the error; empty when it was not asked."""
    return str(getattr(exc.orig, "sqlite_errorname", None) or getattr(exc.orig, "sqlstate", None) or "")


def _said(exc: SQLAlchemyError) -> str:
    """First line of what the driver says; operational errors quote no values."""
    origin = exc.orig if isinstance(exc, DBAPIError) else exc
    lines = str(origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__


def _make_file(path: Path) -> None:
    """Make the file before SQLite does, so that it is readable for us only; its journal files inherit the mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise StoreUnavailable(f"the database file cannot be made: {exc.strerror}", hint=f"is {path.parent} a writable folder?") from exc


def _prepare_sqlite(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:  # noqa: ARG001  signature of SQLAlchemy
    prepare_sqlite(connection)


def prepare_sqlite(connection: sqlite3.Connection) -> None:
    """Settings that every connection needs. Transactions are begun by hand (`isolation_level` None): the driver would begin too late."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten: a purged repository must not be read out of the file's free pages.
    connection.execute("PRAGMA secure_delete = ON")


def _leave_read_only(context: ExceptionContext) -> None:
    """PostgreSQL that may not write is one that another took the place of: to go on with its connections would never end. psycopg counts it
    among the faults of the caller."""
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins by reading and then writes fails at once when somebody wrote between (SQLITE_BUSY_SNAPSHOT):
    # one that may write takes the write lock at its beginning and waits for it.
    reads_only = connection.get_execution_options().get("fixwright_read", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
