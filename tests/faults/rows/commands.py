"""People who write commands, forge our marks and touch our words: rows 45 and 46."""

from __future__ import annotations

from tests.faults.matrix import Run, fault
from tests.faults.rows.host import answers, asked_to_fix
from tests.worlds.github.model import ReviewComment


@fault(46, "a command fifty times at once")
def fifty(run: Run) -> None:
    life = asked_to_fix(run)
    run.more.pop()  # each command may have its answer; there is one fix all the same
    for _ in range(50):
        life.ask("/fix")
    run.stand.world.hooks.wait()
    run.cured()


@fault(46, "commands of those who may not give them, or that were no commands", steps=("reader", "bot", "edited"))
def not_theirs(run: Run) -> None:
    life = run.begin()
    run.stand.wait("threads", lambda: len(life.change.threads()) == len(run.alike.threads))
    run.stand.quiet()
    life.alike = None
    if run.step == "edited":
        life.ask("what about this?")
        edit(run, life.pull.review_comments[-1], "/fix")
    else:
        life.ask("/fix", who="eve" if run.step == "reader" else "helper[bot]")
    run.stand.world.hooks.wait()
    run.cured()
    refusals = 1 if run.step == "reader" else 0
    run.more.append(lambda: ["it was fixed"] if life.fixes else [])
    run.more.append(
        lambda: [] if len(answers(life)) == refusals else [f"{len(answers(life))} answers, {refusals} expected: {answers(life)}"]
    )


def edit(run: Run, comment: ReviewComment, body: str) -> None:
    """ada writes over a comment; the host tells of it."""
    world = run.stand.world
    with world.github.state.lock:
        old, comment.body = comment.body, body
        world.github.actions.events.review_comment_edited(comment, world.user("ada"), old)


@fault(45, "our comment is deleted, our mark is forged", steps=("deleted", "forged"))
def meddled(run: Run) -> None:
    world = run.stand.world
    life = run.begin()
    run.stand.wait("threads", lambda: len(life.change.threads()) == len(run.alike.threads))
    run.stand.quiet()
    ours = next(c for c in life.pull.review_comments if c.user is world.app.bot)
    if run.step == "deleted":
        with world.github.state.lock:
            ours.thread.comments.remove(ours)
            life.pull.threads.remove(ours.thread)
        life.alike = None
    else:
        world.review_comment("eve", life.pull, ours.original.path, ours.original.line or 1, ours.body)
    life.push()
    world.hooks.wait()
    run.cured()
