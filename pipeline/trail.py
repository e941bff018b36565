"""Which delivery the work of this moment goes back to: one id from the web process to the last line of a worker's log.

A message inherits it from the message that sent it (`pipeline.store.outbox`), and every line of a log carries it (`bot.logs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trail:
    """Where work comes from."""

    delivery_id: str = ""
    """The host's id of the delivery; empty for work that no delivery caused (a schedule, a command of the operator)."""
    begun_at: float | None = None
    """When that delivery arrived: seconds since 1970 by the clock of the database."""
    message_id: str = ""
    """The message that is worked right now."""
    review_id: str = ""
    """Its review, when it has one."""
    tenant: str = ""
    repository: str = ""
    """Whose work it is, and on which repository: see `pipeline.store.belongs`."""


_CURRENT: ContextVar[Trail] = ContextVar("trail", default=Trail())  # noqa: B039  # frozen


def current() -> Trail:
    """The trail of this thread (or task); an empty one outside of any work."""
    return _CURRENT.get()


@contextmanager
def following(trail: Trail) -> Iterator[None]:
    """What happens in the block belongs to this trail."""
    token = _CURRENT.set(trail)
    try:
        yield
    finally:
        _CURRENT.reset(token)
