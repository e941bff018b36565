"""A fix that came to nothing: why it did is said, what failed by chance is made when somebody asks again, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import select, update

from bot.worker import work_message
from pipeline.errors import EngineCrashed
from pipeline.model.ids import MessageId
from pipeline.model.scan import Output, ScanRequest
from pipeline.ports import Control
from pipeline.store.tables import outbox
from tests.fakes import LineScanner
from tests.stages.github import GithubBench, KeyScanner
from tests.stages.gitlab import GitlabBench
from tests.stages.test_fix_lifecycle import TwoWays, asked_for, checked
from tests.stages.test_refused_fixes import READ_ONLY, refusal
from tests.stages.wired import bad_words
from tests.worlds import faults


class Flaky(LineScanner):
    """Crashes while it is `broken`."""

    broken = False

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """As its base does."""
        if self.broken:
            raise EngineCrashed("the engine crashed", engine="lines")
        yield from super().scan(request, control)


def _drain(bench: GithubBench | GitlabBench, rounds: int) -> None:
    """Work everything that waits, also what waits for the host, so many times."""
    for _ in range(rounds):
        bench.take()
        with bench.app.database.work() as work:
            pending = outbox.c.status == "pending"
            work.transaction.execute(update(outbox).where(pending).values(due_at=outbox.c.created_at, waits_for=""))
            due = list(work.transaction.execute(select(outbox.c.id).where(pending)).scalars())
        for number in due:
            work_message(bench.app, MessageId(number))


def test_what_failed_by_chance_says_why_and_is_made_when_it_is_asked_for_again(github: GithubBench) -> None:
    host = checked(github)
    scanner = Flaky()
    github.use(scanners=[scanner, KeyScanner()], fixers=[TwoWays()])
    github.app.plugins = replace(github.app.plugins, residues=bad_words)
    scanner.broken = True
    host.say("/fix")
    host.settle()
    (failed,) = host.fixes()
    assert (failed.status, "the engine crashed" in failed.error) == ("failed", True)
    assert any("the engine crashed" in answer for answer in host.answers())
    scanner.broken = False
    host.say("/fix")
    host.settle()
    assert [fix.status for fix in host.fixes() if not fix.replaced_by] == ["completed"]


def test_all_makes_again_what_failed_by_chance(github: GithubBench) -> None:
    host = checked(github)
    scanner = Flaky()
    github.use(scanners=[scanner, KeyScanner()], fixers=[TwoWays()])
    github.app.plugins = replace(github.app.plugins, residues=bad_words)
    scanner.broken = True
    host.say("/fix")
    host.settle()
    scanner.broken = False
    host.say("/fix all")
    host.settle()
    assert "completed" in [fix.status for fix in host.fixes() if not fix.replaced_by]


def test_a_finding_that_is_gone_meanwhile_is_an_answer_and_no_fault(github: GithubBench) -> None:
    host = checked(github)
    fix = asked_for(host)
    with github.app.database.work() as work:
        verdict = work.reviews.verdict(fix.review)
        work.reviews.save_verdict(fix.review, replace(verdict, judged=()))
    host.settle()
    (ended,) = host.fixes()
    assert (ended.status, ended.error) == ("failed", "the finding is not open any more")
    assert github.dead() == []


def test_a_push_that_a_silent_host_refuses_stands_in_the_state_of_the_fix(github: GithubBench) -> None:
    host = checked(github)
    for path in ("/(git/|graphql)", "/comments$"):
        github.world.faults.add("POST", path, refusal(403, READ_ONLY), times=100)
    host.say("/fix push")
    _drain(github, 12)
    (fix,) = host.fixes()
    assert "takes no commit" in fix.error
    assert [kind for kind, _ in github.dead() if kind == "propose_fix"] == []


def test_a_push_to_a_protected_branch_stands_there_too(gitlab: GitlabBench) -> None:
    host = checked(gitlab)
    (project,) = gitlab.world.gitlab.state.projects.values()
    gitlab.world.protect(project, "feature")
    host.say("/fix push")
    host.settle()
    (fix,) = host.fixes()
    assert "takes no commit" in fix.error


def test_of_a_pull_request_that_could_not_be_opened_nothing_is_left_when_the_change_ends(github: GithubBench) -> None:
    host = checked(github)
    github.world.faults.add("POST", "/pulls$", faults.Status(500), times=10_000)
    host.say("/fix")
    _drain(github, 4)
    with github.app.database.work() as work:
        mine = (outbox.c.kind == "propose_fix", outbox.c.status == "pending")
        work.transaction.execute(update(outbox).where(*mine).values(attempts=500))
    _drain(github, 3)
    (fix,) = host.fixes()
    assert fix.status == "pr_creation_failed"
    assert fix.error
    assert host.branches() != []
    github.world.faults.clear()
    (pull,) = [pull for repository in github.world.github.state.repositories.values() for pull in repository.pulls.values()]
    github.world.close("ada", pull)
    _drain(github, 3)
    assert host.branches() == []
