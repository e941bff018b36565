"""Which messages workers are woken for next: the urgent first, then in turns by tenant, then by age.

The queue is a list and hands out what came first. So that the order decided here is what workers see, only a few messages lie in it at
a time (`ahead`); the rest waits in the outbox, where it can still be overtaken.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, literal_column, or_, select

from pipeline.messages import BATCH, COMMAND, INTERACTIVE, NORMAL
from pipeline.model.ids import MessageId
from pipeline.store.columns import database_now
from pipeline.store.tables import outbox
from pipeline.store.transaction import Transaction

PRIORITIES: Final = (COMMAND, INTERACTIVE, NORMAL, BATCH)

SCAN: Final = "run_scan"
"""Kind of the messages of which one repository may have only so many in work."""

RELEASE_SECONDS: Final = 1.0
"""Between an answer and what it releases, and between a failure and a try before the message is due: the call that failed a moment ago is
not made again at once."""

MEMORY: Final = 10_000
"""Tenants whose last turn is remembered. Of more, those whose turn is longest ago are forgotten, and come as early as they would."""

LOOK: Final = 1_000
"""Messages of one tenant that are looked at for one that may go: what waits behind so many scans of busy repositories waits, too."""

# Literals, so that both databases see that a partial index holds all rows that are asked for.
_pending: Final = outbox.c.status == literal_column("'pending'")
_new: Final = and_(_pending, outbox.c.publishes == literal_column("0"))
_told: Final = and_(_pending, outbox.c.publishes > literal_column("0"))
_running: Final = outbox.c.status == literal_column("'running'")


def waits_for_host() -> ColumnElement[bool]:
    """What waits for a host and may be tried before it is due: it did not fail a moment ago. The clock may have been set back since, so
    that a failure in the future is an old one."""
    failed = outbox.c.lease_until
    settled = or_(failed.is_(None), failed <= database_now() - RELEASE_SECONDS, failed > database_now())
    return and_(outbox.c.waits_for != "", settled)


@dataclass(frozen=True, slots=True)
class Published:
    """A message that a worker should be woken for."""

    message_id: MessageId
    priority: int
    again: bool = False
    """True when a worker was woken for it before, and nobody came: it may still lie in the queue."""
    early: bool = False
    """True when it is not due and is tried all the same: perhaps the host that it waits for answers again."""


@dataclass(frozen=True, slots=True)
class Round:
    """What to publish now. `more`: something that is due had to wait for its turn, so that it is worth looking again soon."""

    messages: Sequence[Published]
    more: bool


@dataclass
class Turns:
    """Who had a turn when. One relay's memory; after a restart everybody begins anew, in the order of age."""

    _last: OrderedDict[tuple[int, str], int] = field(default_factory=OrderedDict)
    _count: int = 0

    def order(self, priority: int, tenants: Sequence[tuple[str, float]]) -> list[str]:
        """Tenants, each with the age of its oldest message as a moment: who has waited longest for a turn comes first."""
        return [name for name, _ in sorted(tenants, key=lambda one: (self._last.get((priority, one[0]), 0), one[1], one[0]))]

    def took(self, priority: int, tenant: str) -> None:
        """This tenant had a turn now."""
        self._count += 1
        self._last[(priority, tenant)] = self._count
        self._last.move_to_end((priority, tenant))
        if len(self._last) > MEMORY:
            self._last.popitem(last=False)


class Publishing:
    """The relay's questions to the outbox. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def waiting(self, most: int) -> int:
        """How many messages wait, due or not; counts no further than `most`."""
        # No column: the index alone answers, which takes a tenth of the time.
        some = select(literal_column("1")).select_from(outbox).where(_pending).limit(most).subquery()
        return int(self._transaction.execute(select(func.count()).select_from(some)).scalar_one())

    def is_overtaken(self, priority: int) -> bool:
        """Whether something waits for a worker, due now, that is more urgent than this priority."""
        urgent = select(outbox.c.id).where(_pending, outbox.c.priority < priority, outbox.c.due_at <= database_now()).limit(1)
        return self._transaction.execute(urgent).one_or_none() is not None

    def next(self, turns: Turns, *, ahead: int, scans: int) -> Round:
        """Messages for which a worker should be woken now, in the order in which they should be worked; call `mark_published` after.

        Args:
            turns: the relay's memory, which is changed.
            ahead: how many messages of one priority may lie in the queue.
            scans: how many scans of one repository may run or lie in the queue; one of a more urgent priority does not count those of
                less urgent ones.
        """
        chosen: list[Published] = []
        busy, more = self._running_scans(), False
        for priority in PRIORITIES:
            lying = self._lying(priority)
            chosen += [Published(MessageId(row.id), priority, again=True) for row in lying if row.due]
            busy.update((row.repository, priority) for row in lying if row.kind == SCAN and row.repository)
            found, left = self._fair(turns, priority, ahead - len(lying), _Busy(busy, priority, scans))
            chosen += found
            more |= left
        return Round(chosen, more)

    def probes(self) -> list[Published]:
        """For each host that did not answer one of the messages that wait for it: with that it is found out whether it answers now.

        Any of them, so that one for which the host never has an answer does not keep the others waiting; but of those that failed this
        very moment none.
        """
        waiting = (_pending, waits_for_host(), outbox.c.due_at > database_now())
        rows = self._transaction.execute(select(outbox.c.id, outbox.c.priority, outbox.c.waits_for).where(*waiting).limit(MEMORY))
        hosts: dict[str, list[Published]] = {}
        for row in rows:
            hosts.setdefault(row.waits_for, []).append(Published(MessageId(row.id), row.priority, early=True))
        return [random.choice(hosts[host]) for host in sorted(hosts)]  # noqa: S311  # needs no secrecy

    # --- inside ---

    def _lying(self, priority: int) -> Sequence[Row[Any]]:
        """What was published and not claimed yet, `ahead` messages at most. `due`: not in time, the queue may have forgotten it."""
        columns = (outbox.c.id, outbox.c.kind, outbox.c.repository, (outbox.c.publish_at <= database_now()).label("due"))
        mine = select(*columns).where(_told, outbox.c.priority == priority).order_by(outbox.c.publish_at, outbox.c.id)
        return self._transaction.execute(mine).all()

    def _running_scans(self) -> Counter[tuple[str, int]]:
        """How many there are, by repository and priority."""
        mine = (_running, outbox.c.lease_until > database_now(), outbox.c.kind == SCAN, outbox.c.repository != "")
        statement = select(outbox.c.repository, outbox.c.priority, func.count().label("number")).where(*mine)
        rows = self._transaction.execute(statement.group_by(outbox.c.repository, outbox.c.priority))
        return Counter({(row.repository, row.priority): row.number for row in rows})

    def _fair(self, turns: Turns, priority: int, room: int, busy: _Busy) -> tuple[list[Published], bool]:
        if room <= 0:
            return [], self._any_due(priority)
        tenants = self._tenants(priority)
        if not tenants:
            return [], False
        share = -(-room // len(tenants))
        lanes: list[tuple[str, list[Row[Any]]]] = []
        for tenant in turns.order(priority, tenants):
            if rows := self._first(priority, tenant, share, busy.full()):
                lanes.append((tenant, rows))
            if len(lanes) == room:
                break
        chosen: list[Published] = []
        for tenant, row in ((tenant, rows[step]) for step in range(share) for tenant, rows in lanes if step < len(rows)):
            if len(chosen) < room and busy.allows(row):
                chosen.append(Published(MessageId(row.id), priority))
                turns.took(priority, tenant)
        return chosen, True

    def _any_due(self, priority: int) -> bool:
        """Whether a message of this priority is due and was not published yet. With a full queue this is asked ten times a second."""
        due = select(outbox.c.id).where(_new, outbox.c.priority == priority, outbox.c.publish_at <= database_now()).limit(1)
        return self._transaction.execute(due).one_or_none() is not None

    def _tenants(self, priority: int) -> list[tuple[str, float]]:
        """Every tenant with something due, and since when. One step in the index for each tenant, however many messages it has."""
        mine = (_new, outbox.c.priority == priority)
        lanes = select(func.min(outbox.c.tenant).label("tenant")).where(*mine).cte("lanes", recursive=True)
        following = select(func.min(outbox.c.tenant)).where(*mine, outbox.c.tenant > lanes.c.tenant).scalar_subquery()
        lanes = lanes.union_all(select(following).where(lanes.c.tenant.is_not(None)))
        oldest = select(func.min(outbox.c.publish_at)).where(*mine, outbox.c.tenant == lanes.c.tenant).scalar_subquery().label("oldest")
        statement = select(lanes.c.tenant, oldest, database_now().label("now")).where(lanes.c.tenant.is_not(None))
        return [(row.tenant, row.oldest) for row in self._transaction.execute(statement) if row.oldest <= row.now]

    def _first(self, priority: int, tenant: str, limit: int, full: Sequence[str]) -> list[Row[Any]]:
        """The oldest due messages of a tenant, without scans of repositories that have enough of them. Looks at LOOK messages at most."""
        columns = (outbox.c.id, outbox.c.kind, outbox.c.repository, outbox.c.publish_at)
        mine = select(*columns).where(_new, outbox.c.priority == priority, outbox.c.tenant == tenant)
        oldest = mine.order_by(outbox.c.publish_at, outbox.c.id).limit(LOOK if full else limit).subquery()
        statement = select(oldest, (oldest.c.publish_at <= database_now()).label("due")).order_by(oldest.c.publish_at, oldest.c.id)
        if full:
            statement = statement.where(or_(oldest.c.kind != SCAN, oldest.c.repository.not_in(full))).limit(limit)
        return [row for row in self._transaction.execute(statement) if row.due]


@dataclass
class _Busy:
    """How many scans of each repository there are, as a message of this priority sees it."""

    counted: Counter[tuple[str, int]]
    priority: int
    scans: int

    def _of(self, repository: str) -> int:
        return sum(self.counted[(repository, priority)] for priority in PRIORITIES if priority <= self.priority)

    def full(self) -> list[str]:
        """Repositories that have as many as they may."""
        return sorted({repository for repository, _ in self.counted if self._of(repository) >= self.scans})

    def allows(self, row: Row[Any]) -> bool:
        """Whether this message may go; if it is a scan it counts from now on."""
        if row.kind != SCAN or not row.repository:
            return True
        if self._of(row.repository) >= self.scans:
            return False
        self.counted[(row.repository, self.priority)] += 1
        return True


def too_many_scans(scans: int) -> ColumnElement[bool]:
    """True for a message that is a scan of a repository of which `scans` run already, as urgent or more so: it is not to be claimed."""
    other = outbox.alias("other")
    same = (other.c.repository == outbox.c.repository, other.c.kind == SCAN, other.c.priority <= outbox.c.priority)
    alive = (other.c.status == literal_column("'running'"), other.c.lease_until > database_now(), other.c.id != outbox.c.id)
    running = select(func.count()).select_from(other).where(*alive, *same).scalar_subquery()
    return and_(outbox.c.kind == SCAN, outbox.c.repository != "", running >= scans)
