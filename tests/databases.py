"""Databases for tests: SQLite in a file, and a real PostgreSQL of our own, started once a session on a unix socket.

Use it by importing the fixtures into a conftest: `from tests.databases import database, database_url, postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from pipeline.store.engine import Database

KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Postgres:
    """A running server of ours."""

    socket: Path
    user: str
    process: subprocess.Popen[bytes]
    spare: list[str] = field(default_factory=list)
    """Databases with our schema and nothing in them, which nobody uses."""

    def url(self, name: str) -> str:
        """URL of one of its databases."""
        return f"postgresql://{self.user}@/{name}?host={self.socket}"

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction, in the maintenance database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def programs() -> Path | None:
    """Folder of `initdb` and `postgres`: the newest installed version, or what is on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("postgres") else None


def other_user() -> str | None:
    """Whom PostgreSQL runs as when we are root, which it refuses to be; None when we are somebody else already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test session; skips when PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (no initdb)")
    with server() as running:
        yield running


@contextmanager
def server() -> Iterator[Postgres]:
    """A PostgreSQL server on a unix socket in a folder of its own. PostgreSQL must be installed."""
    binaries, user = programs(), other_user()
    assert binaries is not None, "PostgreSQL is not installed"
    # A short path: a socket's name may have 107 characters. Not pytest's own folder: the other user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="fixwright-pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        yield from _serve(binaries, folder, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(binaries: Path, folder: Path, user: str | None) -> Iterator[Postgres]:
    group = None if user is None else pwd.getpwnam(user).pw_gid
    cluster, log = folder / "cluster", folder / "log"
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    initdb = [str(binaries / "initdb"), "-D", str(cluster), "-U", "fixwright", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
    made = subprocess.run(
        initdb, user=user, group=group, extra_groups=[] if user else None, env=environment, cwd=folder, capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.fail(f"initdb failed: {made.stderr.decode(errors='replace')}")
    command = [str(binaries / "postgres"), "-D", str(cluster), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    command += ["-c", "max_connections=150", "-c", "autovacuum=off"]
    setpriv = shutil.which("setpriv")
    if setpriv:
        # The server ends with us, also when we are killed.
        command = [setpriv, "--pdeathsig", "INT", "--", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, user=user, group=group, extra_groups=[] if user else None, env=environment, cwd=folder, stdout=output, stderr=output
        )
    server = Postgres(folder, "fixwright", process)
    try:
        _wait_for(server, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server: Postgres, log: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Name of a migrated database that others are copied from: quicker than migrating each."""
    name = "template_of_ours"
    postgres.execute(f"CREATE DATABASE {name}")
    opened = Database.open(postgres.url(name))
    opened.migrate()
    opened.dispose()
    return name


@cache
def _sqlite_template() -> tuple[TemporaryDirectory[str], Path]:
    """A migrated SQLite file of this process, and the folder that goes when the process ends."""
    folder = TemporaryDirectory(prefix="fixwright-template-")
    path = Path(folder.name) / "template.db"
    opened = Database.open(f"sqlite:///{path}")
    opened.migrate()
    opened.compact()
    opened.dispose()
    return folder, path


def migrated_sqlite(database: Database) -> Database:
    """Give an empty SQLite database its schema by copying a file, in an eighth of the time that migrating takes; leave another as it is.

    That migrating an empty file makes this schema is held by `tests/unit/store/test_migrations.py`.
    """
    with database.path.open("r+b") as target:
        if not target.read(1):
            target.write(_sqlite_template()[1].read_bytes())
    return database


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'fixwright.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = _new_name()
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a migrated database of the test's own, once of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state' / 'fixwright.db'}"
        migrated_sqlite(Database.open(url)).dispose()
        yield url
        return
    server: Postgres = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    yield from _migrated_postgres(server, template)


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex}"


def _migrated_postgres(server: Postgres, template: str) -> Iterator[str]:
    """A database that an earlier test left, emptied, or a new one: making and dropping one takes a hundred times as long as emptying it."""
    if not server.spare:
        server.spare.append(_new_name())
        server.execute(f"CREATE DATABASE {server.spare[-1]} TEMPLATE {template}")
    name = server.spare.pop()
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        before = connection.execute(_SHAPE).fetchone()
    yield server.url(name)
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(_ALONE)
        if connection.execute(_SHAPE).fetchone() == before:
            connection.execute(_EMPTY)
            server.spare.append(name)
    if name not in server.spare:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


_ALONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
"""Ends what a test has left connected: it would hold locks."""
_SHAPE = """SELECT (SELECT count(*) || ' ' || max(oid) FROM pg_class), (SELECT count(*) || ' ' || max(oid) FROM pg_constraint),
  (SELECT count(*) FROM pg_attribute), (SELECT count(*) || ' ' || max(oid) FROM pg_trigger), (SELECT version_num FROM alembic_version)"""
"""Whatever changes a table, an index or a constraint changes one of these: such a database is not used again."""
_EMPTY = """DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$"""
"""Delete all rows; in this role PostgreSQL looks at no foreign key."""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, opened."""
    opened = Database.open(database_url)
    yield opened
    opened.dispose()
