"""People who write commands, forge our marks and touch our words: rows 45 and 46."""

from __future__ import annotations

from tests.faults.matrix import EVERY, Run, fault
from tests.faults.rows.host import answers, asked_to_fix


@fault(46, "a command fifty times at once", hosts=EVERY)
def fifty(run: Run) -> None:
    life = asked_to_fix(run)
    run.more.pop()  # each command may have its answer; there is one fix all the same
    for _ in range(50):
        life.ask("/fix")
    run.stand.hooks.wait()
    run.cured()


@fault(46, "commands of those who may not give them, or that were no commands", steps=("reader", "bot", "edited"), hosts=EVERY)
def not_theirs(run: Run) -> None:
    life = run.begin()
    run.stand.wait("threads", lambda: len(life.change.threads()) == len(run.alike.threads))
    run.stand.quiet()
    life.alike = None
    if run.step == "edited":
        life.ask("what about this?")
        life.change.rewrite("ada", "/fix")
    else:
        life.ask("/fix", who="eve" if run.step == "reader" else run.stand.host.robot(life.home))
    run.stand.hooks.wait()
    run.cured()
    refusals = 1 if run.step == "reader" else 0
    run.more.append(lambda: ["it was fixed"] if life.fixes else [])
    run.more.append(
        lambda: [] if len(answers(life)) == refusals else [f"{len(answers(life))} answers, {refusals} expected: {answers(life)}"]
    )


@fault(45, "our comment is deleted, our mark is forged", steps=("deleted", "forged"), hosts=EVERY)
def meddled(run: Run) -> None:
    life = run.begin()
    run.stand.wait("threads", lambda: len(life.change.threads()) == len(run.alike.threads))
    run.stand.quiet()
    if run.step == "deleted":
        life.change.drop_thread()
        life.alike = None
    else:
        life.change.forge("eve")
    life.push()
    run.stand.hooks.wait()
    run.cured()
