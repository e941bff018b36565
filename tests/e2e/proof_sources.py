"""A case's flagged statement as text, and what may be put in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.e2e.proof_cases import Case, flagged

After = Mapping[str, bytes | None]
"""Contents of the files after a bad patch; None: deleted."""


def statement(case: Case) -> tuple[int, int, bytes, bytes]:
    """First and end byte of the flagged statement's lines, their text, and its indentation."""
    unit = flagged(case)
    start = case.before.rfind(b"\n", 0, unit.start) + 1
    end = case.before.find(b"\n", unit.node.end_byte)
    indent = re.match(rb"[ \t]*", case.before[start:])
    assert indent is not None
    return start, end, case.before[start:end], indent[0]


def undo_fix(case: Case, text: bytes) -> bytes:
    """The whole file with this text in the place of the flagged statement."""
    start, end, _, _ = statement(case)
    return case.before[:start] + text + case.before[end:]


def replaced(case: Case, text: bytes) -> After:
    """The patch that puts this text in the place of the flagged statement."""
    return {case.path: undo_fix(case, text)}


def comment(case: Case, words: bytes) -> bytes:
    """A comment of the case's language."""
    return (b"# " if case.python else b"// ") + words
