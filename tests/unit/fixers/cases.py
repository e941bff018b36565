"""How the tests of the fixers say what they expect: a text before, where the finding is, and the text after.

A table (`tables/<rule>.txt`) begins with the `at:` of most of its cases, and holds cases like this one; `after: nothing`
means that the fixer must leave the place alone:

    # a name, as a sentence
    at: cursor.execute
    path: app/db.py
    file requirements.txt:
    | psycopg2
    before:
    | cursor.execute(f"...")
    after:
    | cursor.execute("...")
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.frameworks.book import RULES
from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.fix import Patch
from pipeline.ports import Fixer
from pipeline.syntax import parses

TABLES = Path(__file__).with_name("tables")

WITHOUT_FIXER: Mapping[str, str] = {
    "dockerfile.add-remote": "only the server knows the checksum, and today's may be the wrong one",
    "dockerfile.curl-pipe-shell": "only the server knows the checksum, and today's may be the wrong one",
    "dockerfile.latest-tag": "only a registry knows which version is meant",
    "python.unsafe-deserialization": "what was written so far could not be read any more, and others may write it",
    "python.weak-password-hash": "the stored hashes would match no password any more",
    "secrets.private-key": "it is a file or a block of its own: nothing tells where the program would get it from instead",
    "workflow.pull-request-target-checkout": "what the workflow may still do without the secrets is for its owner to say",
    **dict.fromkeys(RULES, "what was meant instead is for the owner to say"),
}
"""Rules that no fixer answers, each with the reason, which docs/reference/rules.md says in its row."""


@dataclass(frozen=True)
class Case:
    """One place in one file. `after` None: the fixer must leave it alone."""

    name: str
    before: str
    after: str | None
    at: str
    """Text of the finding."""
    path: str
    files: dict[str, str] = field(default_factory=dict)
    """Other files of the repository."""
    also: dict[str, str] = field(default_factory=dict)
    """Other files as they must be afterwards."""


@dataclass(frozen=True)
class Files:
    """A repository in memory."""

    content: dict[str, bytes]

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def paths(self) -> Sequence[str]:
        return sorted(self.content)


def table(rule_id: str) -> list[Case]:
    """The cases of one rule. What stands above the first one (`at: `, `path: `) holds for those that do not say another."""
    cases: list[Case] = []
    head, *blocks = (TABLES / f"{rule_id}.txt").read_text(encoding="utf-8").split("\n# ")
    defaults = {"path": "app.py" if rule_id.startswith("python") else "app.js", **dict(re.findall(r"(?m)^(at|path): (.+)$", head))}
    for block in blocks:
        name, *lines = block.split("\n")
        values = dict(defaults)
        texts: dict[str, list[str]] = {}
        current: list[str] = []
        for line in lines:
            if line == "|" or line.startswith("| "):
                current.append(line[2:])
            elif line.endswith(":"):
                current = texts.setdefault(line[:-1], [])
            elif line.strip():
                key, _, value = line.partition(": ")
                values[key] = value
        files = {key[5:]: _text(text) for key, text in texts.items() if key.startswith("file ")}
        also = {key[6:]: _text(text) for key, text in texts.items() if key.startswith("after ")}
        after = None if values.get("after") == "nothing" else _text(texts["after"])
        cases.append(Case(name, _text(texts["before"]), after, values["at"], values["path"], files, also))
    return cases


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def location(path: str, text: str, at: str) -> Location:
    """Where the first occurrence of `at` lies."""
    start = text.index(at)
    end = start + len(at)
    head, tail = text[:start], text[:end]
    return Location(path, head.count("\n") + 1, tail.count("\n") + 1, start - (head.rfind("\n") + 1) + 1, end - (tail.rfind("\n") + 1) + 1)


def finding(rule_id: str, where: Location, secret: Secret | None = None) -> Finding:
    """A finding with only what a fixer reads."""
    rule = Rule(rule_id, "title", "message", Severity.HIGH, Confidence.HIGH, 1)
    return Finding(rule, where, "v1:" + "0" * 32, "semgrep", secret=secret)


def repository(case: Case, text: str) -> Files:
    """The files of a case, with `text` where the finding is."""
    return Files({case.path: text.encode(), **{path: content.encode() for path, content in case.files.items()}})


def run(fixer: Fixer, rule_id: str, case: Case, secret: Secret | None = None) -> Patch | None:
    """What the fixer makes of a case."""
    where = location(case.path, case.before, case.at)
    return fixer.fix(finding(rule_id, where, secret), repository(case, case.before))


def check(fixer: Fixer, rule_id: str, case: Case, secret: Secret | None = None) -> None:
    """The fixer does what the case says; its patch is well formed, parses, and has nothing more to do afterwards."""
    patch = run(fixer, rule_id, case, secret)
    if case.after is None:
        assert patch is None, (patch.edits[0].after or b"").decode()
        return
    assert patch is not None, "the fixer left it alone"
    after = {edit.path: (edit.after or b"").decode() for edit in patch.edits}
    assert after == {case.path: case.after, **case.also}
    assert [edit.before for edit in patch.edits] == [repository(case, case.before).read(edit.path) for edit in patch.edits]
    assert 0 < len(patch.title) <= 60
    assert patch.title[0].islower()
    assert patch.explanation.endswith((".", "!"))
    assert patch.fixer == fixer.name
    if case.path.endswith(".py"):
        ast.parse(after[case.path])
    assert parses(case.path, after[case.path].encode()) in (True, None)
    line = location(case.path, case.before, case.at).line
    again = fixer.fix(finding(rule_id, Location(case.path, line, line), secret), repository(case, after[case.path]))
    assert again is None, f"a second run changed it again:\n{(again.edits[0].after or b'').decode()}"


def dedent(text: str) -> str:
    """A text as it is written in a test: the first newline and common indentation go."""
    return textwrap.dedent(text).removeprefix("\n")
