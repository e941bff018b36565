"""How the tests of the fixers say what they expect: a text before, where the finding is, and the text after."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.fix import Patch
from pipeline.ports import Fixer


@dataclass(frozen=True)
class Case:
    """One place in one file. `after` None: the fixer must leave it alone."""

    name: str
    before: str
    after: str | None
    at: str = ""
    """Text of the finding; the default of the table when empty."""
    path: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Other files of the repository."""
    secret: Secret | None = None


@dataclass(frozen=True)
class Files:
    """A repository in memory."""

    content: dict[str, bytes]

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def paths(self) -> Sequence[str]:
        return sorted(self.content)


def location(path: str, text: str, at: str) -> Location:
    """Where the first occurrence of `at` lies."""
    start = text.index(at)
    end = start + len(at)
    head, tail = text[:start], text[:end]
    return Location(
        path, head.count("\n") + 1, tail.count("\n") + 1, start - (head.rfind("\n") + 1) + 1, end - (tail.rfind("\n") + 1) + 1
    )


def finding(rule_id: str, where: Location, secret: Secret | None = None) -> Finding:
    """A finding with only what a fixer reads."""
    rule = Rule(rule_id, "title", "message", Severity.HIGH, Confidence.HIGH, 1)
    return Finding(rule, where, "v1:" + "0" * 32, "semgrep", secret=secret)


def run(fixer: Fixer, rule_id: str, case: Case, *, at: str, path: str) -> Patch | None:
    """What the fixer makes of a case."""
    text = dedent(case.before)
    name = case.path or path
    files = Files({name: text.encode(), **{other: dedent(content).encode() for other, content in case.files.items()}})
    return fixer.fix(finding(rule_id, location(name, text, case.at or at), case.secret), files)


def dedent(text: str) -> str:
    """A text as it is written in a table: the first newline and common indentation go."""
    return textwrap.dedent(text).removeprefix("\n")
