"""Which lines a change added. Pure: the ranges come from git, on the new side, 1-based and inclusive."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from pipeline.escaping import can_be_suggested
from pipeline.model.finding import Location
from pipeline.model.fix import Patch

Range = tuple[int, int]
Added = Mapping[str, Sequence[Range]]
"""Path -> ranges of lines that exist on the new side and were added or changed; in any order, they may touch."""


def joined(ranges: Sequence[Range]) -> list[Range]:
    """The same lines as few sorted ranges; empty and reversed ranges are dropped."""
    out: list[Range] = []
    for start, end in sorted(r for r in ranges if r[0] <= r[1]):
        if out and start <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def range_around(path: str, line: int, added: Added) -> Range | None:
    """The added lines around one line, or None when the change did not add that line."""
    ranges = joined(added.get(path, ()))
    index = bisect_right(ranges, (line, float("inf"))) - 1
    if index >= 0 and ranges[index][0] <= line <= ranges[index][1]:
        return ranges[index]
    return None


def in_added(location: Location, added: Added) -> bool:
    """True when the first line of a finding is a line that the change added: a thread can stand there."""
    return range_around(location.path, location.line, added) is not None


def thread_lines(location: Location, added: Added) -> Range | None:
    """The lines on which a thread can stand: the finding's, as far as they are added without a gap. None when its first line is not.

    A host refuses a range that leaves the hunk, and with it the whole review (GitHub: 422).
    """
    around = range_around(location.path, location.line, added)
    if around is None:
        return None
    return location.line, max(location.line, min(location.end_line, around[1]))


def all_added(path: str, start: int, end: int, added: Added) -> bool:
    """True when the change added every line from `start` to `end`: a suggestion may replace them."""
    around = range_around(path, start, added)
    return around is not None and start <= end <= around[1]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Lines that a reader can put in the place of others with one click."""

    line: int
    end_line: int
    """The lines of the head that it replaces, 1-based and inclusive."""
    text: str
    """The new lines, joined by line feeds; empty deletes the old ones. Not escaped."""


SUGGESTED_LINES = 30
"""A longer suggestion is no longer read on a line. (GitLab's own limit is 100 lines above and below.)"""


APART = 6
"""Unchanged lines between two changes that are still one hunk (git shows three around each)."""


def suggestion_of(patch: Patch, path: str, added: Sequence[Range]) -> Suggestion | None:
    """The patch as one suggestion, when that is all it is.

    None when it edits another file, makes or deletes one, has changes that lie apart, leaves the lines that the change added (`added`, of
    `path`), is longer than `SUGGESTED_LINES`, or when its lines cannot be shown as they are: not UTF-8, CR line ends, hidden characters, or
    text that would read as one of our own markers.
    """
    edit = patch.edits[0] if len(patch.edits) == 1 else None
    if edit is None or edit.path != path or edit.before is None or edit.after is None:
        return None
    try:
        before, after = edit.before.decode("utf-8").split("\n"), edit.after.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    changes = [code for code in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if code[0] != "equal"]
    if not changes:
        return None
    if any(later[1] - earlier[2] > APART for earlier, later in pairwise(changes)):
        return None
    start, end, first, last = changes[0][1], changes[-1][2], changes[0][3], changes[-1][4]
    if start == end:
        # Nothing is replaced: a neighbour that the change added is repeated, so that there are lines to stand on.
        if start > 0 and all_added(path, start, start, {path: added}):
            start, first = start - 1, first - 1
        elif end < len(before):
            end, last = end + 1, last + 1
        else:
            return None
    text = "\n".join(after[first:last])
    if max(end - start, last - first) > SUGGESTED_LINES or not all_added(path, start + 1, end, {path: added}):
        return None
    return Suggestion(start + 1, end, text) if can_be_suggested("\n".join(before[start:end])) and can_be_suggested(text) else None
