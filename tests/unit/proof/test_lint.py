"""The repository's own linters and formatters: which are declared, what they say, and that only a new complaint is one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.model.fix import FileEdit, Patch, ProofCheck
from pipeline.sandbox import process
from pipeline.stages.lint import lint
from pipeline.triage.complaints import BLACK, ESLINT, FLAKE8, PRETTIER, RUFF, RUFF_FORMAT, Said, Tool, check_lint, declared, read_said
from tests.e2e.proof_cases import Memory

BEFORE = b"import os\nimport sys\n\n\ndef f(a):\n    return os.popen(a)\n"
AFTER = BEFORE.replace(b"os.popen(a)", b"os.popen( a )")


def patch(after: bytes = AFTER, path: str = "app.py") -> Patch:
    return Patch((FileEdit(path, BEFORE, after),))


@pytest.mark.parametrize(
    ("files", "path", "tools"),
    [
        ({"pyproject.toml": b"[project]\n"}, "app.py", ()),
        ({"pyproject.toml": b"[tool.ruff]\nline-length = 80\n"}, "app.py", (RUFF, RUFF_FORMAT)),
        ({"pyproject.toml": b"[tool.ruff.lint]\n", "ruff.toml": b""}, "app.py", (RUFF, RUFF_FORMAT)),
        ({"pyproject.toml": b"[tool.black]\n", ".flake8": b""}, "app.py", (FLAKE8, BLACK)),
        ({"setup.cfg": b"[metadata]\n[flake8]\n"}, "app.py", (FLAKE8,)),
        ({"pyproject.toml": b"[tool.black]\n"}, "app.js", ()),
        ({"eslint.config.js": b"", ".prettierrc": b""}, "app.js", (PRETTIER, ESLINT)),
        ({"sub/eslint.config.js": b""}, "app.js", ()),
        ({"package.json": b'{\n  "prettier": {"semi": false}\n}\n'}, "app.ts", (PRETTIER,)),
        ({"package.json": b'{\n  "devDependencies": {\n    "prettier": "3"\n  }\n}\n'}, "app.ts", ()),
    ],
)
def test_a_tool_is_asked_when_the_repository_configures_it_for_the_changed_files(
    files: Mapping[str, bytes], path: str, tools: tuple[Tool, ...]
) -> None:
    assert declared(Memory(files), patch(path=path)) == tools


def test_complaints_are_read_from_what_each_tool_prints() -> None:
    printed = b"app.py:1:8: F401 `os` imported but unused\nnoise\nFound 1 error.\n"
    assert read_said(RUFF, 1, printed, "/repository").complaints == (("app.py", 1, "F401"),)
    assert read_said(FLAKE8, 1, b"./app.py:6:12: E201 blank\n", "/repository").complaints == (("app.py", 6, "E201"),)
    listed = [{"filePath": "/repository/a.js", "messages": [{"line": 3, "ruleId": "no-eval"}, {"line": 4, "ruleId": None}]}]
    assert read_said(ESLINT, 1, json.dumps(listed).encode(), "/repository").complaints == (("a.js", 3, "no-eval"), ("a.js", 4, "error"))
    assert read_said(ESLINT, 0, b"Oops", "/repository").trouble
    assert read_said(RUFF, 2, b"", "/repository").trouble == "`ruff check` ended with 2"
    assert read_said(BLACK, 1, b"", "/repository") == Said(clean=False)


def said(tool: Tool, before: Said, after: Said) -> ProofCheck:
    return check_lint(patch(), [(tool, before, after)])


def test_only_a_new_complaint_about_an_added_line_counts() -> None:
    old, there, new = ("app.py", 1, "F401"), ("app.py", 6, "S605"), ("app.py", 6, "E201")
    assert said(RUFF, Said((old, there)), Said((old, there))).passed
    check = said(RUFF, Said((old, there)), Said((old, there, new)))
    assert (check.passed, check.said, check.before, check.after) == (None, "`ruff check` says E201 of app.py:6", 2, 3)


def test_a_formatter_counts_where_the_files_were_formatted_before() -> None:
    clean, not_clean = Said(clean=True), Said(clean=False)
    assert said(BLACK, clean, clean).passed
    assert said(BLACK, clean, not_clean).said == "`black` would change the patched files"
    assert said(BLACK, not_clean, not_clean).said == "`black`: the files were not formatted before"
    assert said(BLACK, clean, Said(trouble="`black` ended with 123")).said == "`black` ended with 123: not checked"


needs_isolation = pytest.mark.skipif(
    not process.best_level().isolates, reason="tools of a repository are only run isolated, and neither bubblewrap nor namespaces work here"
)


@needs_isolation
def test_ruff_is_asked_in_the_sandbox_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(sys.executable).parent
    if not (folder / "ruff").exists():
        pytest.skip("ruff is not installed beside this Python")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    files = Memory({"app.py": BEFORE, "pyproject.toml": b'[tool.ruff.lint]\nselect = ["F", "E7"]\n'})
    check = lint(patch(), files)[0]
    assert (check.passed, check.said) == (None, "`ruff format` would change the patched files")
    assert (check.before, check.after) == (1, 1)
    good = BEFORE.replace(b"os.popen(a)", b"os.open(a, 0)")
    assert lint(patch(good), files)[0].passed
    worse = BEFORE.replace(b"    return os.popen(a)\n", b"    l = os.open(a, 0)\n    return l\n")
    assert "says E741 of app.py:6" in lint(patch(worse), files)[0].said


def test_a_declared_tool_that_is_not_here_is_not_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = lint(patch(), Memory({"app.py": BEFORE, ".flake8": b""}))[0]
    assert (check.passed, check.said) == (None, "`flake8` is declared and not installed here: not checked")
    assert lint(patch(), Memory({"app.py": BEFORE})) == []
