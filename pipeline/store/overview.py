"""How an installation stands, in numbers: for `/metrics` and `fixwright status`. Every question is answered from an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from pipeline.messages import BATCH, COMMAND, INTERACTIVE, NORMAL
from pipeline.store.columns import database_now
from pipeline.store.deliveries import CLAIMED
from pipeline.store.tables import deliveries, installations, outbox, repositories
from pipeline.store.transaction import Transaction

PRIORITIES = {COMMAND: "command", INTERACTIVE: "interactive", NORMAL: "normal", BATCH: "batch"}
"""Names of priorities, for people and labels."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The due messages of one priority."""

    priority: str
    count: int
    oldest_seconds: float
    """How long the longest of them has been due; 0.0 when there is none."""
    later: int
    """Messages that are not due yet: another try, a purge, a scan that is spread out."""


@dataclass(frozen=True, slots=True)
class Running:
    """A message in the hands of a worker."""

    id: str
    kind: str
    owner: str
    """`host:pid-birth` of the worker."""
    attempt: int
    lease_seconds: float
    """Until its lease ends; negative when it has, and the sweep has not seen it yet."""
    age_seconds: float = 0.0
    """Since it was sent."""


@dataclass(frozen=True, slots=True)
class Retried:
    """Messages that are not done for one reason and wait for another try."""

    code: str
    """Of the last failure; empty for those that wait for a host that asked for it."""
    host: str
    """The host that does not answer, for which they wait; empty when it is not that."""
    count: int


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """The newest delivery."""

    provider: str
    name: str
    seconds: float
    """Since it arrived."""


class Overview:
    """Questions about the whole. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def waiting(self) -> list[Waiting]:
        """The backlog, by priority."""
        return [self._waiting(priority) for priority in PRIORITIES]

    def running(self) -> list[Running]:
        """What is worked on right now, the least lease first."""
        left, age = (outbox.c.lease_until - database_now()).label("left"), (database_now() - outbox.c.created_at).label("age")
        columns = (outbox.c.id, outbox.c.kind, outbox.c.owner, outbox.c.attempts, left, age)
        statement = select(*columns).where(outbox.c.status == "running").order_by(outbox.c.lease_until, outbox.c.id)
        rows = self._transaction.execute(statement)
        return [Running(row.id, row.kind, row.owner, row.attempts, row.left, max(0.0, row.age)) for row in rows]

    def retried(self) -> list[Retried]:
        """Why messages are tried again, the most frequent cause first."""
        columns = (outbox.c.error_code, outbox.c.waits_for, func.count().label("number"))
        failed = and_(outbox.c.status == "pending", or_(outbox.c.error_code != "", outbox.c.waits_for != ""))
        statement = select(*columns).where(failed).group_by(outbox.c.error_code, outbox.c.waits_for)
        rows = self._transaction.execute(statement.order_by(func.count().desc(), outbox.c.error_code).limit(10))
        return [Retried(row.error_code, row.waits_for, row.number) for row in rows]

    def dead(self) -> int:
        """How many messages were given up."""
        statement = select(func.count()).select_from(outbox).where(outbox.c.status == "dead")
        return int(self._transaction.execute(statement).scalar_one())

    def installations(self) -> dict[str, int]:
        """Installations by state."""
        return self._by_state(select(installations.c.state, func.count().label("number")).group_by(installations.c.state))

    def repositories(self) -> dict[str, int]:
        """Repositories by state."""
        return self._by_state(select(repositories.c.state, func.count().label("number")).group_by(repositories.c.state))

    def last_delivery(self) -> LastDelivery | None:
        """The newest delivery that was kept; None before the first one, and a week after the last."""
        columns = (deliveries.c.provider, deliveries.c.name, (database_now() - deliveries.c.received_at).label("seconds"))
        row = self._transaction.execute(
            select(*columns).where(deliveries.c.outcome != CLAIMED).order_by(deliveries.c.received_at.desc()).limit(1)
        ).one_or_none()
        return None if row is None else LastDelivery(row.provider, row.name, max(0.0, row.seconds))

    def _waiting(self, priority: int) -> Waiting:
        mine = (outbox.c.status == "pending", outbox.c.priority == priority)
        due = (*mine, outbox.c.due_at <= database_now())
        columns = (func.count().label("number"), (database_now() - func.min(outbox.c.due_at)).label("oldest"))
        row = self._transaction.execute(select(*columns).select_from(outbox).where(*due)).one()
        later = self._transaction.execute(
            select(func.count()).select_from(outbox).where(*mine, outbox.c.due_at > database_now())
        ).scalar_one()
        return Waiting(PRIORITIES[priority], row.number, max(0.0, row.oldest or 0.0), int(later))

    def _by_state(self, statement: Select[Any]) -> dict[str, int]:
        return {row.state: row.number for row in self._transaction.execute(statement)}
