"""A database that is locked, full, gone, cut off or read-only: rows 17 to 19."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import make_url, select

from pipeline.store.tables import deliveries
from tests.faults.hosts import Delivery
from tests.faults.matrix import NotChecked, Run, fault
from tests.faults.stand import NAMES, Stand

DELIVERED = "deliveries, outbox"
"""The tables that a delivery is written to."""


# --- what the host was told -----------------------------------------------------------------------------------------------------------


class Told:
    """Deliveries since a moment, and what was answered."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        stand.hooks.wait()
        self._before = len(stand.hooks.deliveries)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """All since then."""
        return self._stand.hooks.deliveries[self._before :]

    def answers(self) -> list[int]:
        """To the first attempts."""
        self._stand.hooks.wait()
        return [one.attempts[0].status for one in self.deliveries]

    def deliver_refused(self) -> None:
        """The host delivers again what was not taken, as somebody or something asked it to."""
        for identity in [one.id for one in self.deliveries if one.attempts[-1].status != 202]:
            self._stand.wait("a delivery that is taken", partial(self._taken, identity), 20)

    def _taken(self, identity: str) -> bool:
        return self._stand.hooks.redeliver(identity) == 202

    def lost(self) -> list[str]:
        """What was acknowledged and is not there. Raises StoreError."""
        with self._stand.database.read() as work:
            there = set(work.transaction.execute(select(deliveries.c.delivery_id)).scalars())
        taken = [one for one in self.deliveries if any(200 <= attempt.status < 300 for attempt in one.attempts)]
        return [f"{one.event} {one.id} was acknowledged and is not there" for one in taken if one.id not in there]


# --- locked ---------------------------------------------------------------------------------------------------------------------------


@contextmanager
def locked(stand: Stand) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    if stand.pair.database == "sqlite":
        with closing(sqlite3.connect(stand.folder / "state" / "fixwright.db", timeout=20, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(stand.database_url) as server:
        server.execute(f"LOCK TABLE {DELIVERED} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        server.rollback()


@fault(17, "the database is locked by another writer", steps=("10 s", "60 s"), quick=("10 s",), names=("database",))
def lock(run: Run) -> None:
    stand, seconds = run.stand, float(run.step.split()[0])
    stand.engine.hold()
    first = run.begin()  # in the middle of its scan
    stand.wait("an engine at work", stand.engine.at_work)
    told = Told(stand)
    with locked(stand):
        begun = time.monotonic()
        run.begin()
        answers = told.answers()
        assert set(answers) <= {202, 503}, f"it was answered {answers}"
        if seconds > 10:
            assert 202 not in answers, "it was acknowledged without a place to keep it"
        stand.engine.release()
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    run.cured()
    told.deliver_refused()
    run.more.append(told.lost)
    run.more.append(lambda: [] if len(first.checks) == 1 else ["the scan in the middle has no check"])


# --- full -----------------------------------------------------------------------------------------------------------------------------

NOTICED = 4.0
"""Seconds after which the web process has seen that there is no room."""
SMALL = 64
"""Megabytes of the disk."""
LIMITS = {
    # The guards that an operator has by default, made as small as the disk is.
    "guarded": {"FIXWRIGHT_INTAKE_FREE_MB": "4", "FIXWRIGHT_MIN_FREE_MB": "8"},
    # Without them: what SQLite, git and the engines themselves say to a full disk.
    "unguarded": {"FIXWRIGHT_INTAKE_FREE_MB": "0", "FIXWRIGHT_MIN_FREE_MB": "0"},
}


def _mount(folder: Path) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}m,mode=700", "none", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        raise NotChecked(f"a small disk cannot be mounted here: {done.stderr.decode(errors='replace').strip()}")


@contextmanager
def small_disk(run: Run, more: dict[str, str]) -> Iterator[Path]:
    """The state folder lies on a disk of its own; the folder of that disk."""
    stand, state = run.stand, run.stand.folder / "state"
    beside = stand.folder / "beside"
    stand.quiet()
    for name in NAMES:
        stand.parts[name].stop()
    stand.close_database()
    beside.mkdir(mode=0o700)
    _copy(state, beside)
    try:
        _mount(state)
        try:
            _copy(beside, state)
            stand.start(more=more)
            yield state
            _stop_all(stand)
            _copy(state, beside)
        finally:
            _stop_all(stand)
            subprocess.run(["umount", str(state)], check=True)
            _copy(beside, state)
    finally:
        shutil.rmtree(beside)
        stand.start()


def _copy(source: Path, target: Path) -> None:
    """Make one folder's content the other's."""
    for old in target.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def _stop_all(stand: Stand) -> None:
    stand.close_database()
    for name in NAMES:
        if stand.parts[name].alive:
            stand.parts[name].stop()


def fill(folder: Path) -> Path:
    """Write until there is no room; the file."""
    path = folder / "everything else"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def whole(stand: Stand) -> list[str]:
    """What SQLite finds wrong with its file."""
    if stand.pair.database != "sqlite":
        return []
    with closing(sqlite3.connect(stand.folder / "state" / "fixwright.db")) as file:
        (said,) = file.execute("PRAGMA integrity_check").fetchone()
    return [] if said == "ok" else [f"the database file: {said}"]


@fault(18, "the disk is full", steps=tuple(LIMITS), quick=("guarded",), names=("database",))
def full(run: Run) -> None:
    stand = run.stand
    with small_disk(run, LIMITS[run.step]) as disk:
        told = Told(stand)
        everything = fill(disk)
        if run.step == "guarded":
            time.sleep(NOTICED)
        life = run.begin()
        answers = told.answers()
        if stand.pair.database == "sqlite" or run.step == "guarded":
            assert 202 not in answers, f"it was answered {answers}"
        assert set(answers) <= {202, 503}, f"it was answered {answers}"
        time.sleep(5)  # whoever looks, looks at a full disk
        assert not life.finished, "it was judged without room"
        everything.unlink()
        run.cured()
        told.deliver_refused()
        run.well()
        recovery = time.monotonic() - run.since
        assert not told.lost(), told.lost()
        assert not whole(stand), whole(stand)
    run.cured(time.monotonic() - recovery)  # starting everything on the old disk again is no part of it


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------------------

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _cut(stand: Stand) -> None:
    with psycopg.connect(stand.database_url, autocommit=True) as server:
        server.execute(CUT.encode())


def cut_often(run: Run) -> None:
    """Connections are cut again and again while two changes are worked."""
    for _ in range(12):
        _cut(run.stand)
        time.sleep(run.random.uniform(0.2, 1.0))


def crash(run: Run) -> None:
    """One process of the server is killed: the server throws all others out and recovers from its log."""
    time.sleep(run.random.uniform(0.5, 3.0))
    with psycopg.connect(run.stand.database_url, autocommit=True) as server:
        found = server.execute(
            b"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    os.kill(found[0], signal.SIGKILL)


def read_only(run: Run) -> None:
    """As after a switch to a copy that may not write yet."""
    stand = run.stand
    assert stand.postgres is not None
    name = make_url(stand.database_url).database
    time.sleep(run.random.uniform(0.5, 3.0))
    stand.postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        _cut(stand)
        told = Told(stand)
        run.begin()
        assert set(told.answers()) == {503}, f"it was answered {told.answers()}"
        time.sleep(5)
    finally:
        stand.postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        _cut(stand)


FAILS: dict[str, Callable[[Run], None]] = {"connections cut": cut_often, "crash and recovery": crash, "read-only": read_only}


@fault(19, "PostgreSQL crashes, cuts connections, is read-only", steps=tuple(FAILS), names=("database",))
def postgres_fails(run: Run) -> None:
    stand = run.stand
    if stand.pair.database != "postgresql":
        raise NotChecked("SQLite has no server that could fail")
    told = Told(stand)
    run.begin_all()
    FAILS[run.step](run)
    stand.close_database()
    run.cured()
    told.answers()
    told.deliver_refused()
    run.more.append(told.lost)
