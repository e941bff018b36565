"""Where a review comment may stand: only on lines that a hunk of the pull request's diff shows.

Source: REST, "Create a review comment for a pull request": line, side, start_line, start_side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.worlds.bare import BareRepository, FileDiff
from tests.worlds.github.model import Anchor

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Unplaceable(Exception):
    """The anchor is not in the diff. `field` and the text are GitHub's."""

    def __init__(self, field: str, text: str, short: str) -> None:
        super().__init__(text)
        self.field = field
        self.short = short
        """What the review end point says, which names no field."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a hunk shows: its numbers on either side, its place in the patch and the hunk so far."""

    hunk: int
    old: int | None
    new: int | None
    position: int
    """1-based, counted from the first `@@` of the file (the first line below it is 1)."""
    text: str


def lines(patch: str) -> Iterator[Line]:
    """Every line of a file's patch that can carry a comment."""
    hunk, old, new = -1, 0, 0
    for position, text in enumerate(patch.split("\n")):
        if found := _HUNK.match(text):
            hunk, old, new = hunk + 1, int(found[1]), int(found[3])
        elif text.startswith("+"):
            yield Line(hunk, None, new, position, text)
            new += 1
        elif text.startswith("-"):
            yield Line(hunk, old, None, position, text)
            old += 1
        elif not text.startswith("\\"):
            yield Line(hunk, old, new, position, text)
            old, new = old + 1, new + 1


def _find(patch: str, number: int, side: str) -> Line | None:
    return next((line for line in lines(patch) if (line.new if side == "RIGHT" else line.old) == number), None)


def place(files: tuple[FileDiff, ...], anchor: Anchor) -> str:
    """The hunk above the anchor's last line, as GitHub stores it with the comment. Raises Unplaceable."""
    file = next((file for file in files if file.path == anchor.path), None)
    if file is None:
        raise Unplaceable("pull_request_review_thread.path", "pull_request_review_thread.path is invalid", "Path could not be resolved")
    if anchor.line is None:
        return (file.patch or "").split("\n@@ ")[0]
    last = _find(file.patch or "", anchor.line, anchor.side)
    if last is None:
        raise Unplaceable(
            "pull_request_review_thread.line", "pull_request_review_thread.line must be part of the diff", "Line could not be resolved"
        )
    if anchor.start_line is not None:
        _check_start(file.patch or "", anchor, last)
    return hunk_until(file.patch or "", last)


def _check_start(patch: str, anchor: Anchor, last: Line) -> None:
    field = "pull_request_review_thread.start_line"
    start = _find(patch, anchor.start_line or 0, anchor.start_side or anchor.side)
    if start is None:
        raise Unplaceable(field, f"{field} must be part of the diff", "Start line could not be resolved")
    if start.position >= last.position:
        raise Unplaceable(field, f"{field} must precede the end line.", "Start line must precede the end line")
    if start.hunk != last.hunk:
        raise Unplaceable(
            field, f"{field} must be part of the same hunk as the line.", "Start line must be part of the same hunk as the line"
        )


def hunk_until(patch: str, last: Line) -> str:
    """The `@@` line of the hunk and what follows it up to a line."""
    above = patch.split("\n")[: last.position + 1]
    start = max(number for number, text in enumerate(above) if _HUNK.match(text))
    return "\n".join(above[start:])


def at_position(files: tuple[FileDiff, ...], path: str, position: int) -> Anchor:
    """The anchor behind GitHub's older `position`. Raises Unplaceable."""
    file = next((file for file in files if file.path == path), None)
    for line in lines(file.patch or "") if file else ():
        if line.position == position:
            return Anchor(path, line.new, "RIGHT") if line.new is not None else Anchor(path, line.old, "LEFT")
    raise Unplaceable(
        "pull_request_review_thread.position", "pull_request_review_thread.position is invalid", "Position could not be resolved"
    )


def position_of(files: tuple[FileDiff, ...], anchor: Anchor) -> int | None:
    """GitHub's older `position` of an anchor."""
    file = next((file for file in files if file.path == anchor.path), None)
    found = _find(file.patch or "", anchor.line, anchor.side) if file and anchor.line is not None else None
    return found.position if found else None


def follow(git: BareRepository, anchor: Anchor, old: str, new: str) -> Anchor | None:
    """Where an anchor of commit `old` stands in `new`; None when its lines changed: the comment is outdated."""
    if anchor.line is None or anchor.side == "LEFT":
        return anchor
    file = next((file for file in git.diff(old, new) if file.old_path == anchor.path), None)
    if file is None:
        return anchor
    if file.status == "removed":
        return None
    moved = {number: _moved(file.patch or "", number) for number in {anchor.line, anchor.start_line or anchor.line}}
    if any(number is None for number in moved.values()):
        return None
    return replace(anchor, path=file.path, line=moved[anchor.line], start_line=moved[anchor.start_line] if anchor.start_line else None)


def _moved(patch: str, number: int) -> int | None:
    """The new number of an old line, None when it was removed."""
    shift = 0
    for header in re.finditer(_HUNK.pattern, patch, flags=re.MULTILINE):
        old, old_count, new, new_count = (int(part) if part is not None else 1 for part in header.groups())
        if number < old:
            break
        if number < old + old_count:
            inside = _find(patch, number, "LEFT")
            return inside.new if inside else None
        shift = new + new_count - old - old_count
    return number + shift
