"""The outbox as people see it who look after what was given up: dead letters are shown, tried again, or forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, TypeAdapter
from sqlalchemy import Row, delete, select, update

from pipeline.messages import Message
from pipeline.model.ids import MessageId
from pipeline.store.codec import Codec, Unreadable
from pipeline.store.columns import database_now
from pipeline.store.tables import outbox
from pipeline.store.transaction import Transaction

MESSAGE: Codec[Message] = Codec(TypeAdapter(Annotated[Message, Discriminator("kind")]))


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that was given up. `message` is None when this version cannot read it."""

    id: MessageId
    key: str
    group: str
    kind: str
    message: Message | None
    error_code: str
    attempts: int
    crashes: int
    delivery_id: str = ""
    finished_at: float = 0.0
    """When it was given up."""


class Letters:
    """Messages that were given up."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def dead(self, limit: int) -> list[DeadMessage]:
        """Messages that were given up, the latest first."""
        statement = select(outbox).where(outbox.c.status == "dead").order_by(outbox.c.finished_at.desc(), outbox.c.id).limit(limit)
        return [dead_message(row) for row in self._transaction.execute(statement)]

    def dead_ids(self) -> list[MessageId]:
        """All messages that were given up, the oldest first, however many."""
        statement = select(outbox.c.id).where(outbox.c.status == "dead").order_by(outbox.c.finished_at, outbox.c.id)
        return [MessageId(found) for found in self._transaction.execute(statement).scalars()]

    def letter(self, message_id: MessageId) -> DeadMessage | None:
        """A message that was given up; None when it is not dead."""
        row = self._transaction.execute(select(outbox).where(outbox.c.id == message_id, outbox.c.status == "dead")).one_or_none()
        return None if row is None else dead_message(row)

    def revive(self, message_id: MessageId) -> bool:
        """Try a dead message again, with its counters at zero. False when it is not dead."""
        values = {"attempts": 0, "crashes": 0, "error_code": "", "finished_at": None, **free_in(0.0)}
        revived = self._transaction.changed(update(outbox).where(outbox.c.id == message_id, outbox.c.status == "dead").values(values)) == 1
        self._transaction.sent |= revived
        return revived

    def bury(self, message_id: MessageId) -> bool:
        """Forget a dead message. False when it is not dead."""
        return self._transaction.changed(delete(outbox).where(outbox.c.id == message_id, outbox.c.status == "dead")) == 1


def free_in(seconds: float) -> dict[str, Any]:
    """The values of a message that nobody holds and that is due after so many seconds."""
    due = database_now() + seconds
    return {"status": "pending", "owner": "", "lease_until": None, "due_at": due, "publish_at": due, "publishes": 0}


def dead_message(row: Row[Any]) -> DeadMessage:
    """A row of the outbox as people see it who look at what was given up."""
    try:
        message = MESSAGE.load(row.body)
    except Unreadable:
        message = None
    moments = (row.delivery_id, row.finished_at or 0.0)
    return DeadMessage(MessageId(row.id), row.key, row.group, row.kind, message, row.error_code, row.attempts, row.crashes, *moments)
