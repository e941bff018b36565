"""The RQ worker: forks a child for each message, notices its death in seconds, and keeps nothing in the queue that must not leave. With
jobs.py and worker.py the only importer of rq."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from resource import struct_rusage
from types import FrameType

import redis
from redis.client import Pipeline
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry

from bot.overtime import Watch
from bot.pulse import Pulse
from pipeline.sandbox.fork import Fork
from pipeline.sandbox.orphans import end_orphans
from pipeline.sandbox.service import die_with_parent
from pipeline.sandbox.workfolder import WorkFolder
from pipeline.stopping import stop

log = logging.getLogger(__name__)

WORKER_TTL, MONITORING_SECONDS, MAINTENANCE_SECONDS = 25, 5, 5
"""RQ's own defaults notice a killed worker after minutes; these after seconds. Our leases are quicker still and are what counts."""

ORPHAN_EXIT = 77

STOP_SECONDS = 4.0
"""How long a message may go on after SIGTERM before it is given back. Looked at every MONITORING_SECONDS; `up` waits 15 s."""


class MessageWorker(Worker):
    """A forking RQ worker whose death is noticed in seconds, and that gives back what it cannot finish before it has to end."""

    max_connection_wait_time = 2.0
    """RQ's own patience with a queue that is away grows to a minute."""
    folder: WorkFolder | None = None
    """Where the messages keep their temporary files; emptied after each, however it ended."""
    pulse: Pulse | None = None
    watch: Watch | None = None
    lost: Callable[[], None] = staticmethod(lambda: None)
    """Called when a child did not end well."""
    lane: Fork | None = None
    """Works commands beside us; see `bot.worker.serve`."""
    _stop_at: float | None = None

    @property
    def stopping(self) -> bool:
        """True when it was asked to stop."""
        return self._stop_at is not None

    _status: int | None = os.EX_OK
    """Of the last child, as wait(2) gives it; None when somebody else heard of its end."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0) -> int:  # noqa: ARG002  # RQ's signature
        """RQ adds a minute to this by default; our leases make that useless."""
        return MONITORING_SECONDS + 10

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Called while a message is worked. A queue that is away must not end the work: nothing of it lies there."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self._give_back()
        if self.watch is not None and (why := self.watch.trouble()):
            log.error("message.hangs", extra={"message_id": job.id, "why": why})
            self.kill_horse(signal.SIGKILL)
        try:
            super().maintain_heartbeats(job, execution)
        except (redis.RedisError, OSError) as error:
            log.warning("worker.queue_down", extra={"error": type(error).__name__})

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ calls it every 10 s while we wait and every 5 s while a message is worked: the store is told, too, and what lost its owner
        since then is ended."""
        end_orphans()
        if self.lane is not None:
            self.lane.keep()
        if self.pulse is not None:
            self.pulse.beat()
        super().heartbeat(timeout, pipeline)

    def wait_for_horse(self) -> tuple[int | None, int | None, struct_rusage | None]:
        """How the child ended is remembered for when RQ, which asks the queue first, is done with it."""
        ended = super().wait_for_horse()
        self._status = ended[1]
        return ended

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Wait for the child; then clear what a killed one left, and give back at once what it held."""
        self._status = os.EX_OK
        try:
            super().monitor_work_horse(job, queue, execution)
        finally:
            if self.watch is not None:
                self.watch.end()
            if self.folder is not None:
                self.folder.clear()
            if self._status != os.EX_OK:
                end_orphans()
                self.lost()

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """RQ keeps how a job failed in the queue for an hour, its traceback with it. What an error says may hold what somebody pushed, or a
        secret; the log has it, without what must not leave. The queue has the kinds of the error and of what brought it about."""
        error = sys.exception()  # of the child whose message raised; of a child that died RQ itself says how
        said = kinds(error) if error is not None else exc_string
        super().handle_job_failure(job, queue, started_job_registry, said, execution)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM: the message may go on for STOP_SECONDS."""
        self._stop_at = time.monotonic() + STOP_SECONDS
        if self.lane is not None:
            self.lane.ask_to_end()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ has no types there

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # RQ's signature
        """A second SIGTERM: the message is given back at once. RQ would kill the child, which counts as a crash."""
        self._give_back()

    def set_shutdown_requested_date(self) -> None:
        """For people who look into the queue; it may be gone by now."""
        try:
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]  # RQ has no types there
        except (redis.RedisError, OSError) as error:
            log.info("worker.stopping_without_queue", extra={"error": type(error).__name__})

    def _give_back(self) -> None:
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def setup_work_horse_signals(self) -> None:
        """In the child: SIGTERM, and our parent's death, give the message back."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop)
        die_with_parent(signal.SIGTERM)
        if os.getppid() != self.pid:  # it died before we could ask to be told; nothing is claimed yet
            os._exit(ORPHAN_EXIT)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a signal handler's signature
    # Once: what is cleared up on the way out must not be interrupted again.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop()


def kinds(error: BaseException) -> str:
    """What kind of error it is and what caused it, without what any of them says: `StoreUnavailable, after OperationalError`."""
    names: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:  # a chain of causes can be a ring
        seen.add(id(cause))
        names.append(type(cause).__name__)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return ", after ".join(names)
