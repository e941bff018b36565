"""A fix is made, refined, called off: before the doubles of both hosts, with instant engines and a fixer that knows two ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from bot.worker import work_message
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Fix, FixAttempt, FixStatus, Patch
from pipeline.model.ids import MessageId
from pipeline.ports import SourceFiles
from pipeline.sandbox import process
from pipeline.sandbox.process import Limits
from pipeline.store.tables import fixes, outbox
from tests.fakes import BAD_LINE, GoodFixer, LineScanner
from tests.stages.github import GithubBench, KeyScanner
from tests.stages.gitlab import GitlabBench
from tests.stages.wired import bad_words


class TwoWays(GoodFixer):
    """Says GOOD, or FINE when another way is wanted."""

    def alternatives(self, finding: Finding, files: SourceFiles) -> Sequence[Patch]:
        """The other word."""
        first = self.fix(finding, files)
        if first is None:
            return ()
        edits = tuple(FileEdit(edit.path, edit.before, (edit.after or b"").replace(b"GOOD", b"FINE")) for edit in first.edits)
        return (Patch(edits, "say FINE", "The line says FINE now.", self.name),)


@dataclass
class Host:
    """What the tests need of a host, whichever it is."""

    bench: GithubBench | GitlabBench
    say: Callable[[str], None]
    answers: Callable[[], list[str]]
    branches: Callable[[], list[str]]
    offered: Callable[[], bytes | None]
    """What our pull request makes of the file."""

    def settle(self) -> None:
        self.bench.settle()

    def fixes(self) -> list[Fix]:
        with self.bench.app.database.read() as work:
            found = work.transaction.execute(select(fixes.c.id).order_by(fixes.c.id)).scalars().all()
            return [work.fixes.get(fix) for fix in found]

    def attempts(self, fix: Fix) -> list[FixAttempt]:
        with self.bench.app.database.read() as work:
            return work.fixes.attempts(fix.id)

    def history(self, fix: Fix) -> list[str]:
        with self.bench.app.database.read() as work:
            return [event.kind for event in work.findings.events(fix.finding) if event.kind.startswith("fix_")]

    def waiting(self, kind: str) -> list[MessageId]:
        with self.bench.app.database.read() as work:
            statement = select(outbox.c.id).where(outbox.c.kind == kind, outbox.c.status == "pending")
            return [MessageId(one) for one in work.transaction.execute(statement).scalars()]


def on_github(github: GithubBench) -> Host:
    repository = github.repository({"a.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})

    def say(text: str) -> None:
        github.world.comment("ada", pull, text)

    def offered() -> bytes | None:
        (opened,) = github.ours(repository)
        return github.world.read(repository, opened.head_sha, "c.txt")

    return Host(github, say, lambda: github.answers(pull), lambda: github.our_branches(repository), offered)


def on_gitlab(gitlab: GitlabBench) -> Host:
    project = gitlab.project({"a.txt": "fine\n"})
    request = gitlab.change(project, {"c.txt": "BAD\n"})

    def say(text: str) -> None:
        gitlab.world.comment("ada", request, text)

    def branches() -> list[str]:
        return sorted(ref for ref in project.git.refs() if "fixwright/" in ref)

    def offered() -> bytes | None:
        (branch,) = branches()
        return gitlab.world.read(project, branch.removeprefix("refs/heads/"), "c.txt")

    return Host(gitlab, say, lambda: [note.body for note in gitlab.our_notes(request)], branches, offered)


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest) -> Host:
    """A change with one BAD line, checked."""
    bench = request.getfixturevalue(request.param)
    made = on_github(bench) if isinstance(bench, GithubBench) else on_gitlab(bench)
    bench.use(scanners=[LineScanner(), KeyScanner()], fixers=[TwoWays()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    made.settle()
    return made


def test_a_refinement_is_another_attempt_of_the_same_fix(host: Host) -> None:
    host.say("/fix")
    host.settle()
    (made,) = host.fixes()
    assert (made.status, made.attempt, "GOOD" in made.diff) == ("completed", 1, True)
    host.say("/refine another way")
    host.settle()
    (refined,) = host.fixes()
    assert (refined.id, refined.status, refined.attempt, "FINE" in refined.diff) == (made.id, "completed", 2, True)
    assert refined.receipt != made.receipt
    assert [(one.number, one.status, one.instructions, one.asked_by) for one in host.attempts(made)] == [
        (1, "completed", "", "ada"),
        (2, "completed", "another way", "ada"),
    ]
    first = ["fix_created", "fix_started", "fix_completed", "fix_pr_created"]
    assert host.history(made) == [*first, "fix_started", "fix_completed", "fix_pr_updated"]
    assert (host.offered(), len(host.branches())) == (b"FINE\n", 1)
    assert host.bench.dead() == []


def test_what_cannot_be_made_otherwise_is_said_and_what_was_proven_stands(host: Host) -> None:
    host.say("/fix")
    host.settle()
    (made,) = host.fixes()
    for text, said in (
        ("/refine only b.txt", "the fixers have no such patch. What was proven before stands."),
        ("/refine in the style of a haiku", "No fixer here can follow `in the style of a haiku`"),
    ):
        host.say(text)
        host.settle()
        assert said in host.answers()[-1]
    (after,) = host.fixes()
    assert (after.status, after.diff, after.receipt) == ("completed", made.diff, made.receipt)
    assert [one.status for one in host.attempts(made)] == ["completed", "failed"]
    assert host.history(made)[-1] == "fix_failed"


def test_there_is_nothing_to_refine_and_nothing_to_call_off_before_something_was_asked_for(host: Host) -> None:
    host.say("/refine another way")
    host.settle()
    assert "There is no patch for" in host.answers()[-1]
    host.say("/cancel")
    host.settle()
    assert "Nothing is being made here" in host.answers()[-1]
    assert host.fixes() == []


def test_what_nobody_can_follow_makes_no_fix(host: Host) -> None:
    host.say("/fix c.txt:1 with a haiku")
    host.settle()
    assert "Nothing was done" in host.answers()[-1]
    assert host.fixes() == []
    host.say("/fix c.txt:1 another way, please")
    host.settle()
    (made,) = host.fixes()
    assert (made.status, "FINE" in made.diff) == ("completed", True)


class Slow(LineScanner):
    """Looks through a program in the sandbox that does not end by itself, when it is told to."""

    def __init__(self) -> None:
        super().__init__(before=self._wait)
        self.slow = False
        self.running = threading.Event()

    def _wait(self) -> None:
        if self.slow:
            self.running.set()
            process.run(["sleep", "120"], limits=Limits(wall=120))


def test_a_fix_that_is_called_off_ends_within_two_seconds_also_while_a_program_runs(host: Host) -> None:
    engine = Slow()
    host.bench.use(scanners=[engine, KeyScanner()], fixers=[TwoWays()])
    host.bench.app.plugins = replace(host.bench.app.plugins, residues=bad_words)
    engine.slow = True
    host.say("/fix")
    host.bench.take()
    worker = threading.Thread(target=host.bench.settle)
    worker.start()
    assert engine.running.wait(30)
    (running,) = host.fixes()
    assert (running.status, running.diff) == ("running", "")
    asked = time.monotonic()
    with host.bench.app.database.work() as work:
        assert work.fixes.cancel(running.id, "ada")
    worker.join(30)
    assert time.monotonic() - asked < 5  # two seconds, and some for a machine that is busy
    assert not worker.is_alive()
    (ended,) = host.fixes()
    assert (ended.status, ended.cancel_asked_by, ended.diff) == ("cancelled", "ada", "")
    assert host.branches() == []
    assert host.history(ended) == ["fix_created", "fix_started", "fix_cancelled"]
    assert host.bench.dead() == []


def test_a_fix_that_nobody_has_begun_is_called_off_by_a_command_and_can_be_asked_for_again(host: Host) -> None:
    host.say("/fix")
    host.bench.take()
    for kind in ("accept_event", "request_fix"):
        for message in host.waiting(kind):
            work_message(host.bench.app, message)
    # The worker went on with the run itself unless it was the last of its group.
    host.say("/cancel")
    host.settle()
    (first,) = host.fixes()
    if first.status is FixStatus.CANCELLED:
        assert [answer for answer in host.answers() if "Called off" in answer]
        assert host.branches() == []
        host.say("/fix")
        host.settle()
        old, new = sorted(host.fixes(), key=lambda fix: fix.status)
        assert (old.status, old.replaced_by, new.status) == ("cancelled", new.id, "completed")
    else:
        assert "Nothing is being made here" in host.answers()[-1]


def test_what_a_finding_is_can_be_asked(host: Host) -> None:
    host.say("/explain c.txt:1")
    host.settle()
    assert f"`{BAD_LINE.id}`" in host.answers()[-1]
    assert host.fixes() == []
