"""Other scanners that saw a finding are asked again about its patch, where they are at hand; else it is said that nobody asked them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.model.finding import Location
from pipeline.model.fix import FileEdit, Patch
from pipeline.stages.rescan import ask_again, not_asked
from tests.build_reports import weakness

BEFORE = b"import os\nos.system('ls ' + name)\nos.system('b')\n"
FINDING = replace(weakness(), location=Location("app/cli.py", 2, 2), witnesses=("Bandit B605",))

STAND_IN = """#!{python}
import json, sys
found = []
for name in sys.argv[1:]:
    if name.endswith(".py"):
        lines = open(name).read().split("\\n")
        found += [{{"filename": name, "test_id": "B605", "line_number": n}} for n, line in enumerate(lines, 1) if "os.system" in line]
        found += [{{"filename": name, "test_id": "B607", "line_number": n}} for n, line in enumerate(lines, 1) if "'" in line]
print({answer})
"""
"""What Bandit does, as far as it is asked: it is no part of what we install."""


@pytest.fixture
def bandit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return installed(tmp_path, monkeypatch, 'json.dumps({"errors": [], "results": found})')


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    tmp_path.chmod(0o755)
    program = folder / "bandit"
    program.write_text(STAND_IN.format(python=sys.executable, answer=answer), "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return program


def patch(after: bytes) -> Patch:
    return Patch((FileEdit("app/cli.py", BEFORE, after),), "run it without a shell")


def test_a_witness_that_lets_go_is_told_with_its_numbers(bandit: Path) -> None:
    check = ask_again(FINDING, patch(BEFORE.replace(b"os.system('ls ' + name)", b"run(['ls', name])")))
    assert check is not None
    assert (check.passed, check.before, check.after, check.said) == (True, 2, 1, "Bandit B605 said it before and not after")
    assert not_asked(check) == ()


def test_a_patch_that_no_witness_lets_go_of_is_refused(bandit: Path) -> None:
    check = ask_again(FINDING, patch(BEFORE.replace(b"+ name", b"+ quote(name)")))
    assert check is not None
    assert (check.passed, check.said) == (False, "still said by Bandit B605")


def test_what_only_some_of_them_let_go_of_is_told(bandit: Path) -> None:
    both = replace(FINDING, witnesses=("Bandit B605", "Bandit B607", "CodeQL py/command-line-injection"))
    check = ask_again(both, patch(BEFORE.replace(b"os.system('ls ' + name)", b"run(['ls', name])")))
    assert check is not None
    assert check.passed is True
    assert check.said == (
        "Bandit B605 said it before and not after; still said by Bandit B607; re-scan not possible: CodeQL cannot be run here"
    )
    assert not_asked(check) == ("the other scanners that saw it were not all asked again: CodeQL cannot be run here",)


def test_a_witness_that_is_not_installed_is_not_asked_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    check = ask_again(FINDING, patch(b"import os\n"))
    assert check is not None
    assert (check.passed, check.said) == (None, "re-scan not possible: Bandit is not installed here")
    assert not_asked(check) == ("the other scanners that saw it were not all asked again: Bandit is not installed here",)


@pytest.mark.parametrize("answer", ["'garbage'", """json.dumps({"errors": [{"filename": "before.py"}], "results": []})"""])
def test_an_answer_that_cannot_be_used_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    installed(tmp_path, monkeypatch, answer)
    check = ask_again(FINDING, patch(b"import os\n"))
    assert check is not None
    assert check.passed is None
    assert check.said.startswith("re-scan not possible: Bandit ")


def test_without_witnesses_nobody_is_asked() -> None:
    assert ask_again(replace(FINDING, witnesses=()), patch(b"")) is None
