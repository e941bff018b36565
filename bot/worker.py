"""Runs messages: claims one, does it, goes on with the next of the same review. With jobs.py the only importer of rq."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.jobs import QUEUES
from bot.logs import configure_logs
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import FixwrightError, InternalFault, LeaseLost, RateLimited, StoreError
from pipeline.model.ids import MessageId
from pipeline.stages.context import Context
from pipeline.stages.give_up import give_up
from pipeline.stages.perform import perform
from pipeline.store.outbox import LEASE_SECONDS, Claimed

log = logging.getLogger(__name__)

RENEW_SECONDS = 2.0
ATTEMPTS = 5
BACKOFF = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds before another attempt, each with full jitter on its upper half."""

WORKER_TTL, MONITORING_SECONDS, MAINTENANCE_SECONDS = 25, 5, 5
"""RQ's own defaults notice a killed worker after minutes; these after seconds. Our leases are quicker still and are what counts."""

LOST_LEASE_EXIT = 75


def retry_in(attempts: int, cap: float) -> float | None:
    """Seconds before the next attempt, None when there have been enough."""
    if attempts >= ATTEMPTS:
        return None
    base = min(BACKOFF[attempts - 1], cap)
    # Jitter spreads a herd; it needs no secrecy.
    return base * (0.5 + random.random() / 2)  # noqa: S311


class MessageWorker(Worker):
    """A forking RQ worker whose death is noticed in seconds."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0) -> int:  # noqa: ARG002  # RQ's signature
        """RQ adds a minute to this by default; our leases make that useless."""
        return MONITORING_SECONDS + 10


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
    work_message(app, MessageId(message_id))


def work_message(app: App, message_id: MessageId) -> None:
    """Claim a message and do it, then the next ones of its group; returns when there is nothing left to claim."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with app.database.work() as work:
        claimed = work.outbox.claim(message_id, owner)
    while claimed is not None:
        done = _attempt(app, claimed)
        if not done or not claimed.group:
            return
        with app.database.work() as work:
            claimed = work.outbox.claim_next(claimed.group, owner)


def _attempt(app: App, claimed: Claimed) -> bool:
    """One attempt at one message; True when it is done."""
    context = Context(app.database, app.memory, app.plugins, app.places, claimed)
    fields = {"message_id": claimed.id, "kind": claimed.message.kind, "attempt": claimed.attempts}
    try:
        with _lease(app, claimed):
            perform(context)
    except LeaseLost:
        log.warning("lease lost, stopped without an effect", extra=fields)
        return False
    except RateLimited as error:
        log.warning("the host asked us to wait", extra={**fields, "seconds": error.retry_after})
        _again(app, claimed, error, max(error.retry_after, 1.0))
        return False
    except FixwrightError as error:
        log.warning("message failed", extra={**fields, "code": error.code, "error": error.message})
        _again(app, claimed, error, retry_in(claimed.attempts, app.settings.retry_cap) if error.retryable else None)
        return False
    except Exception as error:  # the worker's boundary (docs/decisions/0003-boundaries.md)
        log.exception("message failed by a fault of ours", extra=fields)
        fault = InternalFault(f"an internal fault ({type(error).__name__})")
        _again(app, claimed, fault, retry_in(claimed.attempts, app.settings.retry_cap))
        return False
    return True


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
