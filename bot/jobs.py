"""Outbox -> RQ. The queue only wakes workers up: losing it costs latency, never work. With forks.py and worker.py the only
importer of rq."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from pipeline.errors import FixwrightError, QueueUnavailable, StoreError, WorkerCrashed
from pipeline.messages import BATCH, COMMAND, INTERACTIVE, NORMAL
from pipeline.model.ids import MessageId
from pipeline.stages.give_up import give_up
from pipeline.store.engine import Database
from pipeline.store.publishing import Published, Turns
from pipeline.store.work import Work

log = logging.getLogger(__name__)

QUEUES = {COMMAND: "fixwright-commands", INTERACTIVE: "fixwright-interactive", NORMAL: "fixwright", BATCH: "fixwright-batch"}
"""Queue of each priority, in the order in which workers look."""

WAKE = "fixwright:wake"
SWEEP_SECONDS = 2.0
MOVED_SECONDS = 4.0
"""Half a lease: a clock that is set by less takes no lease away and holds up nothing for long."""
PROBE_SECONDS = 5.0
"""While messages wait for a host that did not answer, one of them is tried this often. A breaker of the host's own (`providers`) may let
fewer of them through."""
FIRST_DUTY_SECONDS = 5.0
"""A duty is done for the first time so long after the start (or after its own period, when that is shorter)."""
WAIT_SECONDS = 1.0
STOP_SECONDS = 5.0
"""How long a duty that is under way may hold up the end of the relay."""
SILENT_SECONDS = 13.0
"""After so long without an answer the queue is taken for away. Longer than any blocking call of ours or of RQ (a worker blocks in its
dequeue for worker-ttl - 15 s)."""
JOB_SECONDS = 3600
RESULT_SECONDS, FAILURE_SECONDS = 60, 3600
MORE_SECONDS = 0.1
"""Between two looks while something that is due waits for its turn."""
AHEAD = 4
"""Messages of one priority that lie in the queue at least, ..."""
AHEAD_OF_A_WORKER = 2
"""... and for each worker: enough that none waits for the next look, few enough that what is decided last is worked soon."""
REPOSITORY_SCANS = 2
EARLY, LOOKED_AT = "-early", 500
"""What ends the queue's name of a message that is not due, and how far the queue is searched for such ones."""


class Wakes(Protocol):
    """Whoever gets messages worked: a queue with workers behind it, or nobody."""

    @property
    def client(self) -> redis.Redis:
        """The queue itself. Raises QueueUnavailable where there is none."""

    @property
    def url(self) -> str:
        """Where its Redis is; empty: nowhere."""

    def forget(self) -> None:
        """In a forked child: never touch the parent's connections."""

    def wake(self) -> None:
        """Something was committed. Raises QueueUnavailable."""

    def wait(self, seconds: float) -> None:
        """Block until somebody called `wake`, at most `seconds`. Raises QueueUnavailable."""

    def publish(self, messages: Sequence[Published]) -> None:
        """Wake a worker for each. Raises QueueUnavailable."""


class NoQueue:
    """No queue and nobody to wake: the process that sends messages works them itself (`bot.alone`)."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    @property
    def client(self) -> redis.Redis:
        """There is none."""
        raise QueueUnavailable("this process works without a queue")

    @property
    def url(self) -> str:
        """Nowhere."""
        return ""

    def forget(self) -> None:
        """Nothing is open."""

    def wake(self) -> None:
        """End a `wait` of this process."""
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """See `Wakes`."""
        self._woken.wait(seconds)
        self._woken.clear()

    def publish(self, messages: Sequence[Published]) -> None:
        """Nobody listens; who works here looks into the outbox."""


class Jobs:
    """The queue, as one process sees it. Connects on first use; safe to carry over a fork."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: redis.Redis | None = None
        self._waker: redis.Redis | None = None

    @property
    def client(self) -> redis.Redis:
        """Bytes in, bytes out: RQ asks for that."""
        if self._client is None:
            # A server that says nothing is not asked the same three times more: whoever waits is to know, and what was taken out of a
            # queue for nobody is put in again.
            retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), 3, (redis.ConnectionError,))
            self._client = redis.Redis.from_url(self._url, socket_timeout=SILENT_SECONDS, socket_connect_timeout=3, retry=retry)
        return self._client

    @property
    def url(self) -> str:
        """As it was given."""
        return self._url

    @property
    def _hasty(self) -> redis.Redis:
        """For waking: it only saves time, so it may not cost any when the server is away."""
        if self._waker is None:
            self._waker = redis.Redis.from_url(self._url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))
        return self._waker

    def forget(self) -> None:
        """In a forked child: never touch the parent's socket."""
        self._client = None
        self._waker = None

    def wake(self) -> None:
        """Tell the relay that something was committed. Raises QueueUnavailable; the relay looks by itself within a second anyway."""
        try:
            with self._hasty.pipeline(transaction=False) as pipe:
                pipe.lpush(WAKE, b"1")
                pipe.ltrim(WAKE, 0, 0)
                pipe.execute()
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailable(why_not(exc)) from exc

    def wait(self, seconds: float) -> None:
        """Block until somebody called `wake`, at most `seconds`. Raises QueueUnavailable."""
        try:
            self.client.blpop([WAKE], timeout=seconds)
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailable(why_not(exc)) from exc

    def _absent(self, key: str, ids: Sequence[str], again: set[MessageId]) -> list[str]:
        """Those that do not lie in the queue. Twice there would be harmless, but each costs a worker a process."""
        asked = [identifier for identifier in ids if identifier in again]
        with self.client.pipeline(transaction=False) as pipe:
            for identifier in asked:
                pipe.lpos(key, identifier)
            lying = {identifier for identifier, place in zip(asked, pipe.execute(), strict=True) if place is not None}
        return [identifier for identifier in ids if identifier not in lying]

    def _without_old_tries(self, queue: Queue, ids: list[str], early: set[MessageId]) -> list[str]:
        """Of what is tried before it is due, no more than is not being tried anyhow: while all workers are busy the queue would fill."""
        tries = [identifier for identifier in ids if identifier in early]
        if not tries:
            return ids
        lying = sum(name.endswith(EARLY) for name in queue.get_job_ids(0, LOOKED_AT))
        return [identifier for identifier in ids if identifier not in tries[:lying]]

    def publish(self, messages: Sequence[Published]) -> None:
        """Wake a worker for each. Publishing twice is harmless: only one claim wins. Raises QueueUnavailable."""
        by_queue: dict[str, list[str]] = {}
        again = {message.message_id for message in messages if message.again}
        early = {message.message_id for message in messages if message.early}
        for message in messages:
            by_queue.setdefault(QUEUES.get(message.priority, QUEUES[NORMAL]), []).append(message.message_id)
        try:
            for name, ids in by_queue.items():
                queue = Queue(name, connection=self.client, serializer=JSONSerializer)
                ids = self._absent(queue.key, ids, again)
                ids = self._without_old_tries(queue, ids, early)
                prepared = [
                    Queue.prepare_data(
                        "bot.worker.run",
                        args=(identifier, True) if identifier in early else (identifier,),
                        timeout=JOB_SECONDS,
                        result_ttl=RESULT_SECONDS,
                        failure_ttl=FAILURE_SECONDS,
                        ttl=JOB_SECONDS,
                        job_id=f"{identifier}{EARLY}" if identifier in early else identifier,
                    )
                    for identifier in ids
                ]
                queue.enqueue_many(prepared)
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailable(why_not(exc)) from exc


def why_not(exc: Exception) -> str:
    """What is wrong with the queue: that nobody answers, or what the server said: full (`OOM`), a replica (`READONLY`), loading."""
    said = str(exc).splitlines()[0] if isinstance(exc, redis.ResponseError | redis.AuthenticationError | redis.BusyLoadingError) else ""
    return f"Redis takes no work: {said[:200]}" if said else "Redis does not answer"


def take_back(work: Work, owner: str = "") -> None:
    """What a dead worker held is given to somebody else, or given up after the third crash.

    Args:
        owner: all that this one holds, as it is known to be dead; empty: what leases have run out for.
    """
    for dead in work.outbox.expire(owner):
        error = WorkerCrashed(f"the worker crashed {dead.crashes} times on it")
        about = {"message_id": dead.id, "delivery_id": dead.delivery_id, "kind": dead.kind}
        log.error("message.given_up", extra={**about, "code": error.code, "error": error.message})
        if dead.message is not None:
            give_up(work, dead.message, error)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something small that the relay does now and then. `bot/duties.py` lists them all."""

    name: str
    every_seconds: float
    run: Callable[[], object]
    """Bounded work: a batch at a time. May raise FixwrightError, which is logged; the next time is another try."""


class Rota:
    """Duties, and when each is due.

    Args:
        first_seconds: a duty is due for the first time so long from now, or after its own period when that is shorter.
    """

    def __init__(self, duties: Sequence[Duty], first_seconds: float) -> None:
        start = time.monotonic()
        self._duties = duties
        self._due = {duty.name: start + min(duty.every_seconds, first_seconds) for duty in duties}

    def do_due(self) -> None:
        """Do every duty whose time has come. One that fails has its next time."""
        for duty in self._duties:
            if time.monotonic() < self._due[duty.name]:
                continue
            try:
                duty.run()
            except FixwrightError as error:
                log.error("duty.failed", extra={"duty": duty.name, "code": error.code, "error": error.message})
            except Exception:  # the boundary of the duties (docs/decisions/0003-boundaries.md): nobody else does them
                log.exception("duty.fault", extra={"duty": duty.name})
            self._due[duty.name] = time.monotonic() + duty.every_seconds


class Clock:
    """Notices that a clock was set, by looking at it beside one that nobody sets."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    def moved(self, now: float) -> float:
        """Seconds by which it was set since the last look; 0.0 for less than MOVED_SECONDS.

        Args:
            now: what it shows at this moment.
        """
        ahead = now - time.monotonic()
        before, self._ahead = self._ahead, ahead
        moved = 0.0 if before is None else ahead - before
        return moved if abs(moved) >= MOVED_SECONDS else 0.0


class Relay:
    """Publishes the outbox, takes back what crashed workers hold, and does the periodic duties.

    Args:
        scans: how many scans of one repository may run at a time.
        probe_seconds: between two tries of what waits for a host that did not answer.
    """

    def __init__(
        self,
        database: Database,
        jobs: Wakes,
        duties: Sequence[Duty] = (),
        beat: Callable[[], None] | None = None,
        *,
        scans: int = REPOSITORY_SCANS,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._rota = Rota(duties, FIRST_DUTY_SECONDS)
        self._beat = beat
        self._swept = 0.0
        self._queue_was_down = False
        self._clock = Clock()
        self._scans = scans
        self._turns, self._ahead, self._more = Turns(), AHEAD, False
        self._probe_seconds, self._probe_at = probe_seconds, 0.0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Errors of the database and of the queue are waited out: there is nobody else to tell."""
        # A thread of their own: repacking a mirror takes minutes, and an expired lease is to be seen within seconds.
        duties = threading.Thread(target=self._do_duties, args=(stop,), name="duties", daemon=True)
        duties.start()
        while not stop.is_set():
            try:
                if self._beat is not None:
                    self._beat()
                if time.monotonic() - self._swept >= SWEEP_SECONDS:
                    self.sweep()
                self.relay()
                self.number()
                self._jobs.publish(self.probes())
                self._jobs.wait(MORE_SECONDS if self._more else WAIT_SECONDS)
                self._say_queue(up=True)
            except QueueUnavailable as error:
                self._say_queue(up=False, error=error)
                stop.wait(WAIT_SECONDS)
            except StoreError as error:
                log.error("relay.database_down", extra={"code": error.code, "error": error.message})
                stop.wait(WAIT_SECONDS)
        duties.join(STOP_SECONDS)

    def sweep(self) -> None:
        """Leases that expired: the work is given to somebody else, or given up after the third crash."""
        self._swept = time.monotonic()
        with self._database.work() as work:
            if moved := self._clock.moved(work.outbox.now()):
                log.warning("relay.clock_moved", extra={"seconds": round(moved)})
                work.outbox.clock_moved(moved)
            workers = sum(process.alive and process.kind == "worker" for process in work.processes.all())
            self._ahead = max(AHEAD, AHEAD_OF_A_WORKER * workers)
            take_back(work)

    def probes(self) -> Sequence[Published]:
        """What is to be tried before it is due, when it is time for that: see `Publishing.probes`."""
        if time.monotonic() < self._probe_at:
            return ()
        # Jitter spreads several installations that wait for one host; it needs no secrecy.
        self._probe_at = time.monotonic() + self._probe_seconds * (0.5 + random.random() / 2)  # noqa: S311
        with self._database.read() as work:
            return work.publishing.probes()

    def number(self) -> int:
        """Give what happened to findings its place in the log; how many events. See `pipeline.store.eventlog`."""
        with self._database.read() as work:
            if not work.events.waiting():
                return 0
        with self._database.work() as work:
            return work.events.number()

    def _do_duties(self, stop: threading.Event) -> None:
        while not stop.wait(WAIT_SECONDS):
            self.do_duties()

    def do_duties(self) -> None:
        """See `Rota`."""
        self._rota.do_due()

    def relay(self) -> int:
        """Publish what is due and has its turn now; how many messages that were."""
        with self._database.read() as work:
            found = work.publishing.next(self._turns, ahead=self._ahead, scans=self._scans)
        self._more = found.more
        if found.messages:
            self._jobs.publish(found.messages)
            with self._database.work() as work:
                work.outbox.mark_published([message.message_id for message in found.messages])
        return len(found.messages)

    def _say_queue(self, *, up: bool, error: QueueUnavailable | None = None) -> None:
        if up and self._queue_was_down:
            log.warning("relay.queue_up")
            # It may have lost what it held.
            with self._database.work() as work:
                work.outbox.publish_again()
        if not up and not self._queue_was_down:
            log.error("relay.queue_down", extra={"error": str(error)})
        self._queue_was_down = not up
