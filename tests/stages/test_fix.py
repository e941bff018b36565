"""`/fix`, with an instant engine and a simple fixer: asked once or often, one patch, one pull request, one answer."""

from __future__ import annotations

from pipeline.errors import EngineMissing, FixwrightError, SandboxBusy
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo
from tests.stages.github import GithubBench
from tests.stages.wired import KeyScanner


def test_fix_is_refused_to_somebody_who_may_not_write(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix", who="a-stranger")
    bench.work()
    answers = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert len(answers) == 1
    assert "write permission" in answers[0]


def test_a_quoted_command_is_no_command(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    before = bench.said(repo, ref)
    bench.comment(repo, ref, "> /fix\nI would not do `/fix` here")
    bench.work()
    after = bench.said(repo, ref)
    assert len(after.comments) == len(before.comments) + 1


def test_fix_without_a_finding_says_so(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert "Nothing is open here" in answer


def test_fix_of_several_asks_which(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD one\nfine\nBAD two\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert answer.startswith("Which one?")


def test_an_unknown_handle_is_named(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix ZZZZ")
    bench.work()
    (answer,) = [c.body for c in bench.said(repo, ref).comments if c.topic.startswith("fix")]
    assert "`ZZZZ`" in answer


# --- a sandbox that is busy -----------------------------------------------------------------------------------------------------------


class Moody(LineScanner):
    """Fails as often as it is told to, when it is asked to look."""

    def __init__(self) -> None:
        super().__init__(before=self._look)
        self.failures: list[FixwrightError] = []
        self.first = 0
        """Looks that go well before that."""

    def _look(self) -> None:
        self.first -= 1
        if self.first < 0 and self.failures:
            raise self.failures.pop()


def moody(github: GithubBench) -> Moody:
    made = Moody()
    github.look_with(made, KeyScanner())
    return made


def test_a_fix_is_made_when_programs_can_be_started_again(github: GithubBench) -> None:
    scanner = moody(github)
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    scanner.failures = [SandboxBusy("no process left"), SandboxBusy("no memory left")]
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert scanner.failures == []
    assert len(github.ours(repository)) == 1
    assert [body for body in github.answers(pull) if "could not" in body or "left" in body] == []
    assert github.dead() == []


def test_a_fix_without_its_engine_says_so_at_once(github: GithubBench) -> None:
    scanner = moody(github)
    repository = github.repository({"c.txt": "fine\n"})
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    scanner.failures = [EngineMissing("the engine is gone", engine="lines")]
    github.world.comment("ada", pull, "/fix")
    github.settle()
    assert github.ours(repository) == []
    assert [body for body in github.answers(pull) if body.startswith("No patch") and "the engine is gone" in body]
    assert github.dead() == []


def test_a_thread_waits_a_moment_for_its_patch_while_no_program_can_be_started(github: GithubBench) -> None:
    scanner = moody(github)
    repository = github.repository({"c.txt": "fine\n"})
    github.settle()
    scanner.first, scanner.failures = 1, [SandboxBusy("no process left")]  # the scan goes well
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert scanner.failures == []
    assert len(github.threads(pull)) == 1
    assert github.dead() == []


def test_a_review_is_told_without_patches_when_that_does_not_end(github: GithubBench) -> None:
    scanner = moody(github)
    repository = github.repository({"c.txt": "fine\n"})
    github.settle()
    scanner.first, scanner.failures = 1, [SandboxBusy("no process left") for _ in range(10)]
    pull = github.change(repository, {"c.txt": "BAD\n"})
    github.settle()
    assert len(scanner.failures) == 7
    assert github.threads(pull) == []
    assert [run.conclusion for run in github.runs(repository, pull.head_sha)] == ["failure"]
    assert github.dead() == []
