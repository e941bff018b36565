"""Which processes run: each says so every few seconds, and is believed for a little longer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from pipeline.store.columns import database_now
from pipeline.store.tables import processes
from pipeline.store.transaction import Transaction

HEARTBEAT_SECONDS = 5.0
"""How often a process says that it lives; a worker that waits for work says it every 10 s."""

ALIVE_SECONDS = 30.0
"""How long it is believed."""

_KEEP_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this installation."""

    id: str
    """`host:pid-birth`."""
    kind: str
    """web, relay or worker."""
    alive: bool
    silent_seconds: float
    """Since it was heard of."""
    seconds: float
    """Since it started."""


class Processes:
    """Processes. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def beat(self, identifier: str, kind: str) -> None:
        """This process lives."""
        row = {"id": identifier, "kind": kind, "started_at": database_now(), "seen_at": database_now()}
        self._transaction.upsert(processes, [row], ["id"], ["kind", "seen_at"])

    def ended(self, identifier: str) -> None:
        """This process ends as it was asked to."""
        self._transaction.changed(delete(processes).where(processes.c.id == identifier))

    def all(self) -> list[Process]:
        """Everybody who was heard of within a day, sorted by kind and name."""
        statement = select(processes, database_now().label("now")).order_by(processes.c.kind, processes.c.id)
        return [
            Process(row.id, row.kind, row.now - row.seen_at <= ALIVE_SECONDS, max(0.0, row.now - row.seen_at), row.now - row.started_at)
            for row in self._transaction.execute(statement)
        ]

    def forget_all(self) -> None:
        """None of them runs any more: this is another machine, or another day."""
        self._transaction.changed(delete(processes))

    def forget(self) -> int:
        """Delete who has been silent for a day; how many."""
        return self._transaction.changed(delete(processes).where(processes.c.seen_at < database_now() - _KEEP_SECONDS))
