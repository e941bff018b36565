"""Webhook deliveries: which were seen, and how many of what kind. They are written by `pipeline.store.intake`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sqlalchemy import Select, delete, select, update

from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import deliveries, delivery_counts
from pipeline.store.transaction import Transaction

BODY_SECONDS = 86_400.0
"""Bodies are kept for a day, to look into what went wrong."""

CLAIMED = "claimed"
"""Outcome in a row that is no delivery: a command that was done."""

KIND = "deliveries"
"""What bodies are sealed for."""

ROW_SECONDS = 7 * 86_400.0
"""Ids are kept for a week: hosts deliver again for three days (GitHub, "Redelivering webhooks")."""

COMMAND_SECONDS = ROW_SECONDS - 86_400.0
"""A command that was written longer ago is not begun: that it was done may be forgotten by now, so that whoever delivers it once more would
have it done twice. A day less than ids are kept, as the clocks of a host and of the database differ."""

AHEAD_SECONDS = ROW_SECONDS - COMMAND_SECONDS
"""A command that was written so much later than now is not begun either: its host lets somebody date it as he likes (GitLab: an owner, docs
"Notes API", `created_at`), and it would still count when it is forgotten that it was done."""


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """How many deliveries of one event name ended in one way, since the database was made."""

    provider: str
    name: str
    outcome: str
    count: int


class Deliveries:
    """Deliveries. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def seen(self, provider: str, instance: str, delivery_id: str) -> bool:
        """True when this delivery was acknowledged before."""
        return self._transaction.execute(_which(provider, instance, delivery_id)).one_or_none() is not None

    def body(self, provider: str, instance: str, delivery_id: str) -> bytes | None:
        """What was delivered; None when it is unknown or no longer kept."""
        stored = self._transaction.execute(_which(provider, instance, delivery_id)).scalar_one_or_none()
        packed = None if stored is None else self._transaction.vault.open(KIND, stored)
        return None if packed is None else zlib.decompress(packed)

    def claim_command(self, provider: str, instance: str, identity: str) -> bool:
        """True for the first who asks with this identity of a command, in a transaction that is kept: several deliveries may tell of one.
        Remembered as long as deliveries are (see `COMMAND_SECONDS`). No delivery has such an id: hosts' ids have no `#`."""
        row = {
            "id": new_id(),
            "provider": provider,
            "instance": instance,
            "delivery_id": f"command#{identity}",
            "name": "command",
            "outcome": CLAIMED,
            "received_at": database_now(),
            "size": 0,
            "body": None,
        }
        return self._transaction.add_missing(deliveries, [row], ["provider", "instance", "delivery_id"]) == 1

    def count(self, provider: str, name: str, outcome: str, number: int = 1) -> None:
        """Add to a counter."""
        statement = self._transaction.insert(delivery_counts).values(provider=provider, name=name, outcome=outcome, count=number)
        total = delivery_counts.c.count + statement.excluded.count
        self._transaction.execute(statement.on_conflict_do_update(index_elements=["provider", "name", "outcome"], set_={"count": total}))

    def counts(self) -> list[DeliveryCount]:
        """All counters, sorted."""
        columns = (delivery_counts.c.provider, delivery_counts.c.name, delivery_counts.c.outcome, delivery_counts.c.count.label("number"))
        return [
            DeliveryCount(row.provider, row.name, row.outcome, row.number)
            for row in self._transaction.execute(select(*columns).order_by(*columns))
        ]

    def purge(self, *, body_seconds: float = BODY_SECONDS, row_seconds: float = ROW_SECONDS) -> int:
        """Forget old bodies and very old rows; how many rows were changed or deleted."""
        old = deliveries.c.received_at < database_now() - body_seconds
        dropped = self._transaction.changed(update(deliveries).where(old, deliveries.c.body.is_not(None)).values(body=None))
        return dropped + self._transaction.changed(delete(deliveries).where(deliveries.c.received_at < database_now() - row_seconds))


def _which(provider: str, instance: str, delivery_id: str) -> Select[tuple[bytes | None]]:
    return select(deliveries.c.body).where(
        deliveries.c.provider == provider, deliveries.c.instance == instance, deliveries.c.delivery_id == delivery_id
    )
