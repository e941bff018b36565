"""A fix is made, refined, called off: before the doubles of both hosts, with instant engines and a fixer that knows two ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select, update

from pipeline.messages import Envelope, RunFix
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Fix, FixAttempt, Patch
from pipeline.model.ids import ReviewId
from pipeline.ports import SourceFiles
from pipeline.sandbox import process
from pipeline.sandbox.process import Limits
from pipeline.store.tables import fixes, outbox, reviews
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


def checked(bench: GithubBench | GitlabBench) -> Host:
    """A change with one BAD line, checked."""
    made = on_github(bench) if isinstance(bench, GithubBench) else on_gitlab(bench)
    bench.use(scanners=[LineScanner(), KeyScanner()], fixers=[TwoWays()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    made.settle()
    return made


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest) -> Host:
    """Either host."""
    return checked(request.getfixturevalue(request.param))


@pytest.fixture
def one(github: GithubBench) -> Host:
    """For what is decided before a host is asked."""
    return checked(github)


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


def test_what_cannot_be_made_otherwise_is_said_and_what_was_proven_stands(one: Host) -> None:
    one.say("/fix")
    one.settle()
    (made,) = one.fixes()
    for text, said in (
        ("/refine only b.txt", "the fixers have no such patch. What was proven before stands."),
        ("/refine in the style of a haiku", "No fixer here can follow `in the style of a haiku`"),
    ):
        one.say(text)
        one.settle()
        assert said in one.answers()[-1]
    (after,) = one.fixes()
    assert (after.status, after.diff, after.receipt) == ("completed", made.diff, made.receipt)
    assert [attempt.status for attempt in one.attempts(made)] == ["completed", "failed"]
    assert one.history(made)[-1] == "fix_failed"


class Clumsy(TwoWays):
    """Its first patch mends nothing."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The line is as bad as it was."""
        good = super().fix(finding, files)
        if good is None:
            return None
        edits = tuple(FileEdit(edit.path, edit.before, (edit.before or b"") + b"BAD too\n") for edit in good.edits)
        return replace(good, edits=edits)

    def alternatives(self, finding: Finding, files: SourceFiles) -> Sequence[Patch]:
        """The word that mends it."""
        good = GoodFixer().fix(finding, files)
        return () if good is None else (good,)


def test_the_first_patch_that_passes_the_gate_wins(one: Host) -> None:
    one.bench.use(scanners=[LineScanner(), KeyScanner()], fixers=[Clumsy()])
    one.bench.app.plugins = replace(one.bench.app.plugins, residues=bad_words)
    one.say("/fix")
    one.settle()
    (made,) = one.fixes()
    assert (made.status, "+GOOD" in made.diff, one.offered()) == ("completed", True, b"GOOD\n")
    one.say("/refine another way")
    one.settle()
    assert "no such patch. What was proven before stands." in one.answers()[-1]


def test_there_is_nothing_to_refine_and_nothing_to_call_off_before_something_was_asked_for(one: Host) -> None:
    one.say("/refine another way")
    one.settle()
    assert "There is no patch for" in one.answers()[-1]
    one.say("/cancel")
    one.settle()
    assert "Nothing is being made here" in one.answers()[-1]
    assert one.fixes() == []


def test_what_nobody_can_follow_makes_no_fix(one: Host) -> None:
    one.say("/fix c.txt:1 with a haiku")
    one.settle()
    assert "Nothing was done" in one.answers()[-1]
    assert one.fixes() == []
    one.say("/fix c.txt:1 another way, please")
    one.settle()
    (made,) = one.fixes()
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


def asked_for(host: Host) -> Fix:
    """A run that nobody has begun, and the message that would begin it."""
    with host.bench.app.database.work() as work:
        review = work.reviews.get(
            ReviewId(work.transaction.execute(select(reviews.c.id).where(reviews.c.pull_request.is_not(None))).scalar_one())
        )
        (one,) = work.reviews.verdict(review.id).judged
        repository = work.installations.identify(review.change.repository)
        made, _ = work.fixes.create(repository, review.id, one.finding.fingerprint, one.finding.handle or "", asked_by="ada")
        work.outbox.send(Envelope(RunFix(made), f"run_fix:{made}", delay=2.0))
        return work.fixes.get(made)


def test_a_fix_that_nobody_has_begun_is_called_off_and_can_be_asked_for_again(one: Host) -> None:
    first = asked_for(one)
    one.say("/cancel")
    one.settle()
    assert [answer for answer in one.answers() if answer.startswith(f"Called off: `{first.handle}`")]
    assert (one.fixes()[0].status, one.branches()) == ("cancelled", [])
    with one.bench.app.database.work() as work:
        work.transaction.changed(update(outbox).where(outbox.c.key == f"run_fix:{first.id}").values(due_at=outbox.c.created_at))
    one.bench.work_key(f"run_fix:{first.id}")
    with one.bench.app.database.read() as work:
        assert work.transaction.execute(select(outbox.c.status).where(outbox.c.key == f"run_fix:{first.id}")).scalar_one() == "done"
    one.say("/fix")
    one.settle()
    old, new = one.fixes()
    assert (old.id, old.status, old.replaced_by, new.status) == (first.id, "cancelled", new.id, "completed")
    assert len(one.branches()) == 1


def test_a_fix_of_a_repository_that_was_archived_meanwhile_ends_and_says_why(one: Host) -> None:
    first = asked_for(one)
    with one.bench.app.database.work() as work:
        work.installations.tell_repository_state(first.repository, "archived")
    one.settle()
    (ended,) = one.fixes()
    assert (ended.status, ended.error, one.branches()) == ("failed", "the repository is archived", [])


def test_two_people_who_refine_at_once_get_one_new_patch(one: Host) -> None:
    one.say("/fix")
    one.settle()
    one.say("/refine another way")
    one.say("/refine another way")
    one.settle()
    (made,) = one.fixes()
    assert made.status == "completed"
    assert made.attempt == len(one.attempts(made)) <= 3
    assert len(one.branches()) == 1


def test_what_a_finding_is_can_be_asked(one: Host) -> None:
    one.say("/explain c.txt:1")
    one.settle()
    assert f"`{BAD_LINE.id}`" in one.answers()[-1]
    assert one.fixes() == []
