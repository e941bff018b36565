"""The queue freezes, forgets, fills up: rows 13 to 16. It only wakes; what is to be done lies in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx
import redis
from sqlalchemy import select

from bot.jobs import QUEUES
from pipeline.store.tables import deliveries
from tests.faults.matrix import Run, fault
from tests.faults.meters import Visitors, p99
from tests.faults.stand import NAMES, WORKERS, Stand
from tests.worlds.github.hooks import Delivery

SLOWEST = 1.0
"""Seconds within which 99 of 100 deliveries are acknowledged while the queue is away."""


@contextmanager
def taken(run: Run) -> Iterator[None]:
    """Whatever comes in within this block is acknowledged at once and written down: from people, and copies of what they did."""
    stand = run.stand
    before = len(stand.world.hooks.deliveries)
    with Visitors(stand) as visitors:
        yield
        stand.world.hooks.wait()
    own = stand.world.hooks.deliveries[before:]
    assert not visitors.refused, f"refused with {visitors.refused}"
    assert [one.attempts[0].status for one in own if one.attempts[0].status != 202] == []
    assert p99(visitors.answers) < SLOWEST, f"99 of 100 within {p99(visitors.answers):.2f} s"
    run.more.append(lambda: [f"no row for delivery {identity}" for identity in _unwritten(stand, own, visitors.sent)])
    run.more.append(lambda: [f"{name} has ended" for name in NAMES if not stand.parts[name].alive])


def _unwritten(stand: Stand, own: Sequence[Delivery], sent: Sequence[str]) -> list[str]:
    wanted = {one.id for one in own} | set(sent)
    with stand.database.read() as work:
        return sorted(wanted - {row.delivery_id for row in work.transaction.execute(select(deliveries.c.delivery_id))})


def metric(stand: Stand, name: str) -> float:
    """As whoever watches sees it."""
    lines = httpx.get(f"{stand.url}/metrics", timeout=10, trust_env=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def lying(stand: Stand) -> int:
    """Messages for which somebody is to be woken."""
    with stand.queue.client() as client:
        return sum(int(client.llen(f"rq:queue:{name}")) for name in QUEUES.values())


@fault(13, "the queue freezes", steps=("6 s", "30 s"), names=("queue",))
def freezes(run: Run) -> None:
    end = time.monotonic() + float(run.step.partition(" ")[0])
    run.stand.queue.freeze()
    try:
        with taken(run):
            run.begin_all()
            assert metric(run.stand, "fixwright_queue_up") == 0
            time.sleep(max(0.0, end - time.monotonic()))
            assert not any(life.checks for life in run.lives), "somebody was woken by a queue that is frozen"
    finally:
        run.stand.queue.thaw()
    run.cured()


def _at_work(run: Run) -> None:
    """Engines are in the middle of it."""
    run.stand.engine.hold()
    run.begin_all()
    run.stand.wait("an engine at work", run.stand.engine.at_work)


def _lying(run: Run) -> None:
    """Messages lie in the queue, and nobody takes them out."""
    for name in WORKERS:
        run.stand.parts[name].freeze()
    run.begin_all()
    run.stand.wait("messages in the queue", lambda: lying(run.stand))


MOMENTS: dict[str, Callable[[Run], None]] = {"engines at work": _at_work, "messages lie in it": _lying}


def _go_on(run: Run) -> None:
    run.stand.engine.release()
    for name in WORKERS:
        run.stand.parts[name].thaw()


def _restart(run: Run, seconds: float) -> None:
    run.stand.queue.kill()
    try:
        time.sleep(seconds)
    finally:
        run.stand.queue.start()


@fault(
    14,
    "the queue is restarted and has forgotten everything",
    steps=(*MOMENTS, "away for 5 s"),
    quick=("messages lie in it",),
    names=("queue",),
)
def forgets(run: Run) -> None:
    try:
        if run.step in MOMENTS:
            MOMENTS[run.step](run)
            _restart(run, 0.0)
            assert lying(run.stand) == 0
        else:
            with taken(run):
                run.begin_all()
                _restart(run, 5.0)
    finally:
        _go_on(run)
    run.cured()


@fault(15, "the queue is emptied while it works", steps=tuple(MOMENTS), names=("queue",))
def emptied(run: Run) -> None:
    try:
        MOMENTS[run.step](run)
        with run.stand.queue.client() as client:
            client.flushall()
    finally:
        _go_on(run)
    run.cured()


def _fill(client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def _empty(client: redis.Redis) -> None:
    client.config_set("maxmemory", "0")


def _follow(client: redis.Redis) -> None:
    client.slaveof("127.0.0.1", 1)  # nobody is there


def _lead(client: redis.Redis) -> None:
    client.slaveof()


UNWRITABLE = {"full": (_fill, _empty), "read-only replica": (_follow, _lead)}


@fault(16, "the queue takes nothing", steps=tuple(UNWRITABLE), names=("queue",))
def takes_nothing(run: Run) -> None:
    stand, (strike, mend) = run.stand, UNWRITABLE[run.step]
    with stand.queue.client() as client:
        strike(client)
        try:
            with taken(run):
                run.begin_all()
                time.sleep(6.0)
                assert metric(stand, "fixwright_queue_up") == 0, "nobody is told"
        finally:
            mend(client)
    run.cured()
    run.more.append(lambda: [] if metric(stand, "fixwright_queue_up") == 1 else ["the queue is said to be away"])
