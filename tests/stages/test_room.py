"""At most three pull requests of fixes are open in a repository; who asks for a fourth is told which, and gets the patch."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.store.tables import fixes
from tests.stages.github import GithubBench

FOUR = {f"{name}.txt": f"BAD {name}\n" for name in "abcd"}


def left_over(bench: GithubBench) -> tuple[str, str]:
    """The finding whose patch has no pull request, and why."""
    with bench.app.database.read() as work:
        made = [work.fixes.get(one) for one in work.transaction.execute(select(fixes.c.id)).scalars().all()]
    ((handle, status, error),) = [(fix.handle, fix.status, fix.error) for fix in made if fix.pull_request is None]
    assert status == "completed"
    return handle, error


def offered(bench: GithubBench) -> str:
    """A finding that has its pull request."""
    with bench.app.database.read() as work:
        made = [work.fixes.get(one) for one in work.transaction.execute(select(fixes.c.id)).scalars().all()]
    return next(fix.handle for fix in made if fix.pull_request is not None)


def test_the_fourth_waits_until_there_is_room(github: GithubBench) -> None:
    repository = github.repository({"z.txt": "fine\n"})
    pull = github.change(repository, FOUR)
    github.settle()
    github.world.comment("ada", pull, "/fix all")
    github.settle()
    three = github.ours(repository)
    assert [ours.state for ours in three] == ["open"] * 3
    handle, why = left_over(github)
    assert all(f"#{ours.number}" in why for ours in three)
    github.world.comment("ada", pull, f"/fix {handle}")
    github.settle()
    (answer,) = [body for body in github.answers(pull) if "git apply" in body]
    assert "+GOOD" in answer
    assert all(str(ours.number) in answer for ours in three)
    assert (len(github.ours(repository)), len(github.our_branches(repository))) == (3, 3)
    # After a push one that is open already moves onto it, whatever else is open.
    pushed = github.world.commit(repository, "feature", {"more.txt": "x\n"})
    github.settle()
    github.world.comment("ada", pull, f"/fix {offered(github)}")
    github.settle()
    assert len(github.ours(repository)) == 3
    assert [repository.git.commit(ours.head_sha).parents for ours in three].count((pushed,)) == 1
    github.world.close("ada", three[0])
    github.settle()
    github.world.comment("ada", pull, f"/fix {handle}")
    github.settle()
    assert [ours.state for ours in github.ours(repository)] == ["closed", "open", "open", "open"]
    assert github.dead() == []
