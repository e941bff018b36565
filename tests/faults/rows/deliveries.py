"""Deliveries that come often, late, in the wrong order, altered or not at all: rows 28 to 31."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from sqlalchemy import delete, func, select

from pipeline.store.tables import deliveries, outbox, reviews
from tests.faults.hosts import Delivery, Parcel
from tests.faults.lives import Life
from tests.faults.matrix import EVERY, Run, fault
from tests.faults.stand import Stand


@contextmanager
def held_back(stand: Stand) -> Iterator[list[Delivery]]:
    """What happens inside is not delivered; the list has it afterwards."""
    hooks, kept = stand.hooks, list[Delivery]()
    hooks.wait()
    before = len(hooks.deliveries)
    hooks.paused = True
    try:
        yield kept
    finally:
        hooks.paused = False
        kept += hooks.deliveries[before:]


def post(stand: Stand, parcel: Parcel) -> int:
    """Send something that is not quite what the host sent; the status."""
    return httpx.post(f"{stand.url}{stand.host.path}", content=parcel.body, headers=parcel.headers, trust_env=False).status_code


def reviews_of(life: Life) -> int:
    """How many reviews its newest head ever had."""
    with life.stand.database.read() as work:
        statement = select(func.count()).select_from(reviews).where(reviews.c.head == life.change.head)
        return int(work.transaction.execute(statement).scalar_one())


def kept(stand: Stand, delivery: Delivery) -> int:
    """How many rows there are of a delivery."""
    with stand.database.read() as work:
        statement = select(func.count()).select_from(deliveries).where(deliveries.c.delivery_id == delivery.id)
        return int(work.transaction.execute(statement).scalar_one())


@fault(28, "the same delivery a hundred times at once", hosts=EVERY)
def copies(run: Run) -> None:
    with held_back(run.stand):
        life = run.begin()
    answers = run.stand.hooks.deliver_copies(run.stand.host.opening(life.heads[0]).id, 100)
    assert set(answers) == {202}, answers
    run.more.append(lambda: [] if reviews_of(life) == 1 else [f"{reviews_of(life)} reviews of one head"])
    run.cured()


@fault(
    29,
    "deliveries in the wrong order",
    steps=("synchronize before opened", "closed before opened"),
    quick=("synchronize before opened",),
    hosts=EVERY,
)
def reordered(run: Run) -> None:
    hooks = run.stand.hooks
    with held_back(run.stand) as found:
        life = run.begin()
        if run.step.startswith("closed"):
            life.change.close()
            life.alike, life.checks_wanted = None, 0
        else:
            life.push()
    for delivery in reversed([one for one in found if one.event == run.stand.host.event]):
        assert hooks.redeliver(delivery.id) == 202
    run.cured()


@fault(30, "a delivery altered, unsigned or signed with a wrong secret", hosts=EVERY)
def forged(run: Run) -> None:
    stand = run.stand
    with held_back(stand):
        life = run.begin()
    true = stand.host.opening(life.heads[0])
    bad = stand.host.forgeries(true.id)
    for one in bad:
        assert post(stand, one) == 401, one.headers
    assert len({(tuple(one.headers.items()), one.body) for one in bad}) == len(bad) > 1, "the same forgery twice"
    assert kept(stand, true) == 0, "a refused delivery left a row"
    assert reviews_of(life) == 0
    assert post(stand, stand.host.anew(true, true.body)) == 202, "not even what is right is taken"
    assert stand.hooks.redeliver(true.id) == 202
    run.cured()


@fault(30, "a true delivery again after everything of it was forgotten", hosts=EVERY)
def replayed(run: Run) -> None:
    stand = run.stand
    life = run.begin()
    stand.wait("a finished check", lambda: life.finished)
    stand.quiet()
    done = stand.host.world.effects
    effects = len(done)
    true = stand.host.opening(life.heads[0])
    with stand.database.work() as work:  # as the retention does it days later
        work.transaction.execute(delete(deliveries).where(deliveries.c.delivery_id == true.id))
        work.transaction.execute(delete(outbox).where(outbox.c.delivery_id == true.id, outbox.c.status == "done"))
    run.cured()
    assert stand.hooks.redeliver(true.id) == 202
    run.more.append(lambda: [] if len(done) == effects else ["it did something on the host"])
    run.more.append(lambda: [] if reviews_of(life) == 1 else [f"{reviews_of(life)} reviews of one head"])


@fault(31, "a third of the deliveries never arrives", hosts=EVERY)
def dropped(run: Run) -> None:
    stand = run.stand
    lost = 0
    for number in range(4):
        if run.random.random() < 1 / 3 or (number == 3 and lost == 0):
            with held_back(stand):
                run.begin()
            lost += 1
        else:
            run.begin()
    an_hour_later(run)
    run.cured()


def an_hour_later(run: Run) -> None:
    """The relay looks at its start and then hourly; of several starts in one minute one counts."""
    time.sleep(61 - time.time() % 60)
    run.stand.parts["relay"].stop()
    run.stand.start("relay")
