"""Comments `fixwright: ignore[rule] reason`: what the authors of code say about a finding in it. Pure.

Such a comment counts only where it is in the base already, and so never for the change that brings it: a pull request's new findings are
judged without any of them. They matter where the default branch itself is looked at, as a whole or what was pushed to it, which is base
through and through. What was old already is no concern of a pull request, with or without a comment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.model.finding import Finding, Suppression, SuppressionKind
from pipeline.syntax import syntax_tree
from pipeline.triage.suppression import Suppressor

MARK = b"fixwright:"

REASON = 500
"""Characters of a reason that are kept."""

_SAID = re.compile(r"fixwright: ignore\[([a-z0-9._-]+(?: ?, ?[a-z0-9._-]+)*)\]\s+(\S.*)")
_OPENERS = ("//", "/*", "<!--", "--", "#", ";", "%")
_CLOSERS = ("*/", "-->")


@dataclass(frozen=True, slots=True)
class CodeIgnore:
    """One comment."""

    line: int
    """Where it stands, 1-based."""
    about: int
    """The line of code of which it speaks: its own, or the next one when it stands alone."""
    rules: tuple[str, ...]
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it names the finding's rule and stands on or right above its lines."""
        first, last = finding.location.line, max(finding.location.line, finding.location.end_line)
        here = first <= self.about <= last if self.about == self.line else first == self.about
        return here and finding.rule.id in self.rules


def code_ignores(path: str, content: bytes) -> tuple[CodeIgnore, ...]:
    """All of them in a file. The text of a string is never one: where we know the language its grammar says what is a comment, and
    elsewhere only a line that begins with a comment's sign is."""
    if MARK not in content:
        return ()
    lines = [line.decode("utf-8", "replace") for line in content.split(b"\n")]
    found = []
    for number, text, alone in _comments(path, content, lines):
        said = _SAID.fullmatch(_bare(text))
        if said is not None:
            rules = tuple(rule.strip() for rule in said[1].split(","))
            found.append(CodeIgnore(number, _below(number, lines) if alone else number, rules, said[2].strip()[:REASON]))
    return tuple(found)


def ignored_in_code(read: Callable[[str], bytes | None]) -> Suppressor:
    """The comments of a state that is base through and through.

    Args:
        read: content of a file of that state.
    """

    @functools.cache
    def of(path: str) -> Sequence[CodeIgnore]:
        return code_ignores(path, read(path) or b"")

    def ignored(finding: Finding) -> Suppression | None:
        path = finding.location.path
        found = next((one for one in of(path) if one.covers(finding)), None)
        return None if found is None else Suppression(SuppressionKind.CODE, found.reason, f"{path}:{found.line}")

    return ignored


def _comments(path: str, content: bytes, lines: Sequence[str]) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether nothing else stands on the line."""
    tree = syntax_tree(path, content)
    if tree is None:
        for number, line in enumerate(lines, 1):
            if _stands_alone(line):
                yield number, line.strip(), True
        return
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.type in ("comment", "line_comment", "block_comment"):
            row, text = node.start_point.row, node.text or b""
            before = content.split(b"\n")[row][: node.start_point.column]
            if MARK in text and b"\n" not in text:
                yield row + 1, text.decode("utf-8", "replace"), not before.strip()
        elif MARK in (node.text or b""):
            waiting += reversed(node.children)


def _below(number: int, lines: Sequence[str]) -> int:
    """The first line under a comment that is no comment itself."""
    below = number + 1
    while below <= len(lines) and _stands_alone(lines[below - 1]):
        below += 1
    return below


def _stands_alone(line: str) -> bool:
    return line.strip().startswith(_OPENERS)


def _bare(comment: str) -> str:
    """A comment without its signs."""
    text = comment.strip()
    opener = next((sign for sign in _OPENERS if text.startswith(sign)), "")
    text = text.removeprefix(opener)
    for closer in _CLOSERS:
        text = text.removesuffix(closer)
    return text.strip()
