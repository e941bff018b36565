"""A worker that dies while it makes a fix: rows 5 to 7, for what `/fix` does."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.lives import Life
from tests.faults.matrix import EVERY, KILLED, Run, fault
from tests.faults.points import Point

STEPS = {
    "asked, not noted": Point("pipeline.stages.fix:request_fix", "call"),
    "fix begun": Point("pipeline.stages.fix:run_fix", "call"),
    "patch made": Point("pipeline.stages.ladder:make_patch", "return"),
    "gate": Point("pipeline.sandbox.process:run_isolated", "return"),
    "proved, not noted": Point("pipeline.stages.prove:prove", "return"),
    "branch made, not noted": Point("host:ensure_branch", "return"),
    "pull request made, not noted": Point("host:ensure_pull_request", "return"),
    "answer made, not noted": Point("host:ensure_reply", "return"),
}

PUSHED = {
    "commit made, not noted": Point("host:ensure_commit", "return", "kill both"),
    "answer about it made, not noted": Point("host:ensure_reply", "return", "kill both"),
}

REFINED = {
    "refinement begun": Point("pipeline.stages.fix:run_fix", "call", "kill both"),
    "branch moved, not noted": Point("host:ensure_branch", "return", "kill both"),
}


def reviewed(run: Run) -> Life:
    """A finished review in whose thread somebody is about to ask."""
    life = run.begin()
    life.alike = None  # what is in its thread then is not alike any more
    threads = len(run.alike.threads)
    run.stand.wait("threads", lambda: len(life.change.threads()) == threads)
    run.stand.quiet()
    return life


def asked(run: Run) -> Life:
    """A life in which one `/fix` must be seen to be done in the end."""
    life = reviewed(run)
    run.more.append(lambda: _once(life))
    return life


def _once(life: Life) -> list[str]:
    """One pull request with a receipt that says what was proved, one answer, one branch, and none of it half."""
    answers = life.change.replies()
    found = []
    if len(life.fixes) != 1:
        found.append(f"{len(life.fixes)} fix pull requests")
    elif "**verified**" not in life.fixes[0].words:
        found.append("the pull request does not say what was proved")
    if len(answers) != 1:
        found.append(f"{len(answers)} answers")
    return found


@fault(
    5,
    "a worker's child is killed in a fix, at each step",
    steps=tuple(STEPS),
    quick=("pull request made, not noted",),
    within=KILLED,
    hosts=EVERY,
)
def child_killed_in_a_fix(run: Run) -> None:
    life = asked(run)
    struck = run.strike(STEPS[run.step])
    life.ask("/fix")
    run.taken_over(struck())


@fault(6, "a worker and its child are killed in a fix, at each step", steps=tuple(STEPS), within=KILLED, hosts=EVERY)
def worker_killed_in_a_fix(run: Run) -> None:
    life = asked(run)
    struck = run.strike(replace(STEPS[run.step], what="kill both"))
    life.ask("/fix")
    run.taken_over(struck())


@fault(7, "a worker is killed in a fix and its child goes on", steps=("gate", "branch made, not noted"), within=KILLED, hosts=EVERY)
def orphaned_in_a_fix(run: Run) -> None:
    life = asked(run)
    struck = run.strike(replace(STEPS[run.step], what="kill parent"))
    life.ask("/fix")
    run.taken_over(struck())


@fault(6, "a worker and its child are killed while a fix is pushed", steps=tuple(PUSHED), within=KILLED, hosts=EVERY)
def worker_killed_in_a_push(run: Run) -> None:
    life = reviewed(run)
    before = life.change.head
    run.more.append(lambda: _pushed_once(life, before))
    struck = run.strike(PUSHED[run.step])
    life.ask("/fix push")
    run.taken_over(struck())


def _pushed_once(life: Life, before: str) -> list[str]:
    """One commit on what the branch had, one answer, and no pull request."""
    parents = life.home.git.commit(life.change.head).parents
    found = [] if parents == (before,) else [f"the head stands on {parents}, not on {before}"]
    if life.fixes:
        found.append(f"{len(life.fixes)} fix pull requests")
    if len([body for body in life.change.replies() if f"on `{life.change.branch}`" in body]) != 1:
        found.append(f"the answers are {life.change.replies()}")
    return found


@fault(6, "a worker and its child are killed while a fix is refined", steps=tuple(REFINED), within=KILLED, hosts=EVERY)
def worker_killed_in_a_refinement(run: Run) -> None:
    life = reviewed(run)
    life.ask("/fix")
    run.stand.wait("a fix pull request", lambda: len(life.fixes) == 1)
    run.stand.quiet()
    first = life.home.git.branch(life.fixes[0].branch)
    run.more.append(lambda: _refined_once(life, first))
    struck = run.strike(REFINED[run.step])
    life.ask("/refine another way")
    run.taken_over(struck())


def _refined_once(life: Life, first: str | None) -> list[str]:
    """The same pull request with one newer commit in the place of the first."""
    found = [] if len(life.fixes) == 1 else [f"{len(life.fixes)} fix pull requests"]
    for fix in life.fixes:
        head = life.home.git.branch(fix.branch)
        if head is None or head == first or life.home.git.commit(head).parents != (life.change.head,):
            found.append(f"{fix.branch} is at {head}, was at {first}")
    if len(life.change.replies()) != len(set(life.change.replies())):
        found.append("an answer twice")
    return found
