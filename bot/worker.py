"""Runs messages: claims one, does it, goes on with the next of the same review. The worker itself is in forks.py."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import ClassVar

import redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from bot.forks import MAINTENANCE_SECONDS, MONITORING_SECONDS, WORKER_TTL, MessageWorker
from bot.jobs import QUEUES, take_back
from bot.logs import configure_logs
from bot.overtime import Watch, limit
from bot.pulse import Pulse, process_name, tell
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import (
    FixwrightError,
    HostError,
    HostGarbage,
    HostUnavailable,
    InternalFault,
    LeaseLost,
    ObjectsRefused,
    RateLimited,
    StoreError,
)
from pipeline.fence import Fence, awake, fenced
from pipeline.leaks import within
from pipeline.messages import (
    BATCH,
    COMMAND,
    AcceptEvent,
    EndCheck,
    ProposeFix,
    PublishCheck,
    Reply,
    RunFix,
    RunScan,
    ScanRepository,
    ShowCheck,
    Speak,
    StartReview,
    WithdrawReview,
)
from pipeline.model.ids import MessageId
from pipeline.sandbox.fork import Fork
from pipeline.sandbox.upkeep import free_bytes
from pipeline.sandbox.workfolder import WorkFolder, temporary_place, work_folder
from pipeline.stages.context import Context
from pipeline.stages.give_up import give_up
from pipeline.stages.perform import perform
from pipeline.stopping import Stopping
from pipeline.store.outbox import Claimed
from pipeline.store.publishing import RELEASE_SECONDS
from pipeline.tally import TALLY
from pipeline.trail import Trail, following

log = logging.getLogger(__name__)

RENEW_SECONDS = 2.0
BACKOFF = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds before another attempt, each with full jitter on its upper half."""
ATTEMPTS = 1 + len(BACKOFF)

LOST_LEASE_EXIT, OVERTIME_EXIT = 75, 76

LANE = "fw-commands"
"""Name of the process that works commands."""

QUEUE_SECONDS = 2.0
"""After which a queue that refused is tried again."""

ANSWERS = (PublishCheck, WithdrawReview, EndCheck, ShowCheck, Speak, Reply, ProposeFix)
"""What a host waits for. A check that is in progress may not stay so because the host was away for an afternoon."""

HUNGRY = (RunScan, ScanRepository, RunFix)
"""What fills the disk. It waits while there is less room than FIXWRIGHT_MIN_FREE_MB, rather than fail half-way."""

ENDS = (ObjectsRefused,)
"""What whoever pushed brings about, and nobody here can mend: its check says so, and no operator is called for it."""

DISK_SECONDS = 30.0

PARKED_SECONDS = 300.0
"""How long a message waits for a host that does not answer, when nobody finds out that it does again."""

WAITING_SECONDS = 7_200.0
"""As long as a message can wait for a host that does not answer."""

ANSWER_ATTEMPTS = ATTEMPTS + 72
"""Three days more, hourly."""


def retry_in(attempts: int, cap: float, last: int = ATTEMPTS) -> float | None:
    """Seconds before the next attempt, None when there have been enough (`last`)."""
    if attempts >= last:
        return None
    base = min(BACKOFF[min(attempts, len(BACKOFF)) - 1], cap)
    # Jitter spreads a herd; it needs no secrecy.
    return base * (0.5 + random.random() / 2)  # noqa: S311


class _Current:
    app: ClassVar[App | None] = None
    name: ClassVar[str] = ""
    """Of the worker: its children work under it."""
    watch: ClassVar[Watch | None] = None
    """Of the worker over its child; None in a process that works alone."""
    urgent: ClassVar[int] = BATCH
    """The least urgent priority that is worked here."""


def serve(app: App, *, burst: bool = False) -> None:
    """Work until asked to stop. The parent imports and prepares everything; each message runs in a fork of it.

    Commands wait for nobody: a fork of the worker, with nearly all memory shared, works nothing else beside it. In a burst there is none:
    one after the other.
    """
    _Current.app = app
    load_hosts(app)
    lane = None if burst else Fork(LANE, partial(_serve_commands, app, temporary_place()))
    if lane is not None:
        lane.keep()
    try:
        with work_folder() as folder, Pulse(app.database, "worker", app.settings.state_dir) as pulse:
            names = [name for priority, name in QUEUES.items() if lane is None or priority != COMMAND]
            _serve(app, names, folder, pulse, lane, burst=burst)
    finally:
        if lane is not None:
            lane.stop()


def _serve_commands(app: App, place: Path) -> None:
    """In the fork: as the worker that it is a copy of, for one queue. That worker says for both that they live."""
    app.database.dispose_after_fork()
    app.jobs.forget()
    _Current.urgent = COMMAND
    with work_folder(place) as folder:
        _serve(app, [QUEUES[COMMAND]], folder)


def _serve(
    app: App, queues: Sequence[str], folder: WorkFolder, pulse: Pulse | None = None, lane: Fork | None = None, *, burst: bool = False
) -> None:
    _Current.name, _Current.watch = process_name(), Watch()
    while True:
        worker = _worker(app, queues)
        worker.pulse, worker.folder, worker.lane = pulse, folder, lane
        try:
            worker.work(burst=burst, logging_level="WARNING")
        except redis.RedisError as error:
            if burst:
                raise
            log.warning("worker.queue_unusable", extra={"error": str(error)})
        if burst or worker.stopping:
            return
        # RQ waits for a queue that is away, but leaves one that refuses: a replica that takes no writes, one that is full.
        try:
            time.sleep(QUEUE_SECONDS)
        except StopRequested:
            return


def load_hosts(app: App) -> None:
    """What the hosts need that are set up is loaded here, and not by each child. One that is set up later is loaded by the children."""
    with suppress(StoreError):  # children load it then
        for name, provider in app.plugins.providers.items():
            if app.places.configurations.instances(name):
                provider.load()


def _worker(app: App, queues: Sequence[str]) -> MessageWorker:
    """One that has not begun yet."""
    worker = MessageWorker(
        [Queue(name, connection=app.jobs.client, serializer=JSONSerializer) for name in queues],
        connection=app.jobs.client,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=MONITORING_SECONDS,
        maintenance_interval=MAINTENANCE_SECONDS,
    )
    worker.watch, worker.lost = _Current.watch, partial(_child_lost, app)
    return worker


def _child_lost(app: App) -> None:
    """The child died, and with it whoever renewed the lease: nobody has to wait for its end."""
    try:
        with app.database.work() as work:
            take_back(work, process_name())
    except StoreError as error:
        # The lease runs out and the sweep takes the message back.
        log.warning("worker.nothing_taken_back", extra={"code": error.code})


def run(message_id: str, early: bool = False) -> None:
    """RQ's entry: do one message and what follows from it in its group. Runs in a forked child.

    Args:
        early: also when it is not due but waits for a host that did not answer.
    """
    app = _Current.app
    if app is None:
        settings = read_settings()
        configure_logs(settings)
        app = wire(settings, settings.redis_url)
    app.database.dispose_after_fork()
    app.jobs.forget()
    try:
        work_message(app, MessageId(message_id), early=early)
    except Stopping:
        log.info("message.given_back", extra={"message_id": message_id})
    except StoreError as error:
        # It was not claimed, or what it held runs out; whoever publishes finds it again.
        log.warning("worker.database_down", extra={"message_id": message_id, "code": error.code, "error": error.message})


def work_message(app: App, message_id: MessageId, *, early: bool = False) -> None:
    """Claim a message and do it, then the next ones of its group; returns when there is nothing left to claim. `early`: see `run`."""
    owner = _Current.name or process_name()
    try:
        asked = awake()
        with app.database.work() as work:
            claimed = work.outbox.claim(message_id, owner, app.lease.seconds, scans=app.settings.repository_scans, early=early)
        while claimed is not None:
            with following(_trail(claimed)), within():
                group = _attempt(app, claimed, asked)
            if not group:
                return
            asked = awake()
            claimed = _next(app, owner, group) or (_next(app, owner, claimed.group) if group != claimed.group else None)
    finally:
        tell(app.database)


def _next(app: App, owner: str, group: str) -> Claimed | None:
    """The next message of a group, if it is one for this process; what is not is let go, and somebody else woken for it."""
    with app.database.work() as work:
        claimed = work.outbox.claim_next(group, owner, app.lease.seconds, scans=app.settings.repository_scans, urgent=_Current.urgent)
        if claimed is None and _Current.urgent < BATCH:
            work.outbox.let_go(group)
        return claimed


def _trail(claimed: Claimed) -> Trail:
    message = claimed.message
    review = "" if isinstance(message, AcceptEvent | StartReview) else getattr(message, "review", "")
    return Trail(claimed.delivery_id, claimed.begun_at, claimed.id, review, claimed.tenant, claimed.repository)


def _attempt(app: App, claimed: Claimed, asked: float) -> str:
    """One attempt at one message, whose lease was asked for when `awake` said `asked`; the group to go on with when it is done, empty when
    it is not."""
    if isinstance(claimed.message, HUNGRY) and free_bytes(app.settings.mirrors_dir) < app.settings.min_free_mb * 1_000_000:
        log.error("disk.full", extra={"kind": claimed.message.kind, "seconds": DISK_SECONDS})
        _give_back(app, claimed, min(DISK_SECONDS, app.settings.retry_cap))
        return ""
    begun = time.monotonic()
    group = _try(app, claimed, asked)
    seconds = time.monotonic() - begun
    TALLY.add("fixwright_messages_total", kind=claimed.message.kind, outcome="done" if group is not None else "not done")
    if group is None:
        return ""
    log.info("message.done", extra={"kind": claimed.message.kind, "attempt": claimed.attempts, "seconds": round(seconds, 3)})
    if isinstance(claimed.message, PublishCheck) and claimed.begun_at is not None:
        _time_check(app, claimed.begun_at)
    return group


def _time_check(app: App, begun_at: float) -> None:
    """How long the person waited: from the delivery to the finished check, by the clock of the database."""
    try:
        TALLY.observe("fixwright_delivery_to_check_seconds", max(0.0, app.database.now() - begun_at))
    except StoreError as error:
        log.warning("metrics.lost", extra={"code": error.code})


def _try(app: App, claimed: Claimed, asked: float) -> str | None:
    """The group to go on with, None when the message was not done."""
    context = Context(app.database, app.memory, app.plugins, app.places, claimed, fetched=app.fetched)
    fields: dict[str, object] = {"kind": claimed.message.kind, "attempt": claimed.attempts}
    try:
        with _lease(app, claimed, asked):
            perform(context)
    except LeaseLost:
        log.warning("message.lease_lost", extra=fields)
        return None
    except RateLimited as error:
        log.warning("message.rate_limited", extra={**fields, "seconds": error.retry_after})
        _wait(app, claimed, context, error)
        return None
    except FixwrightError as error:
        log.warning("message.failed", extra={**fields, "code": error.code, "error": error.message})
        if isinstance(error, HostUnavailable) and claimed.early:
            # It was tried out of turn, and is where it was, but not again this very moment.
            _give_back(app, claimed, max(claimed.early, RELEASE_SECONDS), waits_for=_waits(app, context))
            return None
        if isinstance(error, HostError) and not isinstance(error, HostUnavailable | HostGarbage):
            _release_waiting(app, context)  # a no is an answer
        last = ANSWER_ATTEMPTS if isinstance(claimed.message, ANSWERS) else ATTEMPTS
        waits_for = _waits(app, context) if isinstance(error, HostUnavailable) else ""
        _again(app, claimed, error, retry_in(claimed.attempts, app.settings.retry_cap, last) if error.retryable else None, waits_for)
        return None
    except Stopping:
        _give_back(app, claimed)
        raise
    except Exception as error:  # the worker's boundary (docs/decisions/0003-boundaries.md)
        log.exception("message.fault", extra=fields)
        fault = InternalFault(f"an internal fault ({type(error).__name__})")
        _again(app, claimed, fault, retry_in(claimed.attempts, app.settings.retry_cap))
        return None
    _release_waiting(app, context)
    return context.follow or claimed.group


def _wait(app: App, claimed: Claimed, context: Context, error: RateLimited) -> None:
    """Until the host lets us ask again: as long as it said. While it does not answer at all, the relay tries one message now and then for
    all that wait, and nothing is gained by waking each of them; they come by themselves in case nobody does."""
    seconds = max(error.retry_after, 1.0)
    if error.away:
        # Jitter spreads a herd; it needs no secrecy.
        parked = min(PARKED_SECONDS, app.settings.retry_cap) * (0.5 + random.random() / 2)  # noqa: S311
        seconds = max(seconds, parked, claimed.early)
    _give_back(app, claimed, seconds, waits_for=_waits(app, context) if error.away else "")


def _waits(app: App, context: Context) -> str:
    """Name of the host that did not answer, remembered so that whoever gets an answer releases what waits; empty when there are several."""
    if len(context.asked) != 1:
        return ""
    (host,) = context.asked
    with suppress(StoreError):
        app.memory.put(f"waiting/{host}", b"1", WAITING_SECONDS)
        return host
    return ""


def _release_waiting(app: App, context: Context) -> None:
    """A message that had to do with a host is done: what waits for that host is due. One that was taken early knows that something waits:
    what is remembered of it may be lost, to a process that died between two steps."""
    try:
        for host in sorted(context.asked):
            if not context.claimed.early and app.memory.get(f"waiting/{host}") is None:
                continue
            app.memory.put(f"waiting/{host}", b"", 0.0)
            with app.database.work() as work:
                log.info("host.answers", extra={"host": host, "released": work.outbox.host_answers(host)})
    except StoreError as failure:
        log.info("host.nothing_released", extra={"code": failure.code})


def _again(app: App, claimed: Claimed, error: FixwrightError, seconds: float | None, waits_for: str = "") -> None:
    try:
        with app.database.work() as work:
            if isinstance(error, ENDS):
                work.outbox.finish(claimed.id, claimed.epoch)
                give_up(work, claimed.message, error)
                return
            work.outbox.fail(claimed.id, claimed.epoch, error_code=error.code, retry_in=seconds, waits_for=waits_for)
            if seconds is None:
                give_up(work, claimed.message, error)
    except StoreError as failure:
        # The lease runs out and the sweep takes the message back.
        log.warning("message.failure_not_recorded", extra={"code": failure.code})
        return
    if seconds is None:
        log.error("message.given_up", extra={"kind": claimed.message.kind, "code": error.code, "error": error.message})


def _give_back(app: App, claimed: Claimed, seconds: float = 0.0, waits_for: str = "") -> None:
    """The message is free after so many seconds, and this attempt was none."""
    try:
        with app.database.work() as work:
            work.outbox.release(claimed.id, claimed.epoch, seconds, waits_for=waits_for)
    except (LeaseLost, StoreError) as failure:
        # It was finished a moment ago, or its lease runs out.
        log.info("message.nothing_to_give_back", extra={"code": failure.code})


def _renew(app: App, claimed: Claimed) -> None:
    """Raises LeaseLost when somebody else has the message, StoreError when we cannot know."""
    try:
        with app.database.work() as work:
            work.outbox.renew(claimed.id, claimed.epoch, app.lease.seconds)
    except LeaseLost:
        # Or it was finished under this very lease: we waited with its renewal for the transaction that did it.
        with app.database.read() as work:
            if not work.outbox.is_done(claimed.id, claimed.epoch):
                raise


@contextmanager
def _lease(app: App, claimed: Claimed, asked: float) -> Iterator[None]:
    """Renew the lease while the block runs. When it is lost, or the message takes too long, this process ends at once with all that it
    started."""
    done = threading.Event()
    watch = _Current.watch or Watch()
    watch.begin(limit(claimed.message, app.settings.engine_seconds, app.settings.message_cap))
    fence = Fence(app.lease.seconds, partial(_renew, app, claimed), asked)

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            watch.beat()
            if (why := watch.trouble()) and not done.is_set():
                # The worker sees it, too; but it may be gone, and this process is what it left.
                log.error("message.hangs", extra={"kind": claimed.message.kind, "why": why})
                app.lease.end(OVERTIME_EXIT)
                return
            try:
                fence.renewed()
            except LeaseLost:
                if not done.is_set():
                    log.warning("message.lease_lost", extra={"kind": claimed.message.kind, "attempt": claimed.attempts})
                    app.lease.end(LOST_LEASE_EXIT)
                return
            except StoreError as error:
                log.warning("worker.lease_not_renewed", extra={"code": error.code})

    thread = threading.Thread(target=copy_context().run, args=(renew,), name="lease", daemon=True)
    thread.start()
    try:
        with fenced(fence):
            yield
    finally:
        done.set()
        watch.end()
        thread.join(RENEW_SECONDS)
