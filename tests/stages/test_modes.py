"""Reader and fixer at work: what `/fix` does where code may be written, and where it may only be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from providers.github.manifest import FIXER, READER
from tests.fakes import GoodFixer, LineScanner
from tests.stages.github import GithubBench, KeyScanner, app_key
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

Start = Callable[[Mapping[str, str]], GithubBench]
WORKFLOW = ".github/workflows/build.yml"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A Fixwright whose App has the permissions of a mode."""

    @contextmanager
    def running(permissions: Mapping[str, str]) -> Iterator[GithubBench]:
        world = GithubWorld(tmp_path / "github", private_key_pem=app_key(), permissions=permissions)
        world.serve()
        bench = GithubBench(tmp_path, world, "")
        try:
            yield bench
        finally:
            bench.close()
            world.stop()
        assert world.violations == []

    with ExitStack() as stack:
        yield lambda permissions: stack.enter_context(running(permissions))


def reviewed(github: GithubBench, path: str = "c.txt") -> tuple[Repository, PullRequest]:
    """A pull request with one finding that can be mended."""
    repository = github.repository({"a.txt": "fine\n"})
    pull = github.change(repository, {path: "fine\nBAD\n"})
    github.settle()
    return repository, pull


def refusals(github: GithubBench) -> int:
    """Requests that GitHub refused. A review makes one: it asks for the owner's policy, and there is no such repository."""
    return sum(asked.status in (401, 403, 409, 422) for asked in github.world.asked)


def test_a_reader_answers_in_the_conversation_with_a_patch_and_says_why(start: Start) -> None:
    github = start(READER)
    repository, pull = reviewed(github)
    before = refusals(github)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "git apply" in answer
    assert "may read code here, not write it" in answer
    assert "+GOOD" in answer
    assert github.our_branches(repository) == []
    assert github.ours(repository) == []
    assert github.dead() == []
    assert refusals(github) == before, "nothing is tried that cannot be"


def test_a_reader_answers_in_a_thread_with_a_suggestion(start: Start) -> None:
    github = start(READER)
    repository, pull = reviewed(github)
    (thread,) = github.threads(pull)
    github.world.reply_in_thread("ada", thread.id, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "```suggestion\nGOOD" in answer
    assert github.our_branches(repository) == []


def test_a_fixer_opens_a_pull_request(start: Start) -> None:
    github = start(FIXER)
    repository, pull = reviewed(github)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert len(github.our_branches(repository)) == 1
    assert len(github.ours(repository)) == 1
    assert "Opened #" in github.answers(pull)[0]


class Careless(GoodFixer):
    """Mends the line and writes the same fault below it."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        patch = super().fix(finding, files)
        return patch and replace(patch, edits=tuple(replace(edit, after=(edit.after or b"") + b"BAD again\n") for edit in patch.edits))


def test_a_fix_that_does_not_pass_the_gate_is_told_and_nothing_is_opened(start: Start) -> None:
    github = start(FIXER)
    github.use(scanners=[LineScanner(), KeyScanner()], fixers=[Careless()])
    repository, pull = reviewed(github)
    assert github.threads(pull) == []
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "**refused**" in answer
    assert "fake.bad-line is new at" in answer
    assert (github.our_branches(repository), github.ours(repository)) == ([], [])
    assert github.dead() == []


def test_a_reader_that_becomes_a_fixer_opens_the_next_pull_request_at_once(start: Start) -> None:
    github = start(READER)
    repository, pull = reviewed(github)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    installation = github.world.installation_of(repository)
    assert installation is not None
    github.world.grant(installation, FIXER)
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert len(github.ours(repository)) == 1


def test_a_fixer_that_becomes_a_reader_shows_the_patch_again(start: Start) -> None:
    github = start(FIXER)
    repository, pull = reviewed(github)
    installation = github.world.installation_of(repository)
    assert installation is not None
    github.world.grant(installation, READER)
    github.settle()
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert github.ours(repository) == []
    assert "git apply" in github.answers(pull)[0]


def test_a_workflow_is_never_written_also_by_a_fixer(start: Start) -> None:
    github = start(FIXER)
    repository, pull = reviewed(github, WORKFLOW)
    github.world.comment("ada", pull, "/fix")
    github.settle()
    (answer,) = github.answers(pull)
    assert "never writes below .github/workflows/" in answer.replace("\\", "")
    assert "+GOOD" in answer
    assert github.our_branches(repository) == []
    assert github.dead() == []


def test_the_permissions_are_asked_once_and_not_for_each_command(start: Start) -> None:
    github = start(READER)
    _, pull = reviewed(github)
    for _ in range(3):
        github.world.comment("ada", pull, "/fix")
        github.settle()
    asked = [one for one in github.world.asked if one.method == "GET" and "/app/installations/" in one.path]
    assert len(asked) == 1
