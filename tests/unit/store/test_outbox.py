"""The outbox: one winner, no lost work, no work by who was overtaken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from pipeline.errors import LeaseLost, QueueUnavailable
from pipeline.messages import COMMAND, INTERACTIVE, AcceptEvent, Envelope, SettleReview
from pipeline.model.event import CommentEvent, CommentRef
from pipeline.model.ids import MessageId
from pipeline.model.target import UserRef
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.outbox import MAX_CRASHES, MESSAGE_UNREADABLE, UNREADABLE_ATTEMPTS, WORKER_CRASHED, Backlog, Claimed
from pipeline.store.tables import outbox
from pipeline.store.work import Work
from tests.unit.store.samples import HOSTILE, INSTALLATION, envelope, let_pass, pull_request


def send(database: Database, *envelopes: Envelope) -> None:
    with database.work() as work:
        work.outbox.send(*envelopes)


def only_id(database: Database) -> MessageId:
    with database.work() as work:
        return MessageId(work.transaction.execute(text("SELECT id FROM outbox")).scalar_one())


def only(work: Work, key: str) -> str:
    return str(work.transaction.execute(select(outbox.c.id).where(outbox.c.key == key)).scalar_one())


def due_in(work: Work, key: str) -> float:
    return float(work.transaction.execute(select(outbox.c.due_at - database_now()).where(outbox.c.key == key)).scalar_one())


HELD = 800.0
"""Seconds of a lease here: so many that none ends by the time that a test takes."""


def claim(database: Database, owner: str = "me") -> Claimed:
    message_id = only_id(database)
    with database.work() as work:
        claimed = work.outbox.claim(message_id, owner, seconds=HELD)
    assert claimed is not None
    return claimed


def status(database: Database) -> tuple[str, int, int]:
    with database.work() as work:
        row = work.transaction.execute(text("SELECT status, attempts, crashes FROM outbox")).one()
    return row.status, row.attempts, row.crashes


def test_a_message_comes_out_as_it_went_in(database: Database) -> None:
    message = AcceptEvent(HOSTILE, CommentEvent(INSTALLATION, CommentRef(pull_request(), "5"), UserRef("1", HOSTILE), HOSTILE))
    send(database, Envelope(message, HOSTILE, group=HOSTILE))
    claimed = claim(database)
    assert (claimed.message, claimed.key, claimed.group) == (message, HOSTILE, HOSTILE)


def test_a_key_is_sent_once_also_after_it_was_done(database: Database) -> None:
    send(database, envelope("same"), envelope("same"))
    claimed = claim(database)
    with database.work() as work:
        work.outbox.finish(claimed.id, claimed.epoch)
    send(database, envelope("same"))
    assert status(database) == ("done", 1, 0)


def test_an_undone_transaction_sends_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.work() as work:
        work.outbox.send(envelope())
        raise ZeroDivisionError
    with database.work() as work:
        assert work.outbox.backlog() == Backlog(0, 0, 0, 0.0)


def test_of_many_claims_at_once_one_wins(database: Database) -> None:
    send(database, envelope())
    message_id = only_id(database)
    barrier = threading.Barrier(8)

    def race(number: int) -> Claimed | None:
        barrier.wait()
        with database.work() as work:
            return work.outbox.claim(message_id, str(number))

    with ThreadPoolExecutor(8) as pool:
        won = [claimed for claimed in pool.map(race, range(8)) if claimed]
    assert [claimed.epoch for claimed in won] == [1]


def test_workers_of_one_group_never_take_the_same_message(database: Database) -> None:
    send(database, *(envelope(str(number), group="g") for number in range(20)))
    barrier = threading.Barrier(4)

    def take(number: int) -> list[str]:
        barrier.wait()
        taken: list[str] = []
        while True:
            with database.work() as work:
                claimed = work.outbox.claim_next("g", str(number))
            if claimed is None:
                return taken
            taken.append(claimed.key)

    with ThreadPoolExecutor(4) as pool:
        taken = [key for keys in pool.map(take, range(4)) for key in keys]
    assert len(taken) == len(set(taken))
    # Under contention a claim may come back empty-handed; what nobody took is still there for the relay.
    with database.work() as work:
        backlog = work.outbox.backlog()
    assert (backlog.waiting + backlog.running, backlog.running) == (20, len(taken))


def test_a_group_is_worked_by_priority_and_then_in_the_order_of_sending(database: Database) -> None:
    send(database, envelope("second", group="g"), envelope("third", group="g"), envelope("other", group="h"))
    send(database, envelope("first", group="g", priority=0), envelope("later", group="g", delay=60))
    keys = []
    for _ in range(4):
        with database.work() as work:
            claimed = work.outbox.claim_next("g", "me")
        keys.append(claimed.key if claimed else None)
    assert keys == ["first", "second", "third", None]


def test_a_lane_goes_on_with_commands_only_and_holds_nothing_else_back(database: Database) -> None:
    command, long = envelope("command", group="g", priority=COMMAND), envelope("long", group="g", priority=INTERACTIVE)
    send(database, replace(command, hold=60.0), replace(long, hold=60.0))
    with database.work() as work:
        claimed = work.outbox.claim_next("g", "lane", HELD, urgent=COMMAND)
        assert claimed is not None
        assert claimed.key == "command"
        assert work.outbox.claim_next("g", "lane", HELD, urgent=COMMAND) is None
        assert work.outbox.publishable(10) == []
        work.outbox.let_go("g")
        assert [published.message_id for published in work.outbox.publishable(10)] == [only(work, "long")]


def test_what_is_not_due_is_not_let_go(database: Database) -> None:
    send(database, envelope("later", group="g", delay=60))
    with database.work() as work:
        work.outbox.let_go("g")
        assert work.outbox.publishable(10) == []


def test_messages_without_a_group_are_nobody_s_next(database: Database) -> None:
    send(database, envelope())
    with database.work() as work:
        assert work.outbox.claim_next("", "me") is None


def test_a_delayed_message_waits(database: Database) -> None:
    send(database, envelope(delay=60))
    message_id = only_id(database)
    with database.work() as work:
        assert work.outbox.claim(message_id, "me") is None
        assert work.outbox.publishable(10) == []
    let_pass(database, 61)
    with database.work() as work:
        assert [published.message_id for published in work.outbox.publishable(10)] == [message_id]
        assert work.outbox.claim(message_id, "me") is not None


def test_a_lease_expires_by_the_clock_of_the_database(database: Database) -> None:
    send(database, envelope())
    message_id = only_id(database)
    with database.work() as work:
        first = work.outbox.claim(message_id, "first", seconds=HELD)
    assert first is not None
    with database.work() as work:
        assert work.outbox.claim(first.id, "second") is None
        work.outbox.renew(first.id, first.epoch, 0.2)
    time.sleep(0.3)
    with database.work() as work:
        second = work.outbox.claim(first.id, "second")
    assert second is not None
    assert (second.epoch, second.attempts, second.crashes) == (2, 2, 1)


def test_renewing_keeps_the_lease(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    for _ in range(3):
        let_pass(database, HELD * 0.75)
        with database.work() as work:
            work.outbox.renew(claimed.id, claimed.epoch, HELD)
    with database.work() as work:
        work.outbox.check(claimed.id, claimed.epoch)
        assert work.outbox.claim(claimed.id, "other") is None


def test_who_was_overtaken_can_do_nothing_more(database: Database) -> None:
    send(database, envelope())
    old = claim(database)
    let_pass(database, HELD + 1)
    new = claim(database, "other")
    attempts: tuple[Callable[[Work], None], ...] = (
        lambda w: w.outbox.check(old.id, old.epoch),
        lambda w: w.outbox.renew(old.id, old.epoch),
        lambda w: w.outbox.finish(old.id, old.epoch),
        lambda w: w.outbox.fail(old.id, old.epoch, error_code="X", retry_in=None),
        lambda w: w.outbox.release(old.id, old.epoch),
    )
    for attempt in attempts:
        with pytest.raises(LeaseLost), database.work() as work:
            attempt(work)
    with database.work() as work:
        work.outbox.check(new.id, new.epoch)
    assert status(database) == ("running", 2, 1)


def test_a_lease_that_ended_because_the_message_is_done_was_not_lost(database: Database) -> None:
    """Its renewal may come a moment after the end of the message."""
    send(database, envelope())
    old = claim(database)
    let_pass(database, HELD + 1)
    new = claim(database, "other")
    with database.work() as work:
        assert not work.outbox.is_done(new.id, new.epoch)
        work.outbox.finish(new.id, new.epoch)
    with pytest.raises(LeaseLost), database.work() as work:
        work.outbox.renew(new.id, new.epoch)
    with database.read() as work:
        assert work.outbox.is_done(new.id, new.epoch)
        assert not work.outbox.is_done(old.id, old.epoch)


def test_what_an_overtaken_worker_wrote_with_its_last_step_is_undone(database: Database) -> None:
    send(database, envelope())
    old = claim(database)
    let_pass(database, HELD + 1)
    claim(database, "other")
    with pytest.raises(LeaseLost), database.work() as work:
        work.outbox.send(envelope("an effect"))
        work.outbox.finish(old.id, old.epoch)
    with database.work() as work:
        assert work.outbox.backlog().waiting == 0


def test_an_expired_lease_fails_the_fence_even_when_nobody_took_over(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    let_pass(database, HELD + 1)
    with pytest.raises(LeaseLost), database.work() as work:
        work.outbox.check(claimed.id, claimed.epoch)


def test_the_sweep_gives_back_what_a_crash_left(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    with database.work() as work:
        work.outbox.mark_published([claimed.id])
        assert work.outbox.expire() == []
    assert status(database) == ("running", 1, 0)
    let_pass(database, HELD + 1)
    with database.work() as work:
        assert work.outbox.expire() == []
        assert [published.message_id for published in work.outbox.publishable(10)] == [claimed.id]
    assert status(database) == ("pending", 1, 1)
    with pytest.raises(LeaseLost), database.work() as work:
        work.outbox.finish(claimed.id, claimed.epoch)


def test_the_third_crash_is_the_last(database: Database) -> None:
    send(database, envelope("deadly"))
    for crash in range(1, MAX_CRASHES + 1):
        claimed = claim(database)
        let_pass(database, HELD + 1)
        with database.work() as work:
            dead = work.outbox.expire()
        assert len(dead) == (1 if crash == MAX_CRASHES else 0)
    assert (dead[0].id, dead[0].message, dead[0].error_code, dead[0].crashes) == (claimed.id, claimed.message, WORKER_CRASHED, 3)
    with database.work() as work:
        assert work.outbox.expire() == []
        assert work.outbox.claim(claimed.id, "me") is None
        assert work.outbox.publishable(10) == []
        assert work.outbox.dead(10) == dead
        assert work.outbox.backlog().dead == 1


def test_a_clock_that_is_set_forward_takes_no_lease_away(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    let_pass(database, HELD + 600)
    with database.work() as work:
        work.outbox.clock_moved(HELD + 600)
        assert work.outbox.expire() == []
        work.outbox.check(claimed.id, claimed.epoch)
    let_pass(database, HELD + 1)
    with database.work() as work:
        work.outbox.expire()
    assert status(database) == ("pending", 1, 1)


def test_a_clock_that_is_set_back_holds_nothing_up(database: Database) -> None:
    send(database, envelope("held"))
    claim(database)
    send(database, envelope("due"), envelope("later", delay=60))
    let_pass(database, -600)
    send(database, envelope("sent since"))
    with database.work() as work:
        assert [published.message_id for published in work.outbox.publishable(10)] == [only(work, "sent since")]
        work.outbox.clock_moved(-600)
        assert {published.message_id for published in work.outbox.publishable(10)} == {only(work, "due"), only(work, "sent since")}
        assert 30 < due_in(work, "later") <= 60
    let_pass(database, HELD + 1)
    with database.work() as work:
        work.outbox.expire()
        assert only(work, "held") in [published.message_id for published in work.outbox.publishable(10)]


def test_what_a_worker_held_that_is_known_to_be_dead_is_taken_back_at_once(database: Database) -> None:
    send(database, envelope("its"), envelope("another's"))
    for key, owner in (("its", "dead:1"), ("another's", "lives:2")):
        with database.work() as work:
            found = work.transaction.execute(select(outbox.c.id).where(outbox.c.key == key)).scalar_one()
            assert work.outbox.claim(MessageId(found), owner) is not None
    with database.work() as work:
        assert work.outbox.expire("dead:1") == []
        rows = work.transaction.execute(text("SELECT key, status, crashes FROM outbox ORDER BY key")).all()
    assert [tuple(row) for row in rows] == [("another's", "running", 0), ("its", "pending", 1)]


def test_the_third_child_that_dies_is_the_last(database: Database) -> None:
    send(database, envelope("deadly"))
    for crash in range(1, MAX_CRASHES + 1):
        claim(database, "dead:1")
        with database.work() as work:
            dead = work.outbox.expire("dead:1")
        assert len(dead) == (1 if crash == MAX_CRASHES else 0)
    assert (dead[0].error_code, dead[0].crashes) == (WORKER_CRASHED, MAX_CRASHES)


def test_crashes_count_also_when_the_next_worker_is_quicker_than_the_sweep(database: Database) -> None:
    send(database, envelope())
    message_id = only_id(database)
    for _ in range(MAX_CRASHES):
        claim(database)
        let_pass(database, HELD + 1)
    with database.work() as work:
        assert work.outbox.claim(message_id, "a fourth") is None
        assert [dead.id for dead in work.outbox.expire()] == [message_id]


def test_two_sweeps_report_a_dead_message_once(database: Database) -> None:
    send(database, envelope())
    for _ in range(MAX_CRASHES):
        claim(database)
        let_pass(database, HELD + 1)
    barrier = threading.Barrier(2)

    def sweep(_: int) -> int:
        barrier.wait()
        with database.work() as work:
            return len(work.outbox.expire())

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(sweep, range(2))) == [0, 1]


def test_a_failed_attempt_is_tried_again_later(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    with database.work() as work:
        work.outbox.fail(claimed.id, claimed.epoch, error_code="HOST_UNAVAILABLE", retry_in=30)
        assert work.outbox.claim(claimed.id, "me") is None
        assert work.outbox.publishable(10) == []
    let_pass(database, 31)
    assert claim(database).attempts == 2
    assert status(database) == ("running", 2, 0)


def test_a_failure_without_another_try_is_a_dead_letter_that_people_can_revive(database: Database) -> None:
    send(database, envelope("lost"))
    claimed = claim(database)
    with database.work() as work:
        work.outbox.fail(claimed.id, claimed.epoch, error_code="HOST_FORBIDDEN", retry_in=None)
        assert [(dead.key, dead.error_code) for dead in work.outbox.dead(10)] == [("lost", "HOST_FORBIDDEN")]
        assert work.outbox.expire() == []
    with database.work() as work:
        assert work.outbox.revive(claimed.id)
        assert not work.outbox.revive(claimed.id)
    assert claim(database).attempts == 1


def test_giving_a_message_back_costs_no_attempt(database: Database) -> None:
    send(database, envelope())
    claimed = claim(database)
    with database.work() as work:
        work.outbox.release(claimed.id, claimed.epoch, retry_in=0)
    assert status(database) == ("pending", 0, 0)
    assert claim(database).epoch == 2


def test_the_most_urgent_is_published_first(database: Database) -> None:
    send(database, envelope("batch", priority=2), envelope("push"), envelope("person", priority=0))
    with database.work() as work:
        assert [published.priority for published in work.outbox.publishable(2)] == [0, 1]


def test_what_the_queue_forgot_is_published_again_ever_more_slowly(database: Database) -> None:
    send(database, envelope())
    message_id = only_id(database)
    waited = []
    for _ in range(5):
        with database.work() as work:
            work.outbox.mark_published([message_id])
        seconds = 0
        while True:
            with database.work() as work:
                if work.outbox.publishable(10):
                    break
            let_pass(database, 1)
            seconds += 1
        waited.append(seconds)
    assert waited == [2, 4, 8, 16, 16]


def test_a_queue_that_lost_everything_gets_it_again_at_once(database: Database) -> None:
    send(database, envelope(), envelope("later", delay=60))
    with database.work() as work:
        work.outbox.mark_published([published.message_id for published in work.outbox.publishable(10)])
        assert work.outbox.publishable(10) == []
        work.outbox.publish_again()
        assert len(work.outbox.publishable(10)) == 1


def test_a_message_of_a_newer_version_waits_for_a_newer_worker(database: Database) -> None:
    send(database, envelope())
    message_id = only_id(database)
    for attempt in range(1, UNREADABLE_ATTEMPTS + 1):
        with database.work() as work:
            work.transaction.execute(text("""UPDATE outbox SET body = '{"kind": "of tomorrow"}'"""))
            assert work.outbox.claim(message_id, "me") is None
        assert status(database)[:2] == ("pending" if attempt < UNREADABLE_ATTEMPTS else "dead", attempt)
        let_pass(database, 11)
    with database.work() as work:
        (dead,) = work.outbox.dead(10)
    assert (dead.message, dead.error_code, dead.kind) == (None, MESSAGE_UNREADABLE, "settle_review")


def test_the_relay_is_woken_after_a_commit_that_sent_something(database: Database) -> None:
    seen: list[int] = []

    def wake() -> None:
        with database.work() as work:
            seen.append(work.outbox.backlog().waiting)
        raise QueueUnavailable("a queue that is down must not undo a commit")

    database.on_commit(wake)
    send(database, envelope())
    assert seen == [1]
    send(database, envelope())
    assert seen == [1], "a key that was known is nothing new"
    with pytest.raises(ZeroDivisionError), database.work() as work:
        work.outbox.send(envelope("undone"))
        raise ZeroDivisionError
    assert seen == [1]


def test_a_callback_of_one_transaction_runs_after_its_commit_only(database: Database) -> None:
    called: list[str] = []
    with database.work() as work:
        work.on_commit(lambda: called.append("committed"))
        assert called == []
    with pytest.raises(ZeroDivisionError), database.work() as work:
        work.on_commit(lambda: called.append("undone"))
        raise ZeroDivisionError
    assert called == ["committed"]


def test_the_backlog_tells_how_long_the_oldest_has_waited(database: Database) -> None:
    send(database, envelope("old"))
    let_pass(database, 40)
    send(database, envelope("new"), envelope("later", delay=100))
    with database.work() as work:
        backlog = work.outbox.backlog()
    assert (backlog.waiting, backlog.running, backlog.dead) == (3, 0, 0)
    assert 40 <= backlog.oldest_seconds < 60


def test_only_old_done_messages_are_purged(database: Database) -> None:
    send(database, envelope("done"))
    claimed = claim(database)
    with database.work() as work:
        work.outbox.finish(claimed.id, claimed.epoch)
        assert work.outbox.purge(keep_seconds=3600) == 0
    let_pass(database, 3700)
    send(database, envelope("waiting"))
    let_pass(database, 3700)
    with database.work() as work:
        assert work.outbox.purge(keep_seconds=3600) == 1
        assert work.outbox.backlog().waiting == 1


def test_an_unknown_message_is_not_to_be_had(database: Database) -> None:
    with database.work() as work:
        assert work.outbox.claim(MessageId("nothing"), "me") is None
    with pytest.raises(LeaseLost), database.work() as work:
        work.outbox.finish(MessageId("nothing"), 1)


def test_message_ids_sort_as_they_were_sent(database: Database) -> None:
    send(database, *(envelope(f"{number:03d}") for number in range(300)))
    with database.work() as work:
        keys = [row.key for row in work.transaction.execute(text("SELECT key FROM outbox ORDER BY id"))]
    assert keys == [f"{number:03d}" for number in range(300)]


def test_the_settle_message_is_what_it_was(database: Database) -> None:
    send(database, envelope("x"))
    assert isinstance(claim(database).message, SettleReview)
