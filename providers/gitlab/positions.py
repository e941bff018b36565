"""Where a thread stands on the diff of a merge request, in the words that GitLab asks for. Pure.

Sources: docs REST "Discussions" ("Create a thread in the merge request diff", "Line code": an added line has `new_line` alone, a removed
one `old_line` alone, an unchanged one both; a line code is `SHA1(path)_OLD_NEW`); "Merge requests" (a version's `diff` is a unified diff
without file headers, empty for one that is too large or collapsed).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["new", "old"]
Wire = dict[str, object]
"""`position` as it goes into a request."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Refs:
    """The three commits that name a diff: a position counts only together with them."""

    base: str
    """Merge base."""
    start: str
    """Tip of the target branch when that version of the merge request was made."""
    head: str


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file of a diff."""

    old_path: str
    new_path: str
    diff: str
    """Empty when GitLab does not show it, or when only the name or the mode has changed."""


@dataclass(frozen=True, slots=True)
class Diff:
    """All that changed between two commits, as GitLab shows it."""

    refs: Refs
    files: Sequence[FileDiff] = field(default=())
    whole: bool = True
    """False when GitLab left files out, because there are too many of them."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a hunk. `old` and `new` are its numbers on either side, 1-based, None where it is not."""

    old: int | None
    new: int | None
    at_old: int
    at_new: int
    """Where the count of either side stands at that line: what a line code is made of."""

    def number(self, side: Side) -> int | None:
        """Its number on one side."""
        return self.new if side == "new" else self.old


def place(diff: Diff, path: str, first: int, last: int, *, side: Side = "new") -> Wire | None:
    """The position of lines `first`..`last` of a file, None when they are not in one hunk of the diff.

    A thread on several lines stands under the last of them. Where GitLab does not show the diff, the position is the one that an added
    line would have, and GitLab says whether it is: it looks it up in the whole diff, and refuses one that is not there.

    Args:
        path: name of the file on that side.
        side: `old` for lines that were removed, or for where unchanged ones stood.
    """
    found = next((file for file in diff.files if path == (file.new_path if side == "new" else file.old_path)), None)
    if found is None:
        return None if diff.whole else _position(diff.refs, FileDiff(path, path, ""), **_only(side, last))
    if not found.diff:
        return _position(diff.refs, found, **_only(side, last))
    for hunk in hunks(found.diff):
        lines = [line for line in hunk if (number := line.number(side)) is not None and first <= number <= last]
        if lines and lines[-1].number(side) == last and lines[0].number(side) == first:
            position = _position(diff.refs, found, old_line=lines[-1].old, new_line=lines[-1].new)
            if first < last:
                position["line_range"] = {"start": _end(found, lines[0]), "end": _end(found, lines[-1])}
            return position
    return None


def hunks(diff: str) -> Iterator[list[DiffLine]]:
    """The hunks of one file. What does not keep to the counts in a hunk's header ends it: nothing is guessed."""
    hunk: list[DiffLine] = []
    old = new = old_left = new_left = 0
    for text in diff.split("\n"):  # not `splitlines`, which knows more ends of lines than git
        if old_left <= 0 and new_left <= 0:
            header = _HUNK.match(text)
            if header is None:
                continue
            if hunk:
                yield hunk
            hunk = []
            old, old_left, new, new_left = (1 if count is None else int(count) for count in header.groups())
            continue
        sign = text[:1] or " "
        if sign == "\\":  # "\ No newline at end of file"
            continue
        if sign not in " +-":
            old_left = new_left = 0
            continue
        hunk.append(DiffLine(None if sign == "+" else old, None if sign == "-" else new, old, new))
        old, old_left = (old, old_left) if sign == "+" else (old + 1, old_left - 1)
        new, new_left = (new, new_left) if sign == "-" else (new + 1, new_left - 1)
    if hunk:
        yield hunk


def line_code(path: str, old: int, new: int) -> str:
    """How GitLab names a line of a diff."""
    digest = hashlib.sha1(path.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    return f"{digest}_{old}_{new}"


def _end(file: FileDiff, line: DiffLine) -> Wire:
    """One end of a range: `new` for a line that was added, `old` for every other."""
    numbers = {name: number for name, number in (("old_line", line.old), ("new_line", line.new)) if number is not None}
    code = line_code(file.new_path or file.old_path, line.at_old, line.at_new)
    return {"line_code": code, "type": "new" if line.old is None else "old", **numbers}


def _only(side: Side, line: int) -> dict[str, int]:
    return {"new_line" if side == "new" else "old_line": line}


def _position(refs: Refs, file: FileDiff, *, old_line: int | None = None, new_line: int | None = None) -> Wire:
    position: Wire = {
        "position_type": "text",
        "base_sha": refs.base,
        "start_sha": refs.start,
        "head_sha": refs.head,
        "old_path": file.old_path,
        "new_path": file.new_path,
    }
    if old_line is not None:
        position["old_line"] = old_line
    if new_line is not None:
        position["new_line"] = new_line
    return position
