"""The outbox: what is to be done, and who is doing it.

The database is the truth and the queue only wakes people up. A running message holds a lease; its `epoch` counts who held it, so that
a worker that was overtaken notices before it does harm.

    pending --claim--> running --finish--> done
       ^                  |  `---fail(None)---> dead
       |                  |  `---third crash--> dead
       `--fail, release, lease expired --'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, delete, func, not_, or_, select, update

from pipeline.errors import LeaseLost
from pipeline.messages import BATCH, AcceptEvent, Envelope, Message
from pipeline.model.ids import MessageId
from pipeline.store.belongs import belongs
from pipeline.store.codec import Unreadable
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.letters import MESSAGE, DeadMessage, Letters, dead_message, free_in
from pipeline.store.publishing import RELEASE_SECONDS, SCAN, Published, too_many_scans, waits_for_host
from pipeline.store.seal import Vault
from pipeline.store.spoken import closed, opened
from pipeline.store.tables import outbox
from pipeline.store.transaction import chunks
from pipeline.trail import current

LEASE_SECONDS: Final = 8.0
"""How long a worker that fell silent keeps its message; it renews every 2 s (ARCHITECTURE, "What holds it together")."""

MAX_CRASHES: Final = 3
"""After so many leases that expired in its hands, a message is given up: it kills its workers."""

WORKER_CRASHED: Final = "WORKER_CRASHED"
MESSAGE_UNREADABLE: Final = "MESSAGE_UNREADABLE"

UNREADABLE_SECONDS, UNREADABLE_ATTEMPTS = 10.0, 30
"""A message of a newer version waits for a newer worker: during a rolling restart there is one soon."""

RELEASED_TRIES: Final = 3
"""Attempts after which a message keeps to its times, whoever else gets an answer. While a host answers nobody, no attempt is counted after
the first few: `pipeline.limits` lets no call through."""

NO_LIMIT: Final = 1_000_000
"""Scans of one repository at a time, where nobody counts them."""

KEEP_SECONDS: Final = 7 * 86_400.0
"""Done messages are kept so long, as their keys make sending them again a no-op."""

_pending: ColumnElement[bool] = outbox.c.status == "pending"
_running: ColumnElement[bool] = outbox.c.status == "running"
_expired: ColumnElement[bool] = and_(_running, outbox.c.lease_until < database_now())
_last_crash: ColumnElement[bool] = outbox.c.crashes + 1 >= MAX_CRASHES


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in the hands of this worker."""

    id: MessageId
    epoch: int
    """Proof of the lease: every later call names it."""
    message: Message
    key: str
    group: str
    priority: int
    attempts: int
    """How often it was begun, this time included."""
    crashes: int
    """How many of them ended with an expired lease."""
    delivery_id: str = ""
    """The delivery that all this began with; empty when there was none."""
    begun_at: float | None = None
    """When that arrived."""
    tenant: str = ""
    repository: str = ""
    """See `pipeline.store.belongs`."""
    early: float = 0.0
    """Seconds by which it was taken before it was due, to find out whether its host answers again; 0.0 as a rule."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the messages of a group are. `ahead`: how many are due before its first one, 0 when one of them is being worked; `error`:
    code of the newest failure, empty when there is none."""

    ahead: int
    error: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much work there is. `oldest_seconds`: how long the longest due message has waited; 0.0 when none waits."""

    waiting: int
    running: int
    dead: int
    oldest_seconds: float


def encode_envelope(envelope: Envelope, vault: Vault) -> tuple[str, str, str, str, int, str, float, str, str]:
    """An envelope as (id, key, kind, body, priority, group, delay, tenant, repository), for the hand-written writer too; that one holds
    nothing back."""
    message = envelope.message
    fixed = (
        new_id(),
        envelope.key,
        message.kind,
        MESSAGE.dump(closed(message, vault)),
        envelope.priority,
        envelope.group,
        float(envelope.delay),
    )
    return (*fixed, *belongs(message, current()))


class Outbox(Letters):
    """Messages. Part of a `Work`."""

    def send(self, *envelopes: Envelope) -> None:
        """Put messages in; one whose key was ever sent before is left out."""
        rows = []
        for envelope in envelopes:
            identifier, key, kind, body, priority, group, delay, tenant, repository = encode_envelope(envelope, self._transaction.vault)
            due = database_now() + delay
            trail, accepts = current(), isinstance(envelope.message, AcceptEvent)
            rows.append(
                {
                    "id": identifier,
                    "key": key,
                    "kind": kind,
                    "body": body,
                    "priority": priority,
                    "group": group,
                    "status": "pending",
                    "created_at": database_now(),
                    "due_at": due,
                    "publish_at": due + envelope.hold,
                    "delivery_id": envelope.message.delivery if isinstance(envelope.message, AcceptEvent) else trail.delivery_id,
                    "begun_at": database_now() if accepts else trail.begun_at,
                    "tenant": tenant,
                    "repository": repository,
                }
            )
        if rows and self._transaction.add_missing(outbox, rows, ["key"]):
            self._transaction.sent = True

    # --- workers ---

    def claim(
        self, message_id: MessageId, owner: str, seconds: float = LEASE_SECONDS, *, scans: int = NO_LIMIT, early: bool = False
    ) -> Claimed | None:
        """Take a message when it is due, or when the lease of who had it expired; None when it is not to be had.

        Args:
            owner: who claims: `host:pid-birth`, the same for no two processes.
            seconds: length of the lease by the clock of the database.
            scans: how many scans of one repository may run at a time. One too many is not to be had now; the relay publishes it again
                when there is room.
            early: also when it is not due yet but waits for a host that did not answer.
        """
        which = outbox.c.id == message_id
        self._one_scan_at_a_time(which, scans)
        claimed = self._claim(which, owner, seconds, scans, early=early)
        if claimed is None and scans < NO_LIMIT:
            waits = (which, _pending, outbox.c.kind == SCAN, outbox.c.due_at <= database_now())
            self._transaction.changed(update(outbox).where(*waits).values(publishes=0, publish_at=database_now()))
        return claimed

    def claim_next(
        self, group: str, owner: str, seconds: float = LEASE_SECONDS, *, scans: int = NO_LIMIT, urgent: int = BATCH
    ) -> Claimed | None:
        """Take the next due message of a group: first by priority, then in the order of sending. None when there is none.

        Args:
            scans: see `claim`.
            urgent: only what has this priority or a more urgent one.
        """
        if not group:
            return None
        best = (
            select(outbox.c.id)
            .where(outbox.c.group == group, _pending, outbox.c.due_at <= database_now(), outbox.c.priority <= urgent, *_room(scans))
            .order_by(outbox.c.priority, outbox.c.id)
            .limit(1)
        )
        # First the repository, then the row, as `claim` does: the other way round the two would wait for one another.
        self._one_scan_at_a_time(outbox.c.id == best.scalar_subquery(), scans)
        return self._claim(outbox.c.id == best.with_for_update(skip_locked=True).scalar_subquery(), owner, seconds, scans)

    def let_go(self, group: str) -> None:
        """Whoever sent the messages of this group does not go on with them: nothing holds back any more what is due."""
        held = (outbox.c.group == group, _pending, outbox.c.publishes == 0, outbox.c.due_at <= database_now())
        freed = update(outbox).where(*held, outbox.c.publish_at > database_now()).values(publish_at=database_now())
        self._transaction.sent |= self._transaction.changed(freed) > 0

    def _claim(self, which: ColumnElement[bool], owner: str, seconds: float, scans: int, *, early: bool = False) -> Claimed | None:
        due = or_(outbox.c.due_at <= database_now(), waits_for_host()) if early else outbox.c.due_at <= database_now()
        ready = or_(and_(_pending, due), and_(_expired, ~_last_crash))
        row = self._transaction.execute(
            update(outbox)
            .where(which, ready, *_room(scans))
            .values(
                status="running",
                owner=owner,
                epoch=outbox.c.epoch + 1,
                attempts=outbox.c.attempts + 1,
                crashes=outbox.c.crashes + case((_running, 1), else_=0),
                lease_until=database_now() + seconds,
            )
            .returning(outbox, (outbox.c.due_at - database_now()).label("early"))
        ).one_or_none()
        if row is None:
            return None
        try:
            message = opened(MESSAGE.load(row.body), self._transaction.vault)
        except Unreadable:
            retry_in = UNREADABLE_SECONDS if row.attempts < UNREADABLE_ATTEMPTS else None
            self.fail(MessageId(row.id), row.epoch, error_code=MESSAGE_UNREADABLE, retry_in=retry_in)
            return None
        return Claimed(
            id=MessageId(row.id),
            epoch=row.epoch,
            message=message,
            key=row.key,
            group=row.group,
            priority=row.priority,
            attempts=row.attempts,
            crashes=row.crashes,
            delivery_id=row.delivery_id,
            begun_at=row.begun_at,
            tenant=row.tenant,
            repository=row.repository,
            early=max(0.0, row.early),
        )

    def _one_scan_at_a_time(self, which: ColumnElement[bool], scans: int) -> None:
        """PostgreSQL: two workers that count at the same moment would both find room. SQLite has one writer at a time anyway."""
        if scans >= NO_LIMIT or self._transaction.dialect != "postgresql":
            return
        repository = self._transaction.execute(select(outbox.c.repository).where(which, outbox.c.kind == SCAN)).scalar_one_or_none()
        if repository:
            self._transaction.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"scans of {repository}"))))

    def renew(self, message_id: MessageId, epoch: int, seconds: float = LEASE_SECONDS) -> None:
        """Hold the lease for `seconds` from now. Raises LeaseLost."""
        self._held(message_id, epoch, {"lease_until": database_now() + seconds})

    def check(self, message_id: MessageId, epoch: int) -> None:
        """Raise LeaseLost unless the lease is ours and has not expired: the look before an effect on a host."""
        alive = select(outbox.c.id).where(
            outbox.c.id == message_id, outbox.c.epoch == epoch, _running, outbox.c.lease_until > database_now()
        )
        if self._transaction.execute(alive).one_or_none() is None:
            raise _lost(message_id, epoch)

    def is_done(self, message_id: MessageId, epoch: int) -> bool:
        """True when whoever held this lease finished the message with it."""
        mine = (outbox.c.id == message_id, outbox.c.epoch == epoch, outbox.c.status == "done")
        return self._transaction.execute(select(outbox.c.id).where(*mine)).one_or_none() is not None

    def finish(self, message_id: MessageId, epoch: int) -> None:
        """The message is done. Raises LeaseLost, which undoes the transaction around it."""
        self._held(message_id, epoch, {"status": "done", "lease_until": None, "error_code": "", "finished_at": database_now()})

    def fail(self, message_id: MessageId, epoch: int, *, error_code: str, retry_in: float | None, waits_for: str = "") -> None:
        """An attempt failed: try again after `retry_in` seconds, or never (None: dead letter). Raises LeaseLost.

        Args:
            waits_for: the host that did not answer; see `host_answers`.
        """
        if retry_in is None:
            ended = {"status": "dead", "lease_until": None, "error_code": error_code, "finished_at": database_now()}
            self._held(message_id, epoch, ended)
        else:
            failed = {"error_code": error_code, **free_in(retry_in), "lease_until": database_now(), "waits_for": waits_for}
            self._held(message_id, epoch, failed)

    def release(self, message_id: MessageId, epoch: int, retry_in: float = 0.0, *, waits_for: str = "") -> None:
        """Give a message back without blame (shutdown, a host that asks us to wait): the attempt is not counted. Raises LeaseLost."""
        self._held(message_id, epoch, {"attempts": outbox.c.attempts - 1, **free_in(retry_in), "waits_for": waits_for})

    def host_answers(self, host: str) -> int:
        """All that wait for this host are due in a moment; how many those are.

        But not what failed more than `RELEASED_TRIES` times already: a host may answer everything but one call, and each answer to others
        would then use up one more of its attempts, in seconds instead of an hour.
        """
        waiting = (
            _pending,
            outbox.c.waits_for == host,
            outbox.c.attempts <= RELEASED_TRIES,
            outbox.c.due_at > database_now() + RELEASE_SECONDS,
        )
        released = self._transaction.changed(update(outbox).where(*waiting).values({**free_in(RELEASE_SECONDS), "waits_for": ""}))
        self._transaction.sent |= released > 0
        return released

    def _held(self, message_id: MessageId, epoch: int, values: dict[str, Any]) -> None:
        mine = (outbox.c.id == message_id, outbox.c.epoch == epoch, _running)
        if self._transaction.changed(update(outbox).where(*mine).values(values)) != 1:
            raise _lost(message_id, epoch)
        if "publish_at" in values:
            self._transaction.sent = True

    # --- relay ---

    def publishable(self, limit: int) -> list[Published]:
        """Due messages for which a worker should be woken now, the most urgent first; call `mark_published` after waking one. For a process
        that works alone; a relay lets tenants take turns (`pipeline.store.publishing`).

        A message that was published but not claimed comes again after 2, 4, 8, then every 16 seconds: the queue may have forgotten it.
        """
        statement = (
            select(outbox.c.id, outbox.c.priority)
            .where(_pending, outbox.c.publish_at <= database_now())
            .order_by(outbox.c.priority, outbox.c.publish_at, outbox.c.id)
            .limit(limit)
        )
        return [Published(MessageId(row.id), row.priority) for row in self._transaction.execute(statement)]

    def mark_published(self, ids: Sequence[MessageId]) -> None:
        """A worker was woken for these."""
        wait = case((outbox.c.publishes == 0, 2.0), (outbox.c.publishes == 1, 4.0), (outbox.c.publishes == 2, 8.0), else_=16.0)
        values = {"publishes": outbox.c.publishes + 1, "publish_at": database_now() + wait}
        for chunk in chunks(sorted(ids)):
            self._transaction.changed(update(outbox).where(outbox.c.id.in_(chunk), _pending).values(values))

    def publish_again(self) -> None:
        """Forget that anything was published: the queue lost its memory."""
        self._transaction.changed(update(outbox).where(_pending).values(publishes=0, publish_at=outbox.c.due_at))

    def ended(self, key: str) -> bool:
        """Whether the message with a key was worked, or given up; True when nobody knows it any more."""
        status = self._transaction.execute(select(outbox.c.status).where(outbox.c.key == key)).scalar_one_or_none()
        return status not in ("pending", "running")

    def now(self) -> float:
        """Seconds since 1970 by the clock of the database."""
        return float(self._transaction.execute(select(database_now())).scalar_one())

    def clock_moved(self, seconds: float) -> None:
        """The clock of the database was set forward by so many seconds, or back (below 0).

        Every lease begins anew: who lives renews it, and a dead one's is over after LEASE_SECONDS. What was about to be due when the clock
        was set back is due as soon as it would have been.
        """
        self._transaction.changed(update(outbox).where(_running).values(lease_until=database_now() + LEASE_SECONDS))
        if seconds < 0:
            for moment in (outbox.c.due_at, outbox.c.publish_at, outbox.c.lease_until):
                self._transaction.changed(update(outbox).where(_pending, moment > database_now()).values({moment: moment + seconds}))

    def expire(self, owner: str = "") -> list[DeadMessage]:
        """Count a crash for every expired lease: the message is pending again at once, or dead after the third. Returns the newly dead.

        Args:
            owner: instead, every lease of this one, as it is known to be dead.
        """
        lost = and_(_running, outbox.c.owner == owner) if owner else _expired
        dead = self._transaction.execute(
            update(outbox)
            .where(lost, _last_crash)
            .values(
                status="dead",
                error_code=WORKER_CRASHED,
                crashes=outbox.c.crashes + 1,
                lease_until=None,
                owner="",
                finished_at=database_now(),
            )
            .returning(outbox)
        ).all()
        again = {"crashes": outbox.c.crashes + 1, "error_code": WORKER_CRASHED, **free_in(0.0)}
        # One that expired since the statement above is for the next sweep: a last crash must not be counted as one that gives another try.
        if self._transaction.changed(update(outbox).where(lost, ~_last_crash).values(again)):
            self._transaction.sent = True
        return [dead_message(row) for row in dead]

    def due_in(self, before: int) -> float | None:
        """Seconds until a message more urgent than `before` wants a worker, 0.0 when one does now; None when none waits."""
        soonest = select(func.min(outbox.c.publish_at) - database_now()).where(_pending, outbox.c.priority < before)
        seconds = self._transaction.execute(soonest).scalar_one()
        return None if seconds is None else max(0.0, float(seconds))

    # --- people ---

    def give_back_all(self) -> int:
        """Whoever held messages is gone, through no fault of theirs (a restored backup): they are due again. How many."""
        values = {"attempts": outbox.c.attempts - 1, **free_in(0.0)}
        given = self._transaction.changed(update(outbox).where(_running).values(values))
        self.publish_again()
        return given

    def busy(self, group: str) -> bool:
        """True while a message of the group waits or is being worked."""
        mine = select(outbox.c.id).where(outbox.c.group == group, outbox.c.status.in_(("pending", "running")))
        return self._transaction.execute(mine.limit(1)).one_or_none() is not None

    def backlog(self) -> Backlog:
        """How much there is to do."""
        counted = (
            select(outbox.c.status, func.count().label("number"))
            .where(outbox.c.status.in_(("pending", "running", "dead")))
            .group_by(outbox.c.status)
        )
        count: dict[str, int] = {row.status: row.number for row in self._transaction.execute(counted)}
        oldest = select(database_now() - func.min(outbox.c.due_at)).where(_pending, outbox.c.due_at <= database_now())
        waited = self._transaction.execute(oldest).scalar_one()
        return Backlog(count.get("pending", 0), count.get("running", 0), count.get("dead", 0), max(0.0, waited or 0.0))

    def progress(self, group: str) -> Progress:
        """How far the messages of a group are."""
        mine = select(outbox.c.priority, outbox.c.id, outbox.c.status).where(
            outbox.c.group == group, outbox.c.status.in_(("pending", "running"))
        )
        rows = self._transaction.execute(mine.order_by(outbox.c.priority, outbox.c.id)).all()
        ahead = 0
        if rows and all(row.status == "pending" for row in rows):
            first = rows[0]
            before = or_(outbox.c.priority < first.priority, and_(outbox.c.priority == first.priority, outbox.c.id < first.id))
            waiting = select(func.count()).where(_pending, outbox.c.due_at <= database_now(), before)
            ahead = int(self._transaction.execute(waiting).scalar_one())
        failed = select(outbox.c.error_code).where(outbox.c.group == group, outbox.c.error_code != "")
        error = self._transaction.execute(failed.order_by(outbox.c.id.desc()).limit(1)).scalar_one_or_none()
        return Progress(ahead, error or "")

    def purge(self, *, keep_seconds: float = KEEP_SECONDS, limit: int = 1000) -> int:
        """Delete up to `limit` messages that were done so long ago; how many were. Dead ones stay for people."""
        old = (
            select(outbox.c.id)
            .where(outbox.c.status == "done", outbox.c.finished_at < database_now() - keep_seconds)
            .limit(limit)
            .subquery()
        )
        return self._transaction.changed(delete(outbox).where(outbox.c.id.in_(select(old.c.id))))


def _room(scans: int) -> tuple[ColumnElement[bool], ...]:
    return () if scans >= NO_LIMIT else (not_(too_many_scans(scans)),)


def _lost(message_id: MessageId, epoch: int) -> LeaseLost:
    return LeaseLost(f"message {message_id} is no longer held in epoch {epoch}")
