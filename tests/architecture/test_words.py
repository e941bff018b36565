"""What a host's readers see says what that host says: no text of the domain names a host, or has a word of its own for a pull request."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pipeline"

NAMES = re.compile(r"\b(?:pull|merge) requests?\b|\bMRs?\b|\bPRs?\b|\bGit ?Hub\b|\bGit ?Lab\b", re.IGNORECASE)

ELSEWHERE = {
    "triage/secrets.py": "kinds of tokens are called after who gives them out",
    "leaks.py": "shapes of tokens",
    "fixers/workflow/expressions.py": "the language of a kind of file",
    "fixers/workflow/permissions.py": "the language of a kind of file",
    "formats.py": "the folder of a kind of file",
    "fixers/secret/__init__.py": "files of a build",
    "triage/intent.py": "files of a build",
    "triage/places.py": "files of a build",
    "reports/gitlab_sast.py": "a format of one host",
    "reports/gitlab_secrets.py": "a format of one host",
    "gitlabreports.py": "a format of one host",
    "stages/pastchanges.py": "what hosts write into the messages of commits",
    "model/account.py": "words of the specification",
    "quota.py": "words of the specification",
    "sandbox/worktree.py": "a hint for the command line in a job of one host",
}
"""Texts that no host's reader sees, or that are about one host; each with the reason."""


def spoken(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text in a module but docstrings, defaults of parameters and fields, and keys: line and text."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef():
                # A text that stands alone documents what is before it.
                silent |= {id(one.value) for one in node.body if isinstance(one, ast.Expr)}
        if isinstance(node, ast.ClassDef):
            silent |= {id(one.value) for one in node.body if isinstance(one, ast.AnnAssign) and one.value is not None}
        if isinstance(node, ast.FunctionDef):
            silent |= {id(one) for one in (*node.args.defaults, *node.args.kw_defaults) if one is not None}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def modules() -> list[Path]:
    found = sorted(ROOT.rglob("*.py"))
    return [path for path in found if "migrations" not in path.parts and path.relative_to(ROOT).as_posix() not in ELSEWHERE]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_of_the_domain_has_the_words_of_one_host(path: Path) -> None:
    said = list(spoken(ast.parse(path.read_text("utf-8"))))
    assert [(line, text) for line, text in said if NAMES.search(text)] == []


def test_the_exceptions_are_still_needed() -> None:
    for name in ELSEWHERE:
        said = spoken(ast.parse((ROOT / name).read_text("utf-8")))
        assert any(NAMES.search(text) for _, text in said), f"{name} needs no exception"
