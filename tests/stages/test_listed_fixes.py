"""What the default branch has becomes a pull request into it, asked for or as the policy says: one a finding, gone when it is moot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.cli import main
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.stages.listedfix import unoffered
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo, git
from tests.stages.github import VALUE, GithubBench, KeyScanner, bad_words
from tests.stages.gitlab import GitlabBench
from tests.stages.listed import OnGithub, OnGitlab, OnLocal
from tests.worlds.faults import Status

ONE = {"app/c.txt": "fine\nBAD\n", "z.txt": "fine\n"}
Local = Callable[..., OnLocal]


@pytest.fixture
def local(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Local:
    """Makes a scanned repository with these files."""
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    return lambda files: OnLocal(bench, LocalRepo(tmp_path_factory.mktemp("work") / "shop"), files)


def test_a_public_repository_needs_a_yes(github: GithubBench) -> None:
    place = OnGithub(github, {**ONE, ".github/fixwright.yml": "fixes: {open: 2}\n"}, private=False)
    assert github.sent("run_fix") == 0, "the policy opens none there"
    (fix,) = place.ask()
    assert (place.ours(), github.our_branches(place.made), fix.status) == ([], [], "completed")
    assert "nobody said yes" in fix.error
    (fix,) = place.ask("app/c.txt:2", openly=True)
    assert (fix.status, fix.asked_by, fix.error) == ("completed", "ada", "")
    (ours,) = place.ours()
    assert (ours.state, ours.base, ours.branch, ours.parent) == ("open", "main", f"fixwright/{fix.handle.lower()}", fix.base)
    assert "Say GOOD" in ours.title
    assert fix.receipt is not None
    assert fix.receipt.digest in ours.body
    assert "targets the branch of the change" not in ours.body
    assert place.dead() == []


def test_the_policy_has_one_opened_and_the_merge_is_what_resolves_the_finding(gitlab: GitlabBench) -> None:
    place = OnGitlab(gitlab, {**ONE, ".gitlab/fixwright.yml": "fixes: {open: 1, labels: [security]}\n"})
    (ours,) = place.ours()
    (finding,) = place.listed()
    branch = f"fixwright/{(finding.finding.handle or '').lower()}"
    assert (ours.state, ours.base, ours.branch, ours.parent) == ("open", "main", branch, place.made.git.branch("main"))
    assert place.made.merge_requests[ours.number].labels == ["security"]
    place.merge(ours.number)
    assert place.told(finding)[-1] == ("resolved_pr_merged", f"pull/{ours.number}")
    assert place.dead() == []


def test_it_moves_when_it_is_asked_for_again_or_collides_and_is_closed_with_a_word_when_it_is_moot(local: Local) -> None:
    place = local({"c.txt": "one\ntwo\nthree\nBAD\nfive\n", "z.txt": "fine\n"})
    (fix,) = place.ask()
    (first,) = place.ours()
    assert [again.id for again in place.ask("c.txt:4")] == [fix.id]
    pushed = place.commit({"c.txt": "ONE\ntwo\nthree\nBAD\nfive\n"})
    assert [ours.parent for ours in place.ours()] == [fix.base], "git merges that"
    assert place.ask() == [], "it has a pull request, and nobody names it"
    (moved,) = place.ask("c.txt:4")
    assert [(ours.number, ours.parent) for ours in place.ours()] == [(first.number, pushed)]
    assert (moved.base, moved.pull_request) == (pushed, fix.pull_request)
    pushed = place.commit({"c.txt": "ONE\ntwo\nmore\nTHREE\nBAD\nfive\n"})
    assert [(ours.number, ours.state, ours.parent) for ours in place.ours()] == [(first.number, "open", pushed)]
    assert [made.status for made in place.begun()] == ["completed"] * 3
    assert git(place.repo.folder, "show", f"{first.branch}:c.txt").splitlines()[4] == "GOOD"
    (finding,) = place.listed()
    place.commit({"c.txt": "fine\n"})
    (closed,) = place.ours()
    assert (closed.state, place.our_branches()) == ("closed", [])
    assert "`main` does not have the finding any more" in place.said(closed.number)
    assert place.told(finding) == [("detected", ""), ("resolved_auto", "")]


def test_who_is_interrupted_between_closing_one_and_removing_its_branch_goes_on(github: GithubBench) -> None:
    place = OnGithub(github, ONE)
    place.ask()
    github.world.faults.add("DELETE", "/git/refs/heads/fixwright", Status(500), times=1)
    place.commit({"app/c.txt": "fine\n"})
    assert not github.world.faults.open
    assert ([ours.state for ours in place.ours()], github.our_branches(place.made)) == (["closed"], [])
    (pull,) = github.ours(place.made)
    assert sum("so this one is closed" in comment.body for comment in pull.comments) == 1
    # What somebody closes himself keeps its branch.
    place.commit({"app/c.txt": "BAD again\n"})
    place.ask("app/c.txt:1")
    github.world.close("ada", github.ours(place.made)[-1])
    place.commit({"app/c.txt": "fine\n"})
    assert len(github.our_branches(place.made)) == 1


def test_of_several_places_one_is_offered_and_the_next_when_it_is_merged(local: Local) -> None:
    place = local({"a.txt": "BAD twice\n", "b.txt": "BAD twice\n"})
    (finding,) = place.listed()
    assert len(finding.places) == 2
    (first,) = place.ask()
    (second,) = place.ask("b.txt:1")
    assert (first.place, second.status, len(place.ours())) == ("a.txt:1", "completed", 1)
    assert "1 mends another place of it, a.txt:1" in second.error
    place.merge(1)
    assert ([where.location.path for where in place.listed()[0].places], place.said(1)) == (["b.txt"], "")
    place.ask("b.txt:1")
    assert [one.state for one in place.ours()] == ["merged", "open"]


def test_what_the_host_refuses_is_said_by_the_state_and_can_be_asked_for_again(local: Local) -> None:
    place = local(ONE)
    theirs = f"fixwright/{(place.listed()[0].finding.handle or '').lower()}"
    git(place.repo.folder, "branch", theirs)
    (fix,) = place.ask()
    assert (fix.status, place.ours()) == ("pr_creation_failed", [])
    assert theirs in fix.error
    git(place.repo.folder, "branch", "--quiet", "-D", theirs)
    (fix,) = place.ask("app/c.txt:2")
    assert (fix.status, fix.error, [ours.state for ours in place.ours()]) == ("completed", "", ["open"])


def test_what_was_called_off_or_closed_is_begun_again_only_when_it_is_named(local: Local) -> None:
    place = local(ONE)
    (fix,) = place.ask(work=False)
    with place.bench.app.database.work() as store:
        store.fixes.cancel(fix.id, "ada")
    place.settle()
    assert (place.ours(), place.our_branches(), place.ask()) == ([], [], [])
    (again,) = place.ask("app/c.txt:2")
    assert (again.id != fix.id, again.status, len(place.ours())) == (True, "completed", 1)
    place.end(1)
    place.commit({"z.txt": "more\n"})
    assert place.ask() == []
    place.ask("app/c.txt:2")
    assert [ours.state for ours in place.ours()] == ["closed", "open"]


class AnyGood(GoodFixer):
    """Knows every rule."""

    def answers(self, rule_id: str) -> bool:
        """Yes."""
        return True


def test_a_secret_is_not_among_those_that_nobody_names_where_everybody_would_read_its_place(local: Local, bench: Bench) -> None:
    bench.use(scanners=[LineScanner(), KeyScanner()])
    place = local({"c.txt": "BAD\n", "k.txt": f"token = {VALUE}\n"})
    with bench.app.database.read() as work:
        number = place.repository(work)
        listing = work.installations.listing(number)
        found = {told: unoffered(work, number, "main", listing, [AnyGood()], 9, secrets=told) for told in (True, False)}
    assert {finding.location.path for finding in found[True]} == {"c.txt", "k.txt"}
    assert [finding.location.path for finding in found[False]] == ["c.txt"]


class OftenGood(GoodFixer):
    """Has no patch for one file."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """As its base, elsewhere."""
        return None if finding.location.path == "a.txt" else super().fix(finding, files)


def test_by_itself_as_many_are_kept_open_as_the_policy_says_and_what_failed_is_left_alone(local: Local, bench: Bench) -> None:
    bench.use(fixers=[OftenGood()])
    place = local({**{f"{name}.txt": f"BAD {name}\n" for name in "abc"}, ".fixwright.yml": "fixes: {open: 1}\n"})
    assert [(ours.state, ours.title) for ours in place.ours()] == [("open", "say GOOD")]
    failed, stands = place.begun()
    assert [(fix.asked_by, fix.place or fix.error) for fix in (failed, stands)] == [("", "no fixer has a patch for this place"), ("", "")]
    # What failed is not tried again at the next push, and the merge makes room; who takes the word back is heard with that very push.
    place.merge(1)
    assert [ours.state for ours in place.ours()] == ["merged", "open"]
    assert len(place.begun()) == 3
    place.end(2)
    place.commit({".fixwright.yml": "{}\n", "d.txt": "BAD d\n"})
    assert ([ours.state for ours in place.ours()], place.dead()) == (["merged", "closed"], [])


def test_the_command_opens_one_and_says_what_it_needs(
    bench: Bench, local: Local, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(bench.state))
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE=")
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["fix", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    place = local(ONE)
    assert command("open")[0] == 2
    assert command("open", "nobody/nothing")[0] == 2
    assert command("open", place.name, "--finding", "z.txt:1")[0] != 0
    code, said = command("open", place.name, "--finding", "app/c.txt:2", "--json")
    (begun,) = json.loads(said)
    assert (code, begun["status"], begun["base_commit_sha"], begun["diff"]) == (0, "pending", None, None)
    assert begun["fix_id"] in command("open", place.name, "--finding", begun["finding"])[1]
    place.settle()
    code, said = command("status", begun["fix_id"], "--json")
    known = json.loads(said)
    assert (code, known["base_commit_sha"], known["pull_request"]["number"]) == (0, place.tip, 1)
    assert [ours.branch for ours in place.ours()] == [f"fixwright/{begun['finding'].lower()}"]
    # Nobody named one: no fixer of the product knows the rule of this test.
    code, said = command("open", place.name)
    assert (code, "nothing in" in said) == (1, True)
