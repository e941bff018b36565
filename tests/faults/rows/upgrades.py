"""A migration that is killed, and a restart part by part below load: rows 20 and 49."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from alembic import command
from sqlalchemy import create_engine, delete, func, insert, select, text

from bot.demo.local import free_port
from pipeline.store import migrate
from pipeline.store.columns import database_now
from pipeline.store.engine import Database, parse_url
from pipeline.store.identifiers import new_id
from pipeline.store.tables import outbox
from tests.faults.matrix import Run, fault
from tests.faults.points import Point
from tests.faults.stand import NAMES, Part, Stand

BEFORE = "0002"
"""The schema of the last release: what an operator upgrades from."""
KEPT = 500
"""Deliveries that lie in it."""

CRASHES = {
    "looked": Point("pipeline.store.migrate:current", "return", process="web"),
    "in the first revision": Point("alembic.ddl.impl:DefaultImpl.add_column", "return", process="web"),
    "written, not committed": Point("alembic.command:upgrade", "return", process="web"),
}


def old_database(run: Run) -> str:
    """A database as the release before this one left it, with something in it; its URL."""
    stand = run.stand
    if stand.pair.database == "postgresql":
        assert stand.postgres is not None
        name = f"old_{time.monotonic_ns()}"
        stand.postgres.execute(f"CREATE DATABASE {name}")
        url = stand.postgres.url(name)
    else:
        url = f"sqlite:///{stand.folder / f'old-{time.monotonic_ns()}' / 'fixwright.db'}"
    database = Database.open(url)
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
        row = text(
            "INSERT INTO deliveries (id, provider, instance, delivery_id, name, outcome, received_at, size, body)"
            " VALUES (:id, 'github', '', :id, 'push', 'accepted', 1.0, 1, :body)"
        )
        connection.execute(row, [{"id": f"kept-{number}", "body": b"x"} for number in range(KEPT)])
    engine.dispose()
    database.dispose()
    return url


def schema(url: str) -> tuple[str | None, int]:
    """Revision of a database, and how much of what was in it is there."""
    engine = create_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT count(*) FROM deliveries WHERE delivery_id LIKE 'kept-%'")).scalar_one()
            return migrate.current(connection), int(kept)
    finally:
        engine.dispose()


@fault(20, "a migration is killed in the middle", steps=tuple(CRASHES), names=("database",))
def migration_killed(run: Run) -> None:
    stand, url = run.stand, old_database(run)
    beside = {
        **stand.environment,
        "DATABASE_URL": url,
        "FIXWRIGHT_STATE_DIR": str(stand.folder / f"state-{time.monotonic_ns()}"),
        "FIXWRIGHT_PORT": str(free_port()),
    }
    upgraded = Part("web", beside, stand.folder / "logs" / "upgraded.log")
    struck = run.strike(CRASHES[run.step])
    upgraded.start()
    try:
        struck()
        stand.wait("its death", lambda: not upgraded.alive)
        assert schema(url) == (BEFORE, KEPT), "half a migration was kept"
        stand.orders.clear()
        upgraded.start()
        run.cured()
        stand.wait("the newest schema", lambda: schema(url) == (migrate.newest(), KEPT), 60)
    finally:
        upgraded.kill()
    opened = Database.open(url)
    opened.healthy()
    opened.dispose()


# --- one after another, below load ----------------------------------------------------------------------------------------------------

REQUEUED = 10.0
"""Seconds after SIGTERM within which what a worker held is in other hands, or done."""
UNKNOWN = "do_as_tomorrow"
"""Kind of a message that only a newer version knows."""


@contextmanager
def load(run: Run) -> Iterator[None]:
    """People go on pushing."""
    done = threading.Event()

    def push() -> None:
        while not done.wait(4.0):
            run.lives[run.random.randrange(len(run.lives))].push()

    person = threading.Thread(target=push)
    person.start()
    try:
        yield
    finally:
        done.set()
        person.join()


def of_tomorrow(stand: Stand) -> str:
    """A newer version, which was started first, has written a message that this one does not know; its identity."""
    identifier = new_id()
    now = database_now()
    row = {
        "id": identifier,
        "key": f"{UNKNOWN}:{identifier}",
        "kind": UNKNOWN,
        "body": json.dumps({"kind": UNKNOWN}),
        "priority": 1,
        "group": "",
        "status": "pending",
        "created_at": now,
        "due_at": now,
        "publish_at": now,
    }
    with stand.database.work() as work:
        work.transaction.execute(insert(outbox).values(row))
    return identifier


@fault(49, "every process is stopped and started again, one after another, below load", quick=())
def rolling_restart(run: Run) -> None:
    stand, begun = run.stand, run.stand.database.now()
    for _ in range(2):
        run.begin()
    newer = of_tomorrow(stand)
    try:
        with load(run):
            for name in NAMES:
                part = stand.parts[name]
                held = stand.held_by(part.pid)
                part.send(signal.SIGTERM)
                stand.wait(f"rest of {name}", partial(_let_go, stand, held, part.pid), REQUEUED)
                ended = part.stop()
                assert ended in (0, -signal.SIGTERM), f"{name} ended with {ended}"
                assert not stand.held_by(part.pid), f"{name} ended and holds messages"
                stand.start(name)
        _redeliver(stand)
        run.cured()
        run.more.append(lambda: _crashed(stand, begun))
        stand.wait("somebody who looks at it", lambda: _row(stand, newer)[1] > 0)
        status, _, said = _row(stand, newer)
        assert (status, said) == ("pending", "MESSAGE_UNREADABLE"), f"a message of a newer version is {status} {said}"
    finally:
        with stand.database.work() as work:
            work.transaction.execute(delete(outbox).where(outbox.c.id == newer))


def _row(stand: Stand, identifier: str) -> tuple[str, int, str]:
    with stand.database.read() as work:
        found = work.transaction.execute(select(outbox).where(outbox.c.id == identifier)).one()
        return found.status, found.attempts, found.error_code


def _let_go(stand: Stand, held: set[tuple[str, int]], worker: int) -> bool:
    return not held & stand.held_by(worker)


def _crashed(stand: Stand, begun: float) -> list[str]:
    """A stop is no crash."""
    with stand.database.read() as work:
        crashes = select(func.max(outbox.c.crashes)).where(outbox.c.created_at >= begun)
        count = work.transaction.execute(crashes).scalar_one()
    return [f"{count} crashes of one message"] if count else []


def _redeliver(stand: Stand) -> None:
    """What came while no web process ran: the host delivers it again, as somebody or something asks it to."""
    stand.world.hooks.wait()
    for one in stand.world.hooks.deliveries:
        if one.attempts and one.attempts[-1].status != 202:
            assert stand.world.hooks.redeliver(one.id) == 202
