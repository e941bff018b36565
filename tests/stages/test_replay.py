"""`fixwright verify --again`: the checks of a receipt are made once more, and whatever says something else is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bot.cli._replay import replay
from pipeline.model.fix import ProofWord
from pipeline.model.ids import CommitId
from pipeline.model.scan import ScanType
from pipeline.patches import CONCEALED, conceal
from pipeline.receipts import load_signer, read_receipt
from pipeline.sandbox.git import Worktree
from pipeline.stages.examine import RunControl
from pipeline.stages.prove import CommitFiles, Engines
from pipeline.statements import PatchNote, Predicate
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo
from tests.stages.listed import OnLocal
from tests.stages.test_fixes_together import together
from tests.stages.wired import bad_words

TWO = {"app/a.txt": "BAD one\nfine\n", "app/b.txt": "BAD two\n", "z.txt": "fine\n"}
Made = Callable[..., tuple[Predicate, CommitFiles]]


@pytest.fixture
def made(bench: Bench, tmp_path: Path) -> Made:
    """What the receipt of a fix of these places says, and the commit that it speaks of."""
    bench.use(fixers=[GoodFixer()])
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)

    def make(files: dict[str, str], *ats: str) -> tuple[Predicate, CommitFiles]:
        place = OnLocal(bench, LocalRepo(tmp_path / "work" / "shop"), files)
        fix = together(place, *ats)
        assert fix.receipt is not None
        told = read_receipt(fix.receipt.envelope, load_signer(bench.state).public).predicate
        return told, CommitFiles(Worktree.open(place.repo.folder).as_mirror(), CommitId(told.base["commit"]))

    return make


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return Engines(RunControl(tmp_path, lambda: True), scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], residues=bad_words)


def altered(told: Predicate, name: str, **values: object) -> Predicate:
    checks = tuple(check.model_copy(update=values) if check.name == name else check for check in told.checks)
    assert checks != told.checks
    return told.model_copy(update={"checks": checks})


def test_the_same_checks_say_the_same_and_no_test_is_run(made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    told, base = made(TWO, "app/a.txt:1")
    assert replay(told, base, engines) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("same  finding gone: ") and line.endswith("fires before and not after")]
    assert {line.split(":")[0] for line in lines if line.startswith("not replayed")} <= {"not replayed  tests", "not replayed  lint"}
    assert [line for line in lines if line.startswith("not replayed  tests: nothing of the repository is run here")]
    assert lines[-1] == "replayed: everything that was made again says the same"


@pytest.mark.parametrize(
    ("name", "values"),
    [("nothing new", {"before": 7}), ("nothing new", {"after": 7}), ("not disguised", {"passed": False}), ("no residue", {"before": 9})],
)
def test_a_check_that_says_something_else_is_told(
    made: Made, engines: Engines, capsys: pytest.CaptureFixture[str], name: str, values: dict[str, object]
) -> None:
    told, base = made(TWO, "app/a.txt:1")
    assert replay(altered(told, name, **values), base, engines) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("differs")] == [f"differs  {name}"]
    assert lines[-1] == "replayed: not everything says the same"


def test_what_the_gate_would_not_take_differs_whatever_the_receipt_says(
    made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    told, base = made(TWO, "app/a.txt:1")
    forged = told.patch.diff().replace("+GOOD", "+BAD fine, GOOD")
    note = PatchNote(encoding="utf-8", content=forged)
    assert replay(told.model_copy(update={"patch": note}), base, engines) == 1
    assert "differs  the diff does not make the files that the receipt names" in capsys.readouterr().out
    content = base.read("app/a.txt")
    assert content is not None
    files = tuple(one.model_copy(update={"after": _digest(content, forged)}) for one in told.files)
    assert replay(told.model_copy(update={"patch": note, "files": files}), base, engines) == 1
    assert "differs  finding gone: " in capsys.readouterr().out


def _digest(before: bytes, diff: str) -> str:
    (line,) = [line[1:] for line in diff.splitlines() if line.startswith("+BAD")]
    return sha256(line.encode() + b"\n" + before.split(b"\n", 1)[1]).hexdigest()


def test_what_cannot_be_replayed_is_said(made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    told, base = made(TWO, "app/a.txt:1")
    hidden = told.model_copy(update={"patch": PatchNote(encoding="utf-8", content=conceal(told.patch.diff()))})
    assert CONCEALED in hidden.patch.content
    assert replay(hidden, base, engines) == 3
    assert replay(told, None, engines) == 3
    assert capsys.readouterr().out.splitlines() == [
        "not replayed: the diff is concealed",
        "not replayed: the state that the patch was proved on is not here",
    ]
    gone = told.model_copy(update={"finding": told.finding.model_copy(update={"fingerprint": "v1:" + "0" * 32, "line": 2})})
    assert replay(gone, base, engines) == 1
    assert f"differs  the engines report no {told.finding.rule} at app/a.txt:2 here" in capsys.readouterr().out


def test_other_engines_and_rules_are_named(made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    told, base = made(TWO, "app/a.txt:1")
    engine, second = told.engines
    assert replay(told, base, engines) == 0
    assert "in the receipt" not in capsys.readouterr().out
    others = (engine.model_copy(update={"rules": "old"}), second, engine.model_copy(update={"name": "another"}))
    assert replay(told.model_copy(update={"engines": others, "tool": "fixwright 0.0.1"}), base, engines) == 0
    said = capsys.readouterr().out
    own = f"{engine.version} with rules"
    assert f"engine {engine.name} is {own} {engine.rules} here, {own} old in the receipt" in said
    assert "engine another of the receipt is not here" in said
    assert "made by fixwright 0.0.1, replayed by fixwright " in said


def test_of_several_findings_each_is_replayed_where_its_part_can_be_told(
    made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    told, base = made(TWO, "app/a.txt:1", "app/b.txt:1")
    assert [one.word for one in told.findings] == [ProofWord.RESCANNED] * 2
    assert replay(told, base, engines) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith((" at app/a.txt:1", " at app/b.txt:1"))] == [
        f"{one.handle} at {one.path}:1" for one in told.findings
    ]
    assert len([line for line in lines if line.startswith("same  finding gone")]) == 2
    wrong = altered(told.model_copy(update={"checks": told.findings[1].checks}), "no residue", after=4).checks
    second = told.findings[1].model_copy(update={"checks": wrong})
    assert replay(told.model_copy(update={"findings": (told.findings[0], second)}), base, engines) == 1


def test_parts_that_lie_in_one_file_are_not_guessed(made: Made, engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    told, base = made({"app/a.txt": "BAD one\nfine\nBAD two\n"}, "app/a.txt:1", "app/a.txt:3")
    assert replay(told, base, engines) == 3
    assert capsys.readouterr().out == "not replayed: the receipt has the patch for all of its findings together, not the part of each\n"
