"""Processes that die, stop, hang and come back: rows 1 to 8, and 12."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select

from pipeline.store.tables import deliveries, outbox, reviews
from tests.faults.hosts import Delivery
from tests.faults.lives import Life
from tests.faults.matrix import EVERY, KILLED, Run, fault
from tests.faults.points import Point, Struck
from tests.faults.stand import WORKERS

STEPS = {
    "event claimed": Point("pipeline.store.outbox:Outbox.claim", "return"),
    "check made, not noted": Point("host:ensure_check", "return"),
    "planned": Point("pipeline.stages.plan:start_review", "return"),
    "engine begins": Point("pipeline.sandbox.process:run_isolated", "call"),
    "engine ended": Point("pipeline.sandbox.process:run_isolated", "return"),
    "scanned": Point("pipeline.stages.scan:run_scan", "return"),
    "settled": Point("pipeline.stages.settle:settle_review", "return"),
    "check about to end, under its lock": Point("pipeline.stages.announce:show_check", "call"),
    "thread about to open, under its lock": Point("host:open_threads", "call"),
    "check ended, not noted": Point("pipeline.stages.publish:_publish_head", "return"),
    "threads opened, not noted": Point("host:ensure_threads", "return"),
}
SWEPT = 5.0
"""Seconds within which what was committed and not published is published."""


# --- the web process and the relay: rows 1 to 4 ---------------------------------------------------------------------------------------


@contextmanager
def condemned(run: Run, part: str, point: Point) -> Iterator[None]:
    """The process is started anew and dies at this point, which happens inside; then it runs again."""
    process = run.stand.parts[part]
    run.stand.quiet()  # nothing of an earlier row may kill it
    process.stop()
    struck = run.strike(point)
    run.stand.start(part)
    yield
    struck()
    run.stand.wait("its death", lambda: not process.alive)
    run.stand.orders.clear()


def undelivered(run: Run) -> Life:
    """A pull request of which the host has not said anything yet."""
    hooks = run.stand.hooks
    run.stand.quiet()
    hooks.paused = True
    try:
        return run.begin()
    finally:
        hooks.paused = False


def relay_works(run: Run) -> None:
    """Start the relay and wait until it looks: a start takes as long as the machine is busy."""
    run.stand.start("relay")
    pulse = f"alive/relay.*.{run.stand.parts['relay'].pid}"
    run.stand.wait("the relay", lambda: list((run.stand.folder / "state").glob(pulse)))


def opening(life: Life) -> Delivery:
    """The delivery that said that its pull request was opened."""
    return life.stand.host.opening(life.heads[0])


def again(life: Life) -> None:
    """The host delivers it again, as somebody or something asked it to."""
    answer = life.stand.hooks.redeliver(opening(life).id)
    assert answer == 202, f"the redelivery was answered {answer}"


def one_of_each(life: Life) -> list[str]:
    """One row of its delivery, one review of its head."""
    with life.stand.database.read() as work:
        kept = select(func.count()).select_from(deliveries).where(deliveries.c.delivery_id == opening(life).id)
        judged = select(func.count()).select_from(reviews).where(reviews.c.head == life.heads[0])
        found = [int(work.transaction.execute(statement).scalar_one()) for statement in (kept, judged)]
    return [] if found == [1, 1] else [f"{found[0]} rows of one delivery, {found[1]} reviews of one head"]


BEFORE = {
    "nothing written": Point("pipeline.store.intake:Intake._commit", "call", process="web"),
    "written, not committed": Point("pipeline.store.intake_writers:counted", "return", process="web"),
}


@fault(1, "the web process is killed before it has committed a delivery", steps=tuple(BEFORE), hosts=EVERY)
def web_killed_before_commit(run: Run) -> None:
    life = undelivered(run)
    with condemned(run, "web", BEFORE[run.step]):
        run.stand.host.again(opening(life).id)
    run.stand.hooks.wait()
    # The relay may have asked the host for it once more meanwhile: nobody was there either.
    assert {one.status for one in opening(life).attempts} == {0}, "it was acknowledged without being kept"
    with run.stand.database.read() as work:
        kept = select(deliveries.c.id).where(deliveries.c.delivery_id == opening(life).id)
        assert work.transaction.execute(kept).first() is None, "half a transaction was kept"
    run.stand.start("web")
    again(life)
    run.cured()
    run.more.append(lambda: one_of_each(life))


@fault(2, "the web process is killed between the commit and its answer", quick=("",), hosts=EVERY)
def web_killed_before_answer(run: Run) -> None:
    life = undelivered(run)
    with condemned(run, "web", Point("pipeline.store.intake:Intake._commit", "return", process="web")):
        run.stand.host.again(opening(life).id)
    run.stand.hooks.wait()
    # The relay may have asked the host for it once more, before or after.
    assert 0 in {one.status for one in opening(life).attempts}, "it was answered all the same"
    run.stand.start("web")
    again(life)
    run.cured()
    run.more.append(lambda: one_of_each(life))


@fault(3, "nobody wakes the relay after a commit", steps=("web killed", "relay away"), quick=("web killed",), hosts=EVERY)
def killed_before_publish(run: Run) -> None:
    life = undelivered(run)
    if run.step == "relay away":
        run.stand.parts["relay"].kill()
        run.stand.host.again(opening(life).id)
        run.stand.hooks.wait()
        relay_works(run)
    else:
        with condemned(run, "web", Point("pipeline.store.engine:run_after_commit", "call", process="web")):
            run.stand.host.again(opening(life).id)
    run.cured()
    run.stand.wait("the message in a worker's hands", lambda: not _untouched(run, life), SWEPT)
    run.stand.start("web")
    run.stand.hooks.wait()
    if opening(life).attempts[0].status != 202:  # it died before it could answer, too
        again(life)
    run.more.append(lambda: one_of_each(life))


def _untouched(run: Run, life: Life) -> bool:
    with run.stand.database.read() as work:
        mine = select(outbox.c.attempts).where(outbox.c.delivery_id == opening(life).id, outbox.c.kind == "accept_event")
        return work.transaction.execute(mine).scalar_one_or_none() in (None, 0)


@fault(4, "the relay is killed between publishing and noting it", hosts=EVERY)
def relay_killed_before_mark(run: Run) -> None:
    with condemned(run, "relay", Point("bot.jobs:Jobs.publish", "return", process="relay")):
        lives = run.begin_all()
    relay_works(run)
    run.cured()
    run.more.append(lambda: [problem for life in lives for problem in one_of_each(life)])


# --- workers: rows 5 to 8 -------------------------------------------------------------------------------------------------------------


@fault(5, "a worker's child is killed at each step", steps=tuple(STEPS), within=KILLED, hosts=EVERY)
def child_killed(run: Run) -> None:
    struck = run.strike(STEPS[run.step])
    run.begin_all()
    run.taken_over(struck())


@fault(6, "a worker and its child are killed at each step", steps=tuple(STEPS), quick=("engine ended",), within=KILLED, hosts=EVERY)
def worker_killed(run: Run) -> None:
    struck = run.strike(replace(STEPS[run.step], what="kill both"))
    run.begin_all()
    run.taken_over(struck())


@fault(
    7,
    "a worker is killed and its child goes on",
    steps=("planned", "engine begins", "settled", "threads opened, not noted"),
    quick=("engine begins",),
    within=KILLED,
    hosts=EVERY,
)
def orphaned(run: Run) -> None:
    struck = run.strike(replace(STEPS[run.step], what="kill parent"))
    run.begin_all()
    orphan = struck()
    run.taken_over(orphan)
    run.stand.wait("the end of the orphan", lambda: not Path(f"/proc/{orphan.pid}").exists(), KILLED)


ZOMBIES = {
    "engine begins": STEPS["engine begins"],
    "about to settle": Point("pipeline.stages.settle:settle_review", "call"),
    "check about to begin": Point("host:ensure_check", "call"),
    "threads about to be opened": Point("host:ensure_threads", "call"),
}


@fault(
    8, "a worker is stopped past its lease and goes on", steps=tuple(ZOMBIES), quick=("check about to begin",), within=KILLED, hosts=EVERY
)
def stopped(run: Run) -> None:
    stand = run.stand
    struck = run.strike(replace(ZOMBIES[run.step], what="stop"))
    life = run.begin()
    zombie = struck()
    parent = next(part for part in stand.parts.values() if part.alive and part.pid == zombie.parent)
    parent.freeze()
    try:
        run.taken_over(zombie)
        stand.wait("a finished check", lambda: life.finished)
        stand.quiet()
        effects = len(stand.host.world.effects)
    finally:
        stand.parts[parent.name].thaw()
        _go_on(zombie)
    stand.wait("the end of the zombie", lambda: not Path(f"/proc/{zombie.pid}").exists(), 20)
    done = stand.host.world.effects
    run.more.append(lambda: [f"the zombie did {done[effects:]}"] if len(done) > effects else [])


def _go_on(zombie: Struck) -> None:
    if Path(f"/proc/{zombie.pid}").exists():
        os.kill(zombie.pid, signal.SIGCONT)


# --- a child that hangs: row 12 -------------------------------------------------------------------------------------------------------

LIMIT = 12.0
"""Seconds: what FIXWRIGHT_MESSAGE_CAP is set to; a step here takes 4 at most."""
WATCHED = 10.0
"""A worker looks at its child every 5 s."""
SILENT = 45.0
"""Seconds after which a child that says nothing is ended: 30, and the next look."""


@fault(12, "a step swallows its time limit, or lets no other thread run", steps=("swallows", "holds"), within=KILLED, hosts=EVERY)
def hangs(run: Run) -> None:
    stand = run.stand
    swallows = run.step == "swallows"
    if swallows:
        _restart_workers(run, {"FIXWRIGHT_MESSAGE_CAP": f"{LIMIT}"})
    try:
        struck = run.strike(Point("pipeline.stages.settle:settle_review", "call", "hang" if swallows else "hold"))
        run.begin()
        hanging = struck()
        # Until its limit is over it is not known to hang.
        run.taken_over(replace(hanging, at=hanging.at + LIMIT) if swallows else hanging)
        stand.wait("the end of what hangs", lambda: not Path(f"/proc/{hanging.pid}").exists(), WATCHED if swallows else SILENT)
    finally:
        if swallows:
            _restart_workers(run, {})


def _restart_workers(run: Run, more: dict[str, str]) -> None:
    for name in WORKERS:
        run.stand.parts[name].stop()
    run.stand.start(*WORKERS, more=more)
