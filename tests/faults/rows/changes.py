"""What people do to a change while it is being looked at: rows 40 to 42."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from pipeline.store.tables import repositories
from tests.faults.hosts import Home
from tests.faults.lives import Life
from tests.faults.matrix import EVERY, Run, fault
from tests.faults.rows.deliveries import reviews_of


def held(run: Run, repository: Home | None = None) -> Life:
    """A change whose secrets engine waits."""
    run.stand.engine.hold()
    life = run.begin(repository, alike=repository is None)
    run.stand.wait("an engine at work", run.stand.engine.at_work)
    return life


def let_go(run: Run) -> None:
    """The host has said everything, and it was understood; the engine goes on."""
    run.stand.hooks.wait()
    run.stand.wait("what was said to be understood", lambda: run.stand.unfinished("accept_event") == 0)
    run.stand.engine.release()
    run.cured()


@fault(40, "a forced push in the middle of a scan", hosts=EVERY)
def forced(run: Run) -> None:
    life = held(run)
    old = life.change.head
    life.push(force=True)
    run.stand.wait("the new head's review", lambda: life.checks)  # an engine that ends before it is begun has nothing to give way to
    let_go(run)

    def of_the_old() -> list[str]:
        (check,) = (verdict for verdict in life.change.verdicts(old) if not verdict.replaced)
        said = [thread.path for thread in life.change.threads() if thread.commit == old]
        found = [] if check.conclusion == "cancelled" else [f"the old head's check says {check.conclusion}"]
        return found + ([f"comments on the old head: {said}"] if said else [])

    run.more.append(of_the_old)


@fault(41, "a pull request changes in the middle of a scan", steps=("closed", "merged", "branch deleted", "base changed"), hosts=EVERY)
def changed(run: Run) -> None:
    host = run.stand.host
    own = run.stand.new_home(f"changes-{run.step.replace(' ', '-')}") if run.step != "base changed" else None
    life = held(run, own)
    if run.step == "closed":
        life.change.close()
    elif run.step == "merged":
        life.change.merge()
    elif run.step == "branch deleted":
        host.delete_branch(life.home, life.change.branch)
    else:
        base, tip = f"base-{run.stand.made}", life.home.git.branch("main")
        assert tip is not None
        host.reset_branch(life.home, base, tip)
        life.change.retarget(base)
        life.checks_wanted = 2 if host.keeps_checks else 1
    if own is not None and (run.step != "branch deleted" or host.closes_with_branch):
        life.conclusion = "cancelled"
        run.more.append(lambda: ["it was spoken of"] if life.change.threads() else [])
    let_go(run)


@fault(42, "a repository goes away in the middle of a scan", steps=("deleted", "removed", "suspended"))
def gone(run: Run) -> None:
    world = run.stand.world
    owner = f"owner-{run.step}"
    own = run.stand.repository("gone", owner)
    installation = world.installation_of(own)
    assert installation is not None
    life = held(run, own)
    asked = len(world.asked)
    if run.step == "deleted":
        world.delete_repository(own)
    elif run.step == "removed":
        world.uninstall(installation)
    else:
        world.suspend(installation)
    run.lives.remove(life)  # nobody can write there any more: what it shows stays as it is
    let_go(run)

    def asked_on() -> list[str]:
        """What is under way at the same moment may each be refused once; nobody asks again for what is gone."""
        mine = [one for one in world.asked[asked:] if own.full_name in one.path and one.status in (401, 403, 404, 410)]
        often = Counter((one.method, one.path) for one in mine)
        return [f"asked again after it was gone: {often}"] if often and max(often.values()) > 1 else []

    run.more.append(asked_on)


def names(run: Run) -> set[str]:
    """Of all repositories that are known."""
    with run.stand.database.read() as work:
        return {row.full_name for row in work.transaction.execute(select(repositories.c.full_name))}


@fault(42, "a repository is renamed or changes its visibility in the middle of a scan", steps=("renamed", "public"))
def altered(run: Run) -> None:
    world = run.stand.world
    own = run.stand.repository(f"altered-{run.step}")
    life = held(run, own)
    if run.step == "renamed":
        world.rename_repository(own, "another-name")
    else:
        world.set_private(own, private=False)
    let_go(run)
    run.more.append(lambda: [] if reviews_of(life) == 1 else [f"{reviews_of(life)} reviews of one head"])
    if run.step == "renamed":
        run.more.append(lambda: [] if names(run) >= {own.full_name} else [f"{own.full_name} is known under an old name"])
