"""Every token is for one repository and for what its step needs: each step of a whole life, as the host saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.duties import begin_scans
from pipeline.messages import BATCH, Envelope, FollowHeads
from providers.github.manifest import FIXER, READER
from tests.stages.github import GithubBench, app_key
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

Rights = frozenset[str]


def rights(*names: str) -> Rights:
    """`checks:write` and so on."""
    return frozenset(names)


CLONE = rights("contents:read")
READ = rights("contents:read", "pull_requests:read")
CHECK = rights("checks:write")
SPEAK = rights("issues:write", "pull_requests:write")
PROPOSE = rights("contents:write", "pull_requests:write")
REVIEW = {CLONE, READ, CHECK}


@contextmanager
def running(tmp_path: Path, permissions: Mapping[str, str]) -> Iterator[GithubBench]:
    """A Fixwright whose App has these permissions."""
    world = GithubWorld(tmp_path / "github", private_key_pem=app_key(), permissions=permissions)
    world.serve()
    bench = GithubBench(tmp_path, world, "")
    try:
        yield bench
    finally:
        bench.close()
        world.stop()
    assert world.violations == []


class Life:
    """One repository beside another one, from its first scan on."""

    def __init__(self, github: GithubBench) -> None:
        self.github, self.world = github, github.world
        self.other = github.repository({"a.txt": "fine\n"}, "other")
        self.repository: Repository = github.repository({"a.txt": "fine\nBAD\n"})
        self.world.set_permission("bob", self.repository, "write")

    def step(self, act: Callable[[], object]) -> set[Rights]:
        """Do it, and all that follows; the rights of the tokens that were used for it, each of this repository alone."""
        self.world.asked.clear()
        act()
        self.github.settle()
        used = [asked for asked in self.world.asked if asked.granted is not None and not asked.path.startswith("/app")]
        for asked in used:
            if asked.path == "/installation/repositories":
                assert asked.granted == rights("metadata:read"), "only the list of repositories takes a token for all, and reads names"
            else:
                assert asked.reach == frozenset({self._named(asked.path)}), asked.path
        return {(asked.granted or frozenset()) - {"metadata:read"} for asked in used} - {frozenset()}

    def _named(self, path: str) -> int:
        """The repository that a request is about; what names none (GraphQL, the owner's policy) is about ours."""
        return self.other.id if "/octo/other" in path or path == f"/repositories/{self.other.id}" else self.repository.id

    def first_scan(self) -> None:
        """Its first scan, as after an installation."""
        with self.github.app.database.work() as work:
            ((number, _, _),) = work.installations.named("octo/shop")
            work.installations.want_scan(number)
        begin_scans(self.github.app)

    def walk(self) -> None:
        """Open heads are compared with what was judged."""
        with self.github.app.database.work() as work:
            ((_, _, installation),) = work.installations.named("octo/shop")
            assert installation is not None
            work.outbox.send(Envelope(FollowHeads(installation), "walk", priority=BATCH))

    def change(self) -> PullRequest:
        """A pull request with a finding."""
        return self.github.change(self.repository, {"c.txt": "fine\nBAD\n"})

    def handle(self, pull: PullRequest) -> str:
        """What people call it."""
        (thread,) = self.github.threads(pull)
        return thread.body.partition("`/waive ")[2].partition(" ")[0]


@pytest.mark.parametrize("mode", ["reader", "fixer"])
def test_each_step_of_a_life_asks_for_no_more_than_it_needs(tmp_path: Path, mode: str) -> None:
    writes = mode == "fixer"
    with running(tmp_path, FIXER if writes else READER) as github:
        life = Life(github)
        pulls: list[PullRequest] = []
        if writes:  # a reader reads in the same way
            assert life.step(lambda: life.world.commit(life.repository, "main", {"b.txt": "fine\n"})) <= REVIEW, "a push"
            assert life.step(life.first_scan) == {CLONE}, "a first scan reads"
        assert life.step(lambda: pulls.append(life.change())) == REVIEW | {SPEAK}, "a pull request with a thread"
        (pull,) = pulls
        asked = life.step(lambda: life.world.comment("ada", pull, "/status"))
        assert asked == {READ, SPEAK}, "an answer: who asks, and the answer"
        fixed = life.step(lambda: life.world.comment("ada", pull, "/fix"))
        assert (PROPOSE in fixed) is writes, "a branch and its pull request are the fixer's alone"
        assert fixed - {PROPOSE} <= REVIEW | {SPEAK}
        assert bool(github.ours(life.repository)) is writes
        waived = life.step(lambda: life.world.comment("bob", pull, f"/waive {life.handle(pull)} test data that nobody reads"))
        resolve = {PROPOSE} if writes else set()
        assert waived - resolve <= REVIEW | {SPEAK}, "GitHub asks for write access to contents where a thread is resolved"
        assert not any("contents:write" in one for one in waived) or writes
        assert not writes or life.step(life.walk) <= {CLONE, READ}, "reconciliation reads"
        gone = life.step(lambda: life.world.commit(life.repository, "feature", {"c.txt": "fine\n"}))
        assert gone - resolve <= REVIEW | {SPEAK}, "a push to it, which mends it"
        assert github.dead() == []


def test_an_installation_that_grants_reading_alone_is_scanned_for_the_operator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path, {"metadata": "read", "contents": "read"}) as github:
        life = Life(github)
        assert life.step(lambda: life.world.commit(life.repository, "main", {"b.txt": "fine\n"})) == {CLONE}
        assert life.step(life.first_scan) == {CLONE}
        assert "check.not_granted" in [record.getMessage() for record in caplog.records], "what is not shown is said in the log"
        with github.app.database.read() as work:
            ((number, _, _),) = work.installations.named("octo/shop")
            found = work.findings.listed(number, "main", "open")
        assert [(one.finding.location.path, one.finding.location.line) for one in found] == [("a.txt", 2)]
        life.world.commit(life.repository, "main", {"d.txt": "BAD, another one\n"})
        github.settle()
        with github.app.database.read() as work:
            assert len(work.findings.listed(number, "main", "open")) == 2, "later pushes are judged, too"
        assert github.world.checks(life.repository) == []
        assert github.world.effects[:] == [effect for effect in github.world.effects if effect.operation.endswith("access_tokens")]
        assert github.dead() == []
        installation = life.world.installation_of(life.repository)
        assert installation is not None
        life.world.grant(installation, READER)
        github.settle()
        head = life.world.commit(life.repository, "main", {"e.txt": "BAD, a third one\n"})
        github.settle()
        (run,) = github.runs(life.repository, head)
        assert (run.status, run.conclusion) == ("completed", "failure"), "granted later, the next commit has its check"
