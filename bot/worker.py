"""Runs messages: claims one, does it, goes on with the next of the same review. With jobs.py the only importer of rq."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

import redis
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.jobs import QUEUES
from bot.logs import configure_logs
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import FixwrightError, InternalFault, LeaseLost, RateLimited, StoreError
from pipeline.messages import ProposeFix, PublishCheck, Reply, Speak, WithdrawReview
from pipeline.model.ids import MessageId
from pipeline.sandbox.service import die_with_parent
from pipeline.sandbox.workfolder import WorkFolder, work_folder
from pipeline.stages.context import Context
from pipeline.stages.give_up import give_up
from pipeline.stages.perform import perform
from pipeline.store.outbox import LEASE_SECONDS, Claimed

log = logging.getLogger(__name__)

RENEW_SECONDS = 2.0
BACKOFF = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds before another attempt, each with full jitter on its upper half."""
ATTEMPTS = 1 + len(BACKOFF)

WORKER_TTL, MONITORING_SECONDS, MAINTENANCE_SECONDS = 25, 5, 5
"""RQ's own defaults notice a killed worker after minutes; these after seconds. Our leases are quicker still and are what counts."""

LOST_LEASE_EXIT = 75

STOP_SECONDS = 4.0
"""How long a message may go on after SIGTERM before it is given back. Looked at every MONITORING_SECONDS; `up` waits 15 s."""


class Stopping(BaseException):
    """SIGTERM reached the process that works a message. Not an `Exception`: no stage may take it for a fault and go on."""


ANSWERS = (PublishCheck, WithdrawReview, Speak, Reply, ProposeFix)
"""What a host waits for. A check that is in progress may not stay so because the host was away for an afternoon."""

ANSWER_ATTEMPTS = ATTEMPTS + 72
"""Three days more, hourly."""


def retry_in(attempts: int, cap: float, last: int = ATTEMPTS) -> float | None:
    """Seconds before the next attempt, None when there have been enough (`last`)."""
    if attempts >= last:
        return None
    base = min(BACKOFF[min(attempts, len(BACKOFF)) - 1], cap)
    # Jitter spreads a herd; it needs no secrecy.
    return base * (0.5 + random.random() / 2)  # noqa: S311


class MessageWorker(Worker):
    """A forking RQ worker whose death is noticed in seconds, and that gives back what it cannot finish before it has to end."""

    max_connection_wait_time = 2.0
    """RQ's own patience with a queue that is away grows to a minute."""
    folder: WorkFolder | None = None
    """Where the messages keep their temporary files; emptied after each, however it ended."""
    _stop_at: float | None = None

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0) -> int:  # noqa: ARG002  # RQ's signature
        """RQ adds a minute to this by default; our leases make that useless."""
        return MONITORING_SECONDS + 10

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Called while a message is worked. A queue that is away must not end the work: nothing of it lies there."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self._give_back()
        try:
            super().maintain_heartbeats(job, execution)
        except (redis.RedisError, OSError) as error:
            log.warning("the queue does not answer; the message goes on", extra={"error": type(error).__name__})

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Wait for the child; then clear what a killed one left."""
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            if self.folder is not None:
                self.folder.clear()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM: the message may go on for STOP_SECONDS."""
        self._stop_at = time.monotonic() + STOP_SECONDS
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ has no types there

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # RQ's signature
        """A second SIGTERM: the message is given back at once. RQ would kill the child, which counts as a crash."""
        self._give_back()

    def set_shutdown_requested_date(self) -> None:
        """For people who look into the queue; it may be gone by now."""
        try:
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]  # RQ has no types there
        except (redis.RedisError, OSError) as error:
            log.info("the queue does not answer while we stop", extra={"error": type(error).__name__})

    def _give_back(self) -> None:
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """In the child: SIGTERM, and our parent's death, give the message back."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop)
        die_with_parent(signal.SIGTERM)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a signal handler's signature
    # Once: what is cleared up on the way out must not be interrupted again.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopping


class _Current:
    app: ClassVar[App | None] = None


def serve(app: App, *, burst: bool = False) -> None:
    """Work until asked to stop. The parent imports and prepares everything; each message runs in a fork of it."""
    _Current.app = app
    queues = [Queue(name, connection=app.jobs.client, serializer=JSONSerializer) for name in QUEUES.values()]
    worker = MessageWorker(
        queues,
        connection=app.jobs.client,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=MONITORING_SECONDS,
        maintenance_interval=MAINTENANCE_SECONDS,
    )
    with work_folder() as folder:
        worker.folder = folder
        worker.work(burst=burst, logging_level="WARNING")


def run(message_id: str) -> None:
    """RQ's entry: do one message and what follows from it in its group. Runs in a forked child."""
    app = _Current.app
    if app is None:
        settings = read_settings()
        configure_logs(settings)
        app = wire(settings, settings.redis_url)
    app.database.dispose_after_fork()
    app.jobs.forget()
    try:
        work_message(app, MessageId(message_id))
    except Stopping:
        log.info("stopped; the message was given back", extra={"message_id": message_id})


def work_message(app: App, message_id: MessageId) -> None:
    """Claim a message and do it, then the next ones of its group; returns when there is nothing left to claim."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with app.database.work() as work:
        claimed = work.outbox.claim(message_id, owner)
    while claimed is not None:
        group = _attempt(app, claimed)
        if not group:
            return
        with app.database.work() as work:
            claimed = work.outbox.claim_next(group, owner)


def _attempt(app: App, claimed: Claimed) -> str:
    """One attempt at one message; the group to go on with when it is done, empty when it is not."""
    context = Context(app.database, app.memory, app.plugins, app.places, claimed, fetched=app.fetched)
    fields = {"message_id": claimed.id, "kind": claimed.message.kind, "attempt": claimed.attempts}
    try:
        with _lease(app, claimed):
            perform(context)
    except LeaseLost:
        log.warning("lease lost, stopped without an effect", extra=fields)
        return ""
    except RateLimited as error:
        log.warning("the host asked us to wait", extra={**fields, "seconds": error.retry_after})
        _give_back(app, claimed, max(error.retry_after, 1.0))
        return ""
    except FixwrightError as error:
        log.warning("message failed", extra={**fields, "code": error.code, "error": error.message})
        last = ANSWER_ATTEMPTS if isinstance(claimed.message, ANSWERS) else ATTEMPTS
        _again(app, claimed, error, retry_in(claimed.attempts, app.settings.retry_cap, last) if error.retryable else None)
        return ""
    except Stopping:
        _give_back(app, claimed)
        raise
    except Exception as error:  # the worker's boundary (docs/decisions/0003-boundaries.md)
        log.exception("message failed by a fault of ours", extra=fields)
        fault = InternalFault(f"an internal fault ({type(error).__name__})")
        _again(app, claimed, fault, retry_in(claimed.attempts, app.settings.retry_cap))
        return ""
    return context.follow or claimed.group


def _again(app: App, claimed: Claimed, error: FixwrightError, seconds: float | None) -> None:
    try:
        with app.database.work() as work:
            work.outbox.fail(claimed.id, claimed.epoch, error_code=error.code, retry_in=seconds)
            if seconds is None:
                log.error("message given up", extra={"message_id": claimed.id, "code": error.code, "error": error.message})
                give_up(work, claimed.message, error)
    except StoreError as failure:
        # The lease runs out and the sweep takes the message back.
        log.warning("the failure could not be recorded", extra={"message_id": claimed.id, "code": failure.code})


def _give_back(app: App, claimed: Claimed, seconds: float = 0.0) -> None:
    """The message is free after so many seconds, and this attempt was none."""
    try:
        with app.database.work() as work:
            work.outbox.release(claimed.id, claimed.epoch, seconds)
    except (LeaseLost, StoreError) as failure:
        # It was finished a moment ago, or its lease runs out.
        log.info("nothing to give back", extra={"message_id": claimed.id, "code": failure.code})


@contextmanager
def _lease(app: App, claimed: Claimed) -> Iterator[None]:
    """Renew the lease while the block runs. When it is lost, this process ends at once with all that it started."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                with app.database.work() as work:
                    work.outbox.renew(claimed.id, claimed.epoch, LEASE_SECONDS)
            except LeaseLost:
                if not done.is_set():
                    log.warning("lease lost, this process ends", extra={"message_id": claimed.id})
                    os._exit(LOST_LEASE_EXIT)
            except StoreError as error:
                log.warning("the lease could not be renewed", extra={"message_id": claimed.id, "code": error.code})

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(RENEW_SECONDS)
