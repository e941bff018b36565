"""Working without workers: this process does what is due, one message after the other, until nothing is."""

from __future__ import annotations

import math
import threading
import time

from bot.duties import duties
from bot.jobs import PROBE_SECONDS, Relay, Rota
from bot.wiring import App
from bot.worker import work_message
from pipeline.messages import BATCH

PATIENCE = 120.0
"""Seconds that somebody who waits for the end waits for what is due later: another try, or a host that asked us to wait."""
STEP = 0.5
"""Seconds between two looks while something is due soon."""


class Alone:
    """Relay, worker and duties of a small installation in one thread."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._relay = Relay(app.database, app.jobs, probe_seconds=min(PROBE_SECONDS, app.settings.retry_cap))
        self._rota = Rota(duties(app, listens=False), math.inf)

    def work_due(self, stop: threading.Event) -> int:
        """Work until nothing is due or `stop` is set; how many messages that were. Raises Stopping."""
        done = 0
        self._relay.sweep()
        for probe in self._relay.probes():
            work_message(self._app, probe.message_id, early=True)
        while not stop.is_set():
            with self._app.database.read() as work:
                due = work.outbox.publishable(1)
            if not due:
                return done
            with self._app.database.work() as work:
                work.outbox.mark_published([due[0].message_id])
            work_message(self._app, due[0].message_id)
            done += 1
        return done

    def work_off(self, stop: threading.Event) -> None:
        """Work until nothing is due and nothing will be soon, but for what nobody waits for. Raises Stopping."""
        deadline = time.monotonic() + PATIENCE
        while not stop.is_set():
            if self.work_due(stop):
                deadline = time.monotonic() + PATIENCE
            with self._app.database.read() as work:
                seconds = work.outbox.due_in(BATCH)
            if seconds is None or time.monotonic() + seconds > deadline:
                return
            stop.wait(min(seconds, STEP) or 0.01)

    def do_duties(self) -> None:
        """Those that are due; see `Rota`."""
        self._rota.do_due()
