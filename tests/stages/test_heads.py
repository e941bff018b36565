"""Deliveries that never came: what is open on the host is compared with what was judged, and nobody has to push again."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from bot.duties import walk_heads
from pipeline.messages import BATCH, Envelope, FollowHeads
from pipeline.stages import heads
from pipeline.store.tables import outbox
from tests.harness import Bench, LocalRepo, git
from tests.stages.github import GithubBench
from tests.worlds import faults
from tests.worlds.github.faults import secondary_limit
from tests.worlds.github.model import PullRequest, Repository

DROPPED = 0.3
CHANGES = 8
SEED = 1


def installed(github: GithubBench) -> Repository:
    """A repository of an installation that has told us of itself."""
    repository = github.repository({"a.txt": "fine\n"})
    pull = github.change(repository, {"z.txt": "fine\n"}, "first")
    github.settle()
    github.world.close("ada", pull)
    github.settle()
    return repository


def take_some(github: GithubBench, chance: random.Random) -> int:
    """Deliver what happened, but for some of it; how many were lost."""
    waiting = github.world.hooks.deliveries[github.delivered :]
    github.delivered += len(waiting)
    lost = [delivery for delivery in waiting if chance.random() < DROPPED]
    for delivery in waiting:
        if delivery not in lost:
            assert github.post(delivery).status_code == 202
    return len(lost)


def live(github: GithubBench, chance: random.Random) -> tuple[Repository, list[PullRequest]]:
    """A repository whose pull requests are opened, pushed to, drafted, retargeted, closed and opened again, while deliveries are lost."""
    repository = installed(github)
    github.world.commit(repository, "release", {"r.txt": "fine\n"})
    pulls = [github.change(repository, {f"{n}.txt": "BAD\n" if n % 2 else "fine\n"}, f"feature{n}") for n in range(CHANGES)]
    lost = take_some(github, chance)
    while github.work_some():
        pass
    for n, pull in enumerate(pulls):
        match n % 4:
            case 0:
                github.world.commit(repository, f"feature{n}", {f"more{n}.txt": "fine\n"})
            case 1:
                github.world.set_draft("ada", pull, True)
                github.world.set_draft("ada", pull, False)
            case 2:
                github.world.close("ada", pull)
            case _:
                github.world.close("ada", pull)
                github.world.reopen("ada", pull)
    github.world.commit(repository, "main", {"c.txt": "BAD\n"})
    lost += take_some(github, chance)
    assert lost > 5
    while github.work_some():
        pass
    return repository, pulls


def walk(github: GithubBench, key: str) -> None:
    """One walk and all that follows; what we do on the host is told, and nothing is lost of that."""
    with github.app.database.work() as work:
        ((installation, _),) = work.installations.all()
        work.outbox.send(Envelope(FollowHeads(installation), key, priority=BATCH, group=heads.group_of(installation)))
    github.settle()


def test_of_a_life_with_lost_deliveries_every_open_head_has_its_one_finished_check(github: GithubBench) -> None:
    repository, pulls = live(github, random.Random(SEED))  # repeatable
    still = [pull for pull in pulls if pull.state == "open"]
    assert any(not [run for run in github.runs(repository, pull.head_sha) if run.status == "completed"] for pull in still)
    assert walk_heads(github.app) == 1
    assert walk_heads(github.app) == 0, "the walk goes on already"
    github.settle()
    for pull in still:
        (run,) = github.runs(repository, pull.head_sha)
        assert (run.status, run.conclusion) == ("completed", "failure" if pulls.index(pull) % 2 else "success")
    tip = repository.git.branch("main")
    assert tip is not None
    (run,) = github.runs(repository, tip)
    assert run.status == "completed"
    with github.app.database.read() as work:
        ((installation, _),) = work.installations.all()
        ((number, _),) = work.heads.repositories(installation, FollowHeads(installation).after, 10)
        known = work.heads.pull_requests(number, [])
    assert sorted(known) == sorted(pull.number for pull in still), "what was closed is known to be closed"
    assert github.dead() == []
    # Again: nothing is sent, and nothing of the budget is used.
    asked, sent = len(github.world.asked), messages(github)
    walk(github, "again")
    assert [a.status for a in list(github.world.asked)[asked:]] == [304] * (len(github.world.asked) - asked)
    assert len(github.world.asked) > asked
    assert messages(github) == sent + 1


def messages(github: GithubBench) -> int:
    """How many there ever were."""
    with github.app.database.read() as work:
        return int(work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one())


def test_a_walk_that_is_cut_off_goes_on_and_judges_nothing_twice(github: GithubBench) -> None:
    repository = installed(github)
    pulls = [github.change(repository, {f"{n}.txt": "fine\n"}, f"feature{n}") for n in range(3)]
    github.delivered = len(github.world.hooks.deliveries)
    github.world.faults.add("GET", "/pulls$", secondary_limit(1), times=1)
    github.world.faults.add("GET", "/branches/main$", faults.Status(502), times=2)
    walk(github, "first")
    for pull in pulls:
        assert [run.status for run in github.runs(repository, pull.head_sha)] == ["completed"]
        assert github.reviews(pull.head_sha) == 1
    assert github.dead() == []


@pytest.mark.parametrize("answer", [faults.Status(451), faults.garbage()], ids=["blocked by law", "garbage"])
def test_one_repository_that_the_host_tells_nothing_of_holds_up_no_other(
    github: GithubBench, caplog: pytest.LogCaptureFixture, answer: faults.Status
) -> None:
    blocked = installed(github)
    second = github.repository({"b.txt": "fine\n"}, "second")
    pull = github.change(second, {"c.txt": "BAD\n"})
    github.delivered = len(github.world.hooks.deliveries)
    github.world.faults.add("GET", f"/{blocked.name}/pulls$", answer, times=100)
    with caplog.at_level("INFO", "pipeline.stages.heads"):
        walk(github, "first")
    (run,) = github.runs(second, pull.head_sha)
    assert run.conclusion == "failure"
    said = [record.getMessage() for record in caplog.records]
    assert (said.count("repository.not_let_in"), said.count("reconcile.done")) == (1, 1)
    assert github.dead() == []


def test_a_repository_that_was_added_without_our_being_told_is_found_and_looked_at(github: GithubBench) -> None:
    installed(github)
    added = github.repository({"b.txt": "fine\n"}, "second")
    pull = github.change(added, {"c.txt": "BAD\n"})
    github.delivered = len(github.world.hooks.deliveries)
    walk(github, "first")
    (run,) = github.runs(added, pull.head_sha)
    assert run.conclusion == "failure"
    with github.app.database.read() as work:
        (found,) = work.installations.named("octo/second")
        assert work.installations.listing(found[0]).made


def test_an_installation_is_walked_in_slices_and_within_a_fifth_of_the_budget(
    github: GithubBench, caplog: pytest.LogCaptureFixture
) -> None:
    installed(github)
    for n in range(3):
        github.repository({"a.txt": "fine\n"}, f"shop{n}")
    github.app.places = replace(github.app.places, slice_seconds=0.0)
    with github.app.database.work() as work:
        ((installation, _),) = work.installations.all()
        work.outbox.send(Envelope(FollowHeads(installation), "walk", priority=BATCH))
    before = len(github.world.asked)
    github.work_key("walk")
    cost = sum(a.status != 304 for a in list(github.world.asked)[before:])
    assert cost >= 2
    with github.app.database.read() as work:
        (row,) = work.transaction.execute(select(outbox).where(outbox.c.kind == "follow_heads", outbox.c.status == "pending"))
        wait = row.due_at - github.app.database.now()
    assert cost / wait <= heads.AN_HOUR / 3_600 * 1.2
    assert json.loads(row.body)["repositories"] == 1
    with caplog.at_level("INFO", "pipeline.stages.heads"):
        for _ in range(3):
            with github.app.database.work() as work:
                work.transaction.execute(update(outbox).where(outbox.c.kind == "follow_heads").values(due_at=0.0))
            github.work_some()
    (done,) = [record for record in caplog.records if record.getMessage() == "reconcile.done"]
    assert (done.__dict__["repositories"], done.__dict__["begun"]) == (4, 0)


def test_plain_git_repositories_are_looked_at_too(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"b.txt": "fine\n"}, branch="known", start="main")
    bench.review(repo, "known")
    repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    bench.pull_request(repo, "feature")
    assert walk_heads(bench.app) == 1
    bench.work()
    checks = bench.checks(repo, git(repo.folder, "rev-parse", "feature"))
    assert [check.conclusion for check in checks] == ["failure"]
