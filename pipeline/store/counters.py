"""Numbers of all processes together: what each counted (`pipeline.tally`) is added here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select

from pipeline.store.columns import database_now
from pipeline.store.tables import counters
from pipeline.store.transaction import Transaction
from pipeline.tally import Key

GAUGE_SECONDS = 3600.0
"""A gauge that nobody has set for so long says nothing any more."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One number."""

    name: str
    labels: Mapping[str, str]
    value: float


class Counters:
    """Counters and gauges. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, sums: Mapping[Key, float], latest: Mapping[Key, float]) -> None:
        """Add to counters, and set gauges. Sorted, so that two processes lock the rows in the same order."""
        for (name, labels), amount in sorted(sums.items()):
            row = {"name": name, "labels": labels, "value": amount, "updated_at": database_now()}
            statement = self._transaction.insert(counters).values(row)
            newer = {"value": counters.c.value + statement.excluded.value, "updated_at": statement.excluded.updated_at}
            self._transaction.execute(statement.on_conflict_do_update(index_elements=["name", "labels"], set_=newer))
        rows = [
            {"name": name, "labels": labels, "value": value, "updated_at": database_now()}
            for (name, labels), value in sorted(latest.items())
        ]
        self._transaction.upsert(counters, rows, ["name", "labels"], ["value", "updated_at"])

    def all(self) -> list[Counter]:
        """Every number, sorted by name and labels."""
        statement = select(counters.c.name, counters.c.labels, counters.c.value).order_by(counters.c.name, counters.c.labels)
        return [Counter(row.name, json.loads(row.labels), row.value) for row in self._transaction.execute(statement)]

    def forget_gauges(self, names: tuple[str, ...], *, older_than: float = GAUGE_SECONDS) -> int:
        """Delete gauges of these names that nobody has set for so many seconds; how many."""
        old = counters.c.updated_at < database_now() - older_than
        return self._transaction.changed(delete(counters).where(counters.c.name.in_(names), old))
