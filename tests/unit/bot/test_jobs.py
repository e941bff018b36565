"""The relay between the outbox and the queue: what is due wakes a worker, also when the queue was away or forgot everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Row, select

from bot.embedded import open_queue
from bot.jobs import MOVED_SECONDS, QUEUES, Clock, Jobs, Relay
from bot.settings import read_settings
from pipeline.errors import QueueUnavailable
from pipeline.messages import BATCH, INTERACTIVE, NORMAL, Envelope, SettleReview
from pipeline.model.ids import MessageId, ReviewId
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.outbox import MAX_CRASHES
from pipeline.store.publishing import RELEASE_SECONDS, Published
from pipeline.store.tables import outbox

AGAIN = 2.0
"""Seconds after which what was published, and nobody claimed, is published again."""


class Scene:
    """A database and a queue that a test switches on and off."""

    def __init__(self, tmp_path: Path) -> None:
        self.settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")})
        self.settings.state_dir.mkdir()
        self.database = Database.open(self.settings.database_url)
        self.database.migrate()
        self._queue = open_queue(self.settings)
        self.url = self._queue.url
        self.jobs = Jobs(self.url)
        self.relay = Relay(self.database, self.jobs, probe_seconds=600.0)

    def start(self) -> None:
        self._queue = open_queue(self.settings)

    def stop(self) -> None:
        if self._queue.service is not None:
            self._queue.service.stop()

    def send(self, key: str, priority: int = NORMAL, delay: float = 0.0) -> MessageId:
        with self.database.work() as work:
            work.outbox.send(Envelope(SettleReview(ReviewId(key)), key, priority=priority, delay=delay))
        return MessageId(self.row(key).id)

    def row(self, key: str) -> Row[Any]:
        with self.database.read() as work:
            return work.transaction.execute(select(outbox).where(outbox.c.key == key)).one()

    def queued(self, priority: int = NORMAL) -> list[str]:
        with redis.Redis.from_url(self.url) as client:
            return [name.decode() for name in client.lrange(f"rq:queue:{QUEUES[priority]}", 0, -1)]

    def crash(self, identifier: MessageId) -> None:
        """A worker takes the message and is never heard of again."""
        with self.database.work() as work:
            assert work.outbox.claim(identifier, "a worker that dies", seconds=-1.0) is not None


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.stop()
    made.jobs.client.close()
    made.database.dispose()


def _wait(look: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_due_is_published_by_its_priority_and_the_rest_is_not(scene: Scene) -> None:
    now, soon, slow, later = scene.send("now"), scene.send("soon", INTERACTIVE), scene.send("slow", BATCH), scene.send("later", delay=60)
    begun = time.monotonic()
    assert scene.relay.relay() == 3
    assert [scene.queued(priority) for priority in (INTERACTIVE, NORMAL, BATCH)] == [[soon], [now], [slow]]
    assert scene.row("later").publishes == 0
    assert later not in scene.queued()
    assert scene.relay.relay() == 0 or time.monotonic() - begun >= AGAIN


def test_a_queue_that_is_away_costs_no_message(scene: Scene) -> None:
    scene.stop()
    identifier = scene.send("kept")
    with pytest.raises(QueueUnavailable):
        scene.relay.relay()
    assert scene.row("kept").publishes == 0
    scene.start()
    assert scene.relay.relay() == 1
    assert scene.queued() == [identifier]


def test_waking_a_queue_that_is_away_costs_no_time(scene: Scene) -> None:
    scene.stop()
    took = []
    for _ in range(5):
        begun = time.monotonic()
        with pytest.raises(QueueUnavailable):
            scene.jobs.wake()
        took.append(time.monotonic() - begun)
    assert min(took) < 1.0


def test_a_relay_outlives_a_queue_that_goes_and_comes_back_empty(scene: Scene) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=scene.relay.run, args=(stop,))
    thread.start()
    try:
        before = scene.send("before")
        _wait(lambda: before in scene.queued())
        with redis.Redis.from_url(scene.url) as client:
            client.flushall()
        scene.stop()
        while_away = scene.send("while away")
        time.sleep(1.5)
        scene.start()
        _wait(lambda: {before, while_away} <= set(scene.queued()))
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_what_a_queue_forgot_is_published_again(scene: Scene) -> None:
    identifier = scene.send("forgotten")
    begun = time.monotonic()
    scene.relay.relay()
    with redis.Redis.from_url(scene.url) as client:
        client.flushall()
    if scene.relay.relay():
        assert time.monotonic() - begun >= AGAIN
    else:
        _wait(scene.relay.relay)
    assert scene.queued() == [identifier]


def test_a_message_that_is_worked_on_is_not_published_again(scene: Scene) -> None:
    identifier = scene.send("running")
    scene.relay.relay()
    with scene.database.work() as work:
        assert work.outbox.claim(identifier, "a worker", seconds=600.0) is not None
    time.sleep(AGAIN + 0.2)
    scene.relay.sweep()
    assert scene.relay.relay() == 0


def test_the_sweep_takes_back_what_a_dead_worker_held(scene: Scene) -> None:
    identifier = scene.send("held")
    scene.crash(identifier)
    assert scene.relay.relay() == 0
    scene.relay.sweep()
    assert (scene.row("held").status, scene.row("held").crashes) == ("pending", 1)
    assert scene.relay.relay() == 1
    assert scene.queued() == [identifier]


def test_a_clock_that_was_set_is_noticed_once() -> None:
    clock = Clock()
    assert clock.moved(time.monotonic() + 1_000_000.0) == 0.0
    assert clock.moved(time.monotonic() + 1_000_000.0) == 0.0
    assert clock.moved(time.monotonic() + 1_000_000.0 + MOVED_SECONDS / 2) == 0.0
    assert clock.moved(time.monotonic() + 1_000_600.0) == pytest.approx(600.0 - MOVED_SECONDS / 2, abs=1.0)
    assert clock.moved(time.monotonic() + 1_000_600.0) == 0.0
    assert clock.moved(time.monotonic() + 1_000_000.0) == pytest.approx(-600.0, abs=1.0)


def test_publishing_twice_lets_one_worker_win(scene: Scene) -> None:
    identifier = scene.send("twice")
    with scene.database.read() as work:
        due = work.outbox.publishable(10)
    scene.jobs.publish(due)
    scene.jobs.publish(due)
    with scene.database.work() as work:
        assert work.outbox.claim(identifier, "one") is not None
        assert work.outbox.claim(identifier, "other") is None


def test_a_message_that_kills_its_workers_is_given_up(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    identifier = scene.send("deadly")
    for _ in range(MAX_CRASHES - 1):
        scene.crash(identifier)
        scene.relay.sweep()
        assert scene.row("deadly").status == "pending"
    with scene.database.work() as work:
        # Of a kind for whose end nothing else has to be done.
        work.transaction.execute(outbox.update().where(outbox.c.key == "deadly").values(kind="unknown", body='{"kind": "unknown"}'))
        work.transaction.execute(outbox.update().where(outbox.c.key == "deadly").values(status="running", lease_until=1.0))
    scene.relay.sweep()
    assert (scene.row("deadly").status, scene.row("deadly").error_code) == ("dead", "WORKER_CRASHED")
    assert caplog.messages.count("message.given_up") == 1
    scene.relay.sweep()
    assert scene.relay.relay() == 0


def failed_at(scene: Scene, seconds: float) -> None:
    """All that waits failed so many seconds from now."""
    with scene.database.work() as work:
        work.transaction.execute(outbox.update().values(lease_until=database_now() + seconds))


def test_of_what_waits_for_a_host_one_message_is_tried_now_and_then_before_it_is_due(scene: Scene) -> None:
    for key, host in (("a", "github:"), ("b", "github:"), ("c", "github:ghes"), ("d", "")):
        scene.send(key)
        with scene.database.work() as work:
            claimed = work.outbox.claim(MessageId(scene.row(key).id), "host:1")
            assert claimed is not None
            assert claimed.early == 0.0
            work.outbox.fail(claimed.id, claimed.epoch, error_code="HOST_UNAVAILABLE", retry_in=600, waits_for=host)
    failed_at(scene, 0)
    with scene.database.work() as work:
        assert work.publishing.probes() == [], "all of them failed a moment ago"
        assert work.outbox.claim(MessageId(scene.row("c").id), "host:1", early=True) is None, "it failed meanwhile"
    failed_at(scene, 3600)
    with scene.database.read() as work:
        assert len(work.publishing.probes()) == 2, "the clock was set back: a failure in the future is an old one"
    failed_at(scene, -RELEASE_SECONDS)
    probes = scene.relay.probes()
    assert [scene.row(key).id for key in "ab"].count(probes[0].message_id) == 1
    assert [probe.message_id for probe in probes[1:]] == [scene.row("c").id]
    assert list(scene.relay.probes()) == [], "it is not time for the next ones"
    scene.jobs.publish(probes)
    assert sorted(scene.queued()) == sorted(f"{probe.message_id}-early" for probe in probes)
    with scene.database.work() as work:
        assert work.outbox.claim(MessageId(scene.row("c").id), "host:1") is None, "it is not due"
        early = work.outbox.claim(MessageId(scene.row("c").id), "host:1", early=True)
        assert early is not None
        assert 300 < early.early <= 600
        assert work.outbox.claim(MessageId(scene.row("d").id), "host:1", early=True) is None, "it waits for no host"


def test_while_all_workers_are_busy_what_is_tried_before_it_is_due_does_not_pile_up(scene: Scene) -> None:
    due = [Published(scene.send(f"due{n}"), NORMAL) for n in range(3)]
    one, two, other = (Published(scene.send(key), NORMAL, early=True) for key in ("one", "two", "other"))
    scene.jobs.publish([*due, one])
    scene.jobs.publish([two])
    assert len(scene.queued()) == 4, "one is tried for the host already"
    scene.jobs.publish([two, other])
    assert scene.queued()[4:] == [f"{other.message_id}-early"], "the other host's is not"
    with redis.Redis.from_url(scene.url) as client:
        client.delete(f"rq:queue:{QUEUES[NORMAL]}")
    scene.jobs.publish([two])
    assert scene.queued() == [f"{two.message_id}-early"]
