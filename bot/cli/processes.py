"""What web, worker and relay have in common: settings, logs, the queue, the schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.embedded import open_queue
from bot.logs import configure_logs
from bot.settings import read_settings
from bot.wiring import App, wire


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
        try:
            yield app
        finally:
            app.database.dispose()
    finally:
        if queue.service is not None:
            queue.service.stop()
