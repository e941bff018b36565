"""What commands have in common that touch the store: settings, logs, the queue, the schema."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bot.embedded import address, open_queue
from bot.logs import configure_logs
from bot.settings import Settings, read_settings
from bot.statefolder import check_state_dir, make_state_dir
from bot.wiring import App, wire
from pipeline.errors import NotConfigured


def set_apart(event: threading.Event) -> None:
    """Set an event from a signal handler. Not in its own thread: the handler runs between any two steps of the main thread, also while that
    one has the event's lock to begin waiting for it, and it cannot be taken twice."""
    threading.Thread(target=event.set, daemon=True).start()


def until_told() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on; for the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: set_apart(stop))
    return stop


@contextmanager
def opened() -> Iterator[App]:
    """A wired application with its queue answering and its schema up to date.

    Raises:
        NotConfigured, QueueUnavailable, StoreUnavailable: with the setting that is wrong.
    """
    settings = read_settings()
    configure_logs(settings)
    queue = open_queue(settings)
    try:
        app = wire(settings, queue.url)
        app.database.migrate()
        with app.database.work() as work:
            work.organizations.settle(one_each=settings.organization_per_installation)
        try:
            yield app
        finally:
            app.database.dispose()
    finally:
        if queue.service is not None:
            queue.service.stop()


@contextmanager
def alone(settings: Settings) -> Iterator[App]:
    """A wired application that works its messages itself: no queue, no other process.

    Raises:
        NotConfigured, StoreUnavailable, SchemaTooNew: with the setting that is wrong.
    """
    app = wire(settings, "")
    try:
        app.database.migrate()
        yield app
    finally:
        app.database.dispose()


@contextmanager
def stored(*, first: bool = False) -> Iterator[App]:
    """A wired application for a look at the store, or a change of it, beside the running processes. No queue is started: a message
    that is sent wakes a worker when there is one, and waits otherwise.

    Args:
        first: the command may be the first one of an installation: where there is no database it is made.

    Raises:
        NotConfigured, StoreUnavailable, SchemaTooNew: with the setting that is wrong.
        NotConfigured: there is no database, or an empty one. It is another one than the processes have, then: nobody would see what is
            changed in it, and "nothing is there" would be said of the wrong one.
    """
    settings = read_settings()
    if not first:
        _ensure_begun(settings)
    make_state_dir(settings.state_dir)
    (settings.state_dir / "valkey").mkdir(exist_ok=True, mode=0o700)
    app = wire(settings, address(settings))
    try:
        if not first and not app.database.schema():
            raise _no_database(settings)
        app.database.migrate()
        yield app
    finally:
        app.database.dispose()


@contextmanager
def looked_at() -> Iterator[App]:
    """A wired application that only looks: nothing is migrated, started or sent, whatever state everything is in.

    Raises:
        NotConfigured: with the setting that is wrong; there is no database.
    """
    settings = read_settings()
    _ensure_begun(settings)
    app = wire(settings, address(settings))
    try:
        yield app
    finally:
        app.database.dispose()


def _ensure_begun(settings: Settings) -> None:
    """Before anything is made in a folder that may be the wrong one. Raises NotConfigured."""
    check_state_dir(settings.state_dir)
    if not settings.own_database and not settings.database_file.exists():
        raise _no_database(settings)


def _no_database(settings: Settings) -> NotConfigured:
    if settings.own_database:
        return NotConfigured(
            "the database of DATABASE_URL is empty", hint="is it the one that the running processes have? `fixwright up` fills it"
        )
    return NotConfigured(
        f"there is no database in the state folder {settings.state_dir}",
        hint="set FIXWRIGHT_STATE_DIR, and be the user, as the running processes have it; `fixwright up` makes a new one",
    )
