"""One fix run mends several findings: patch upon patch, one receipt of all, one pull request, and what no patch passed for is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli import main
from bot.cli._fixruns import document
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Fix, Patch
from pipeline.ports import SourceFiles
from pipeline.receipts import load_signer, public_pem, read_receipt
from pipeline.stages.listedfix import begin_listed
from tests.fakes import GoodFixer
from tests.harness import Bench, LocalRepo, git
from tests.stages.github import GithubBench, bad_words
from tests.stages.gitlab import GitlabBench
from tests.stages.listed import OnGithub, OnGitlab, OnLocal, Place
from tests.stages.test_fix_lifecycle import TwoWays

THREE = {"app/a.txt": "BAD one\nfine\nBAD two\n", "app/b.txt": "BAD three\n", "z.txt": "fine\n"}
Local = Callable[..., OnLocal]


@pytest.fixture
def local(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Local:
    """Makes a scanned repository with these files."""
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    return lambda files: OnLocal(bench, LocalRepo(tmp_path_factory.mktemp("work") / "shop"), files)


def together(place: OnLocal, *ats: str) -> Fix:
    """A person wants these places mended by one run; what follows is done."""
    with place.bench.app.database.work() as work:
        number, source, installation = work.installations.named(place.name)[0]
        assert installation is not None
        places = [one for listed in work.findings.listed(number, "main", "open") for one in listed.places]
        first, *also = [one for at in ats for one in places if f"{one.location.path}:{one.location.line}" == at]
        listing = work.installations.listing(number)
        fix = begin_listed(work, installation, source, listing, first, [first], also=also, asked_by="ada", openly=False)
    place.settle()
    with place.bench.app.database.read() as work:
        return work.fixes.get(fix.id)


class Longer(GoodFixer):
    """Puts a line above what it mends, so that what is below moves."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """As its base, with one line more."""
        patch = super().fix(finding, files)
        assert patch is not None
        (edit,) = patch.edits
        assert edit.after is not None
        return replace(patch, edits=(FileEdit(edit.path, edit.before, b"top\n" + edit.after),))


def test_one_run_mends_three_findings_with_one_receipt_and_the_merge_resolves_each(
    local: Local, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.use(fixers=[Longer()])
    place = local(THREE)
    fix = together(place, "app/a.txt:1", "app/a.txt:3", "app/b.txt:1")
    assert (fix.status, [one.state for one in fix.members], fix.title) == ("completed", ["mended"] * 3, "say GOOD in 3 places")
    (ours,) = place.ours()
    assert (ours.branch, ours.title) == (f"fixwright/{fix.handle.lower()}", "say GOOD in 3 places")
    assert [f"`app/{name}`" in ours.body for name in ("a.txt:1", "a.txt:3", "b.txt:1")] == [True] * 3
    shown = git(place.repo.folder, "show", f"{ours.branch}:app/a.txt").splitlines()
    assert shown == ["top", "top", "GOOD one", "fine", "GOOD two"]
    assert fix.receipt is not None
    key = load_signer(bench.state).public
    told = read_receipt(fix.receipt.envelope, key).predicate
    assert [(one.handle, one.path, one.line) for one in told.findings] == [
        (one.handle, *(one.place.rsplit(":", 1)[0], int(one.place.rsplit(":", 1)[1]))) for one in fix.members
    ]
    assert all([check.name for check in one.checks][:2] == ["applies", "paths"] and one.word == told.word for one in told.findings)
    gone = next(check for check in told.checks if check.name == "finding gone")
    assert (gone.before, gone.after) == (2, 0)
    (tmp_path / "receipt.json").write_bytes(fix.receipt.envelope)
    (tmp_path / "key.pem").write_text(public_pem(key))
    verify = ["verify", str(tmp_path / "receipt.json"), "--repo", str(place.repo.folder), "--key", str(tmp_path / "key.pem")]
    assert main(verify) == 0
    said = capsys.readouterr().out
    assert "applies to the files as they are" in said
    assert all(one.handle in said for one in fix.members)
    findings = place.listed()
    assert together(place, "app/a.txt:1", "app/a.txt:3", "app/b.txt:1").id == fix.id
    assert len(place.ours()) == 1
    place.merge(ours.number)
    assert [place.told(one)[-1] for one in findings] == [("resolved_pr_merged", f"pull/{ours.number}")] * 3
    assert main(verify) == 0
    assert "is applied already" in capsys.readouterr().out
    assert place.dead() == []


class Mostly(GoodFixer):
    """Its patch for one file does something else beside it."""

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """As its base, elsewhere."""
        patch = super().fix(finding, files)
        assert patch is not None
        if finding.location.path != "app/b.txt":
            return patch
        before = files.read("z.txt")
        assert before is not None
        return replace(patch, edits=(*patch.edits, FileEdit("z.txt", before, before + b"BAD\n")))


def test_what_is_refused_is_left_out_and_named_and_the_others_are_offered(local: Local, bench: Bench) -> None:
    bench.use(fixers=[Mostly()])
    place = local(THREE)
    fix = together(place, "app/b.txt:1", "app/a.txt:1", "app/a.txt:3")
    assert (fix.status, [one.state for one in fix.members]) == ("completed", ["left out", "mended", "mended"])
    (refused, *_), (ours,) = fix.members, place.ours()
    assert "Not in this pull request:" in ours.body and f"`{refused.handle}`" in ours.body and refused.why
    assert git(place.repo.folder, "diff", "--name-only", f"{ours.branch}^", ours.branch) == "app/a.txt"
    assert fix.receipt is not None
    told = read_receipt(fix.receipt.envelope, load_signer(bench.state).public).predicate
    assert [one.handle for one in told.findings] == [one.handle for one in fix.members[1:]]
    assert any(refused.handle in sentence for sentence in told.not_proven)
    with bench.app.database.read() as work:
        told_of = json.loads(json.dumps(document(fix, work.fixes.attempts(fix.id), bench.app.database.now())))
        assert told_of["findings"][0] == {"finding": refused.handle, "place": "app/b.txt:1", "state": "left out", "why": refused.why}
        kinds = {one.handle: [event.kind for event in work.findings.events(one.finding)][-1] for one in fix.members}
    assert kinds == {refused.handle: "fix_failed"} | {one.handle: "fix_pr_created" for one in fix.members[1:]}
    assert place.ask() == [], "each was offered, or tried in vain on this commit"


def test_when_none_passes_the_run_has_failed_and_says_why_for_each(local: Local, bench: Bench) -> None:
    bench.use(fixers=[Mostly()])
    place = local({"app/b.txt": "BAD one\nfine\nBAD two\n", "z.txt": "fine\n"})
    fix = together(place, "app/b.txt:1", "app/b.txt:3")
    assert (fix.status, place.ours(), fix.receipt) == ("failed", [], None)
    assert all(f"{one.handle}: {one.why}" in fix.error and one.why for one in fix.members)


def test_it_stands_until_all_are_gone_moves_as_one_and_no_other_offers_one_of_them(local: Local) -> None:
    place = local({"a.txt": "one\ntwo\nthree\nBAD\nfive\n", "b.txt": "BAD b\n", "c.txt": "BAD c\n"})
    fix = together(place, "a.txt:4", "b.txt:1", "c.txt:1")
    (first,) = place.ours()
    assert place.ask() == []
    (alone,) = place.ask("b.txt:1")
    assert (alone.status, len(place.ours())) == ("completed", 1)
    assert f"{first.number} mends it together with others" in alone.error
    (named,) = place.ask("a.txt:4")
    assert f"{first.number} mends others of the list as well" in named.error, "its branch would be taken over"
    pushed = place.commit({"c.txt": "fine\n", "a.txt": "one\ntwo\nmore\nTHREE\nBAD\nfive\n"})
    (moved,) = place.ours()
    assert (moved.number, moved.state, moved.branch, moved.parent) == (first.number, "open", first.branch, pushed)
    newest = place.begun()[-1]
    assert ([one.place for one in newest.members], newest.handle) == (["a.txt:5", "b.txt:1"], fix.handle)
    pushed = place.commit({"a.txt": "fine\n"})
    (left,) = place.ours()
    assert (left.number, left.state, left.branch, left.parent) == (first.number, "open", first.branch, pushed)
    place.commit({"b.txt": "fine\n"})
    assert [(one.number, one.state) for one in place.ours()] == [(first.number, "closed")]
    assert (place.our_branches(), place.dead()) == ([], [])


PACKAGES = {
    "pkg/a/package.json": "{}\n",
    "pkg/a/x.txt": "BAD one\nfine\nBAD two\n",
    "pkg/a/y.txt": "BAD three\n",
    "pkg/b/go.mod": "module b\n",
    "pkg/b/deep/z.txt": "BAD four\n",
}


def mended(place: Place) -> list[list[str]]:
    """What each pull request of ours mends, as its body has it."""
    return sorted(sorted(name for name in ("x.txt:1", "x.txt:3", "y.txt:1", "z.txt:1") if name in ours.body) for ours in place.ours())


def test_the_policy_puts_those_of_a_rule_together(github: GithubBench) -> None:
    place = OnGithub(github, {**PACKAGES, ".github/fixwright.yml": "fixes: {open: 3 by rule}\n"})
    assert mended(place) == [["x.txt:1", "x.txt:3", "y.txt:1", "z.txt:1"]]
    (ours,) = place.ours()
    assert ours.title == "Say GOOD in 4 places"
    findings = place.listed()
    place.merge(ours.number)
    assert [place.told(one)[-1] for one in findings] == [("resolved_pr_merged", f"pull/{ours.number}")] * 4
    assert (len(place.begun()), place.dead()) == (1, [])


def test_the_policy_puts_those_of_a_file_together(gitlab: GitlabBench) -> None:
    place = OnGitlab(gitlab, {**PACKAGES, ".gitlab/fixwright.yml": "fixes: {open: 2 by file}\n"})
    assert (mended(place), place.ask()) == ([["x.txt:1", "x.txt:3"], ["y.txt:1"]], place.begun()[2:])
    assert mended(place) == [["x.txt:1", "x.txt:3"], ["y.txt:1"], ["z.txt:1"]], "a person asked for the third"
    assert place.dead() == []


def test_the_policy_puts_those_of_a_package_together_when_a_person_asks(local: Local) -> None:
    place = local({**PACKAGES, ".fixwright.yml": "fixes: {open: 0 by package}\n"})
    assert place.ours() == []
    assert [len(fix.members) for fix in place.ask()] == [3, 1]
    assert mended(place) == [["x.txt:1", "x.txt:3", "y.txt:1"], ["z.txt:1"]]
    assert place.ask() == []


def test_a_refinement_is_of_the_first_and_none_that_mends_less_takes_its_place(github: GithubBench) -> None:
    github.use(fixers=[TwoWays()])
    place = OnGithub(github, {"c.txt": "BAD one\nfine\nBAD two\n", ".github/fixwright.yml": "fixes: {open: 1 by file}\n"})
    (pull,) = github.ours(place.made)

    def refine() -> tuple[bytes | None, str]:
        github.world.comment("ada", pull, "/refine another way")
        place.settle()
        return github.world.read(place.made, pull.head_sha, "c.txt"), github.answers(pull)[-1]

    assert github.world.read(place.made, pull.head_sha, "c.txt") == b"GOOD one\nfine\nGOOD two\n"
    content, said = refine()
    assert (content, "has the patch for" in said) == (b"FINE one\nfine\nGOOD two\n", True)
    content, said = refine()
    assert (content, "What was proven before stands" in said) == (b"FINE one\nfine\nGOOD two\n", True)
    (fix,) = place.begun()
    assert (fix.status, fix.attempt, [one.state for one in fix.members]) == ("completed", 3, ["mended", "mended"])
    assert (len(github.ours(place.made)), place.dead()) == (1, [])
