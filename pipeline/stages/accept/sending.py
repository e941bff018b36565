"""What every part of accepting needs: messages that follow from a delivery."""

from __future__ import annotations

from pipeline.messages import NORMAL, Envelope, Message
from pipeline.store.work import Work


def send(work: Work, message: Message, key: str, *, priority: int = NORMAL, group: str = "", hold: float = 0.0) -> None:
    """Put a message into the outbox of this transaction; the same key twice is once."""
    work.outbox.send(Envelope(message, key, priority=priority, group=group, hold=hold))
