"""A pull request of ours that people merged: the check that follows says in the finding's history what mended it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from pipeline.store.tables import fixes
from tests.stages.github import GithubBench
from tests.stages.gitlab import GitlabBench


@dataclass
class Host:
    """What these tests need of a host."""

    bench: GithubBench | GitlabBench
    commit: Callable[[str], None]
    """Somebody writes this into the file of the change."""
    merge: Callable[[], int]
    """Somebody merges our open pull request; its number."""

    def told(self) -> list[tuple[str, str]]:
        """The history of the finding in the change, without what became of its fixes."""
        with self.bench.app.database.read() as work:
            finding = work.transaction.execute(select(fixes.c.finding_id).distinct()).scalar_one()
            events = [event for event in work.findings.events(finding) if event.branch == "pull/1"]
            return [(event.kind, event.detail) for event in events if not event.kind.startswith("fix_")]


def on_github(github: GithubBench) -> Host:
    repository = github.repository({"a.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    github.world.comment("ada", pull, "/fix")

    def merge() -> int:
        (ours,) = [one for one in github.ours(repository) if one.state == "open"]
        github.world.merge("ada", ours)
        return ours.number

    return Host(github, lambda text: void(github.world.commit(repository, "feature", {"c.txt": text})), merge)


def on_gitlab(gitlab: GitlabBench) -> Host:
    project = gitlab.project({"a.txt": "fine\n"})
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.settle()
    gitlab.world.comment("ada", request, "/fix")

    def merge() -> int:
        (ours,) = [one for one in project.merge_requests.values() if one.iid != request.iid and one.state == "opened"]
        gitlab.world.merge("ada", ours)
        return ours.iid

    return Host(gitlab, lambda text: void(gitlab.world.commit(project, "feature", {"c.txt": text})), merge)


def void(_: object) -> None:
    return


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest) -> Host:
    """Either host, with a fix pull request that is open."""
    bench = request.getfixturevalue(request.param)
    made = on_github(bench) if isinstance(bench, GithubBench) else on_gitlab(bench)
    bench.settle()
    return made


def test_the_check_after_the_merge_notes_once_what_mended_the_finding(host: Host) -> None:
    number = host.merge()
    host.bench.settle()
    mended = [("detected", ""), ("resolved_pr_merged", f"pull/{number}")]
    assert host.told() == mended
    host.commit("GOOD and more\n")
    host.bench.settle()
    assert host.told() == mended
    # What comes back and goes again was not mended by the merge of then.
    host.commit("BAD\n")
    host.bench.settle()
    host.commit("fine\n")
    host.bench.settle()
    assert host.told() == [*mended, ("reopened", ""), ("resolved_auto", "")]
    assert host.bench.dead() == []


def test_what_people_mended_themselves_is_not_put_down_to_ours(host: Host) -> None:
    host.commit("fine\n")
    host.bench.settle()
    assert host.told() == [("detected", ""), ("resolved_auto", "")]
