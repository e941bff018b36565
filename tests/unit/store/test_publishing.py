"""Whose turn it is: the urgent first, then tenants in turns, then age; nobody starves and nobody overtakes within a review."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import pytest
from sqlalchemy import Connection, func, insert, select, text, update

from pipeline.messages import (
    BATCH,
    INTERACTIVE,
    NORMAL,
    AcceptEvent,
    Envelope,
    Message,
    Reply,
    RunScan,
    ScanRepository,
    SettleReview,
    StartReview,
)
from pipeline.model.event import CommentEvent, CommentRef, MemberEvent, PushEvent
from pipeline.model.ids import InstallationId, MessageId, ReviewId, ScanId
from pipeline.model.target import Installation, UserRef
from pipeline.store.belongs import belongs
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.outbox import Claimed
from pipeline.store.publishing import MEMORY, Published, Turns
from pipeline.store.tables import outbox
from pipeline.trail import Trail, following
from tests.unit.store.samples import INSTALLATION, REPOSITORY, commit, let_pass, pull_request

_NUMBERS = count()


def send(database: Database, tenant: str, *, priority: int = NORMAL, group: str = "", repository: str = "", scan: bool = False) -> str:
    """One message of a tenant; its key."""
    key = f"{tenant}-{next(_NUMBERS)}"
    message = RunScan(ScanId(key), ReviewId(group)) if scan else SettleReview(ReviewId(group))
    with following(Trail(tenant=tenant, repository=repository)), database.work() as work:
        work.outbox.send(Envelope(message, key, priority=priority, group=group))
    return key


def publish(database: Database, turns: Turns, *, ahead: int = 4, scans: int = 2) -> list[Published]:
    with database.work() as work:
        found = work.publishing.next(turns, ahead=ahead, scans=scans)
        work.outbox.mark_published([message.message_id for message in found.messages])
    return list(found.messages)


def keys(database: Database, messages: list[Published]) -> list[str]:
    with database.read() as work:
        rows = work.transaction.execute(select(outbox.c.id, outbox.c.key)).all()
    names = {row.id: row.key for row in rows}
    return [names[message.message_id] for message in messages]


def claim(database: Database, message_id: MessageId, scans: int = 2) -> Claimed | None:
    with database.work() as work:
        return work.outbox.claim(message_id, "me", scans=scans)


def finish(database: Database, claimed: Claimed) -> None:
    with database.work() as work:
        work.outbox.finish(claimed.id, claimed.epoch)


@dataclass
class Bench:
    """A relay, a queue in memory, and one worker."""

    database: Database
    turns: Turns = field(default_factory=Turns)
    queues: dict[int, list[MessageId]] = field(default_factory=lambda: {INTERACTIVE: [], NORMAL: [], BATCH: []})

    def work_one(self) -> str | None:
        """The key of the message that is worked next; None when there is none."""
        for message in publish(self.database, self.turns):
            self.queues[message.priority].append(message.message_id)
        while (lying := next((queue for queue in self.queues.values() if queue), None)) is not None:
            claimed = claim(self.database, lying.pop(0))
            if claimed is not None:  # a slow machine publishes what lies in a queue for long once more
                finish(self.database, claimed)
                return claimed.key
        return None


def test_a_message_has_its_tenant_and_repository_from_what_it_names_or_from_who_sent_it() -> None:
    trail = Trail(tenant="whoever", repository="whatever")
    tenant, repository = "github:github.com:17", "github:github.com:4711"
    sender, ref = UserRef("1", "ada"), pull_request()
    comment = CommentRef(ref, "5")
    push = PushEvent(INSTALLATION, REPOSITORY, sender, "main", commit("a"), commit("b"))
    named: list[Message] = [
        AcceptEvent("d", push),
        AcceptEvent("d", CommentEvent(INSTALLATION, comment, sender, "/fix")),
        StartReview(INSTALLATION, REPOSITORY),
        ScanRepository(INSTALLATION, REPOSITORY),
        Reply(INSTALLATION, comment, "topic", "body"),
    ]
    assert {belongs(message, trail) for message in named} == {(tenant, repository)}
    assert belongs(AcceptEvent("d", MemberEvent(INSTALLATION, sender)), trail) == (tenant, "whatever")
    assert belongs(RunScan(ScanId("s"), ReviewId("r")), trail) == ("whoever", "whatever")
    assert belongs(RunScan(ScanId("s"), ReviewId("r")), Trail()) == ("", "")


def test_what_a_worker_sends_belongs_to_whose_message_it_works(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(Envelope(StartReview(INSTALLATION, REPOSITORY), "start"))
    (published,) = publish(database, Turns())
    claimed = claim(database, published.message_id)
    assert claimed is not None
    assert (claimed.tenant, claimed.repository) == ("github:github.com:17", "github:github.com:4711")


def test_ten_thousand_messages_of_one_tenant_delay_anothers_by_a_few(database: Database) -> None:
    with database.work() as work:
        fill(work.transaction.connection, 10_000, ["big"])
    bench = Bench(database)
    for _ in range(3):
        assert (bench.work_one() or "").startswith("big")
    mine = send(database, "small")
    worked = [bench.work_one() for _ in range(6)]
    assert mine in worked
    assert worked.count(mine) == 1


def test_turns_go_round_and_who_comes_and_goes_gains_nothing() -> None:
    turns, served = Turns(), Counter[str]()
    for step in range(300):
        waiting = [("big", 0.0), ("other", 1.0)] + ([("now and then", 2.0)] if step % 2 else [])
        first = turns.order(NORMAL, waiting)[0]
        turns.took(NORMAL, first)
        served[first] += 1
    assert abs(served["big"] - served["other"]) <= 1
    assert served["now and then"] <= served["other"]
    assert served["now and then"] >= 300 / 2 / 3, "a third of the turns that it waited for"


def test_the_memory_of_turns_is_bounded_and_forgets_whose_turn_is_longest_ago() -> None:
    turns = Turns()
    for number in range(MEMORY + 10):
        turns.took(NORMAL, f"t{number}")
    assert turns.order(NORMAL, [("t500", 0.0), ("t3", 5.0), (f"t{MEMORY}", 0.0)]) == ["t3", "t500", f"t{MEMORY}"]


def test_only_a_few_lie_in_the_queue_and_more_come_when_those_are_taken(database: Database) -> None:
    for _ in range(9):
        send(database, "a")
    turns = Turns()
    first = publish(database, turns)
    assert len(first) == 4
    assert publish(database, turns) == []
    assert claim(database, first[0].message_id) is not None
    assert len(publish(database, turns)) == 1


def test_what_the_queue_forgot_comes_again_and_is_marked(database: Database) -> None:
    send(database, "a")
    turns = Turns()
    (first,) = publish(database, turns)
    assert publish(database, turns) == []
    let_pass(database, 3.0)
    assert publish(database, turns) == [Published(first.message_id, NORMAL, again=True)]


def test_of_one_repository_so_many_scans_are_published_and_others_go_before(database: Database) -> None:
    scans = [send(database, "a", repository="r", scan=True) for _ in range(5)]
    other, apart = send(database, "a", repository="s", scan=True), send(database, "a", repository="r")
    turns = Turns()
    first = publish(database, turns, ahead=10)
    assert set(keys(database, first)) == {*scans[:2], other, apart}
    running = {one.message_id: claim(database, one.message_id) for one in first}
    assert publish(database, turns, ahead=10) == []
    done = next(claimed for claimed in running.values() if claimed is not None and claimed.key == scans[0])
    finish(database, done)
    assert keys(database, publish(database, turns, ahead=10)) == [scans[2]]


def test_a_scan_too_many_is_not_to_be_claimed_and_is_published_when_there_is_room(database: Database) -> None:
    for _ in range(3):
        send(database, "a", repository="r", scan=True, group="g")
    turns = Turns()
    with database.read() as work:
        one, two, three = (row.message_id for row in work.outbox.publishable(3))
    first, second = claim(database, one), claim(database, two)
    assert first is not None
    assert second is not None
    with database.work() as work:
        work.outbox.mark_published([three])
    assert claim(database, three) is None
    with database.work() as work:
        assert work.outbox.claim_next("g", "me", scans=2) is None
    assert publish(database, turns) == []
    finish(database, first)
    assert [message.message_id for message in publish(database, turns)] == [three]
    assert claim(database, three) is not None


def test_a_worker_goes_on_with_what_else_its_review_has_while_a_scan_has_no_room(database: Database) -> None:
    for _ in range(3):
        send(database, "a", repository="r", scan=True, group="g")
    other = send(database, "a", repository="r", group="g")
    taken = []
    for _ in range(3):
        with database.work() as work:
            claimed = work.outbox.claim_next("g", "me", scans=2)
        taken.append(claimed.key if claimed else "")
    assert taken[2] == other


def test_who_goes_on_with_a_review_holds_no_row_while_it_waits_for_the_repository(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    key = send(database, "a", repository="r", scan=True, group="g")
    taken: list[Claimed | None] = []

    def go_on() -> None:
        with database.work() as work:
            taken.append(work.outbox.claim_next("g", "me", scans=2))

    with database.work() as work:
        # Another worker that claims the same message by its id, half-way: it has the repository, and wants the row.
        work.transaction.execute(select(func.pg_advisory_xact_lock(func.hashtext("scans of r"))))
        other = threading.Thread(target=go_on)
        other.start()
        _wait_until_somebody_waits_for_the_repository(database)
        work.transaction.execute(text("SET LOCAL lock_timeout = '300ms'"))
        work.transaction.execute(select(outbox.c.id).where(outbox.c.key == key).with_for_update())
    other.join()
    assert [claimed.key for claimed in taken if claimed] == [key]


def _wait_until_somebody_waits_for_the_repository(database: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    deadline = time.monotonic() + 10
    while True:
        with database.read() as work:
            if work.transaction.execute(waiting).scalar_one():
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_full_queue_still_says_that_something_due_waits_for_its_turn(database: Database) -> None:
    turns = Turns()
    for _ in range(3):
        send(database, "a")
    assert len(publish(database, turns, ahead=2)) == 2
    with database.read() as work:
        assert work.publishing.next(turns, ahead=2, scans=2).more
    with database.work() as work:
        work.transaction.execute(update(outbox).where(outbox.c.publishes == 0).values(publish_at=database_now() + 60))
    with database.read() as work:
        assert not work.publishing.next(turns, ahead=2, scans=2).more


def test_a_change_does_not_wait_for_a_scan_of_everything(database: Database) -> None:
    for _ in range(2):
        send(database, "a", repository="r", scan=True, priority=BATCH)
    turns = Turns()
    assert all(claim(database, message.message_id) for message in publish(database, turns))
    urgent = send(database, "a", repository="r", scan=True)
    (message,) = publish(database, turns)
    assert keys(database, [message]) == [urgent]
    assert claim(database, message.message_id) is not None


def test_a_scan_whose_worker_died_holds_nobody_up(database: Database) -> None:
    for _ in range(3):
        send(database, "a", repository="r", scan=True)
    turns = Turns()
    for message in publish(database, turns, scans=3)[:2]:
        with database.work() as work:
            assert work.outbox.claim(message.message_id, "a worker that dies", seconds=-1.0, scans=2) is not None
    with database.read() as work:
        third = work.transaction.execute(select(outbox.c.id).where(outbox.c.status == "pending")).scalar_one()
    assert claim(database, MessageId(third)) is not None


@pytest.mark.parametrize("seed", [20261122])
def test_whatever_arrives_nobody_starves_and_the_order_within_a_review_is_kept(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    tenants = [f"t{number}" for number in range(5)]
    weights = [chance.choice((1, 2, 10, 50)) for _ in tenants]
    bench, sent, waited, worked = Bench(database), dict[str, tuple[int, str, int]](), Counter[str](), list[str]()
    backlog = Counter[str]()
    for step in range(110):
        for _ in range(chance.choice((0, 1, 3)) if step < 70 else 0):
            (tenant,) = chance.choices(tenants, weights)
            priority = chance.choices((INTERACTIVE, NORMAL), (1, 12))[0]
            group = f"{tenant} review {chance.randrange(2)}"
            sent[send(database, tenant, priority=priority, group=group)] = (priority, group, len(worked))
            backlog[tenant] += 1
        key = bench.work_one()
        if key is None:
            continue
        worked.append(key)
        mine = key.partition("-")[0]
        backlog[mine] -= 1
        if sent[key][0] == INTERACTIVE:
            assert len(worked) - sent[key][2] <= 1 + sum(sent[other][0] == INTERACTIVE for other in worked[sent[key][2] :])
            continue
        waited[mine] = 0
        for tenant in tenants:
            waited[tenant] = waited[tenant] + 1 if tenant != mine and backlog[tenant] > 0 else 0
            assert waited[tenant] <= 4 + 2 * len(tenants), f"{tenant} starves"
    while (key := bench.work_one()) is not None:
        worked.append(key)
    assert sorted(worked) == sorted(sent)
    for group in {group for _, group, _ in sent.values()}:
        for priority in (INTERACTIVE, NORMAL):
            mine_sent = [key for key, (p, g, _) in sent.items() if (p, g) == (priority, group)]
            assert [key for key in worked if key in set(mine_sent)] == mine_sent


def fill(connection: Connection, number: int, tenants: list[str]) -> None:
    """Waiting messages, straight into the table."""
    moment = database_now()
    fixed = {
        "kind": "settle_review",
        "body": '{"kind": "settle_review", "review": "r"}',
        "priority": NORMAL,
        "group": "",
        "status": "pending",
    }
    rows = [
        {"id": f"{n:032x}", "key": f"{tenants[n % len(tenants)]}-filled-{n}", "tenant": tenants[n % len(tenants)], **fixed}
        for n in range(number)
    ]
    statement = insert(outbox).values(created_at=moment, due_at=moment, publish_at=moment)
    connection.execute(statement, rows)


def test_the_names_of_tenants_are_hostile_text_too(database: Database) -> None:
    odd = Installation(InstallationId(""), "github", "a\\b\x00", "acme", "1")
    with database.work() as work:
        work.outbox.send(Envelope(StartReview(odd, REPOSITORY), "start"))
    assert len(publish(database, Turns())) == 1
