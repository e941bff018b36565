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


def reviewed(run: Run) -> Life:
    """A finished review in whose thread somebody is about to ask."""
    life = run.begin()
    life.alike = None  # what is in its thread then is not alike any more
    threads = len(run.alike.threads)
    run.stand.wait("threads", lambda: len(life.change.threads()) == threads)
    run.stand.quiet()
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
    life = reviewed(run)
    struck = run.strike(STEPS[run.step])
    life.ask("/fix")
    run.taken_over(struck())


@fault(6, "a worker and its child are killed in a fix, at each step", steps=tuple(STEPS), within=KILLED, hosts=EVERY)
def worker_killed_in_a_fix(run: Run) -> None:
    life = reviewed(run)
    struck = run.strike(replace(STEPS[run.step], what="kill both"))
    life.ask("/fix")
    run.taken_over(struck())


@fault(7, "a worker is killed in a fix and its child goes on", steps=("gate", "branch made, not noted"), within=KILLED, hosts=EVERY)
def orphaned_in_a_fix(run: Run) -> None:
    life = reviewed(run)
    struck = run.strike(replace(STEPS[run.step], what="kill parent"))
    life.ask("/fix")
    run.taken_over(struck())
