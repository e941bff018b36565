"""A code host costs one package: what differs between hosts is data of its plug-in, and nobody else asks for one by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.wiring import discover_plugins

ROOT = Path(__file__).parents[2]
NAMED = {provider.name for provider in discover_plugins().providers.values() if not provider.capabilities.local_git}
"""`local` is also a word of its own: who asks for it is found in `LOOKED_UP`."""
LOOKED_UP = re.compile(r"""(?:providers|plugins)\s*\[\s*["']|["']local["']\s*(?:==|!=)|(?:==|!=)\s*["']local["']""")

OF_ONE_HOST = {
    "bot/cli/github.py": "the commands of one host",
    "bot/cli/gitlab.py": "the commands of one host",
    "bot/cli/action.py": "runs in a job of one host, and speaks that job's language",
    "bot/cli/watch.py": "looks with the token that a job or a person of one host has",
    "bot/cli/local.py": "the commands of one host",
    "pipeline/gitlabreports.py": "a report format, which has its name from a host",
    "pipeline/reports/codequality.py": "as above",
    "pipeline/reports/gitlab_sast.py": "as above",
    "pipeline/reports/gitlab_secrets.py": "as above",
    "bot/cli/scan.py": "names of report formats",
    "bot/api/schemas_fixes.py": "words of the specification",
    "pipeline/sandbox/worktree.py": "a hint for who has a shallow clone in a job of that host",
    "pipeline/leaks.py": "shapes of tokens, which are told from any text and on any host",
    "pipeline/triage/secrets.py": "kinds of tokens are called after who gives them out",
    "pipeline/formats.py": "the folder of a kind of file",
    "pipeline/fixers/workflow/expressions.py": "the language of a kind of file",
    "pipeline/fixers/workflow/permissions.py": "the language of a kind of file",
    "pipeline/fixers/secret/__init__.py": "files of a build: a repository has those of several hosts",
    "pipeline/triage/intent.py": "as above",
    "pipeline/triage/places.py": "as above",
}
"""Modules outside of `providers` that may name a host; each with the reason."""


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text in a module but docstrings: line and text. Names that are imported count as well."""
    tree = ast.parse(path.read_text("utf-8"))
    silent = {
        id(one.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for one in node.body
        if isinstance(one, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def _naming(path: Path) -> list[tuple[int, str]]:
    found = [(line, text) for line, text in _texts(path) if any(name in text.lower() for name in NAMED)]
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    return found + [(number, line.strip()) for number, line in lines if LOOKED_UP.search(line)]


def _outside() -> dict[str, Path]:
    paths = (path for folder in ("bot", "pipeline") for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path for path in paths if "rules" not in path.relative_to(ROOT).parts}


def test_nobody_outside_of_its_package_names_a_host() -> None:
    assert {"github", "gitlab"} <= NAMED
    assert {name: found for name, path in _outside().items() if name not in OF_ONE_HOST and (found := _naming(path))} == {}


@pytest.mark.parametrize("name", OF_ONE_HOST)
def test_the_exceptions_are_still_needed(name: str) -> None:
    assert _naming(ROOT / name), f"{name} needs no exception"


def test_what_makes_and_plays_the_demo_names_no_host() -> None:
    assert [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if any(name in line.lower() for name in NAMED)] == []
