"""Lines of a diff, where a note may stand among them, and where a line went when the diff changed.

GitLab accepts a position when its line is in the diff that its three commits name: an added line by `new_line` alone, a removed one by
`old_line` alone, an unchanged one by both. An unchanged line outside of the hunks is found too ("unfolded"), when the file has hunks and
is neither new nor deleted. Everything else has no `line_code`, and a note without one is refused.

Source: GitLab docs, "Discussions API" (create a new merge request thread, line code, `line_range`); how a position is traced from
version to version is told in the comments of gitlabhq's lib/gitlab/diff/position_tracer.rb and is written anew here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.worlds.bare import BareRepository, FileDiff
from tests.worlds.gitlab.model import End, Position, Refs

_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
NO_CODE = 'Note {:line_code=>["can\'t be blank", "must be a valid line code"]}'
INCOMPLETE = 'Note {:position=>["is incomplete"]}'


class Unplaceable(Exception):
    """A position that GitLab refuses, in its words."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff. `old` and `new` are the counters of both sides, which count on where a line is of one side only."""

    sign: str
    """`+`, `-` or a space."""
    old: int
    new: int

    @property
    def place(self) -> tuple[int | None, int | None]:
        """(old_line, new_line) as a position names it."""
        return (None if self.sign == "+" else self.old, None if self.sign == "-" else self.new)


def lines_of(patch: str | None) -> list[Line]:
    """The lines of a patch's hunks."""
    found: list[Line] = []
    old = new = 0
    for text in (patch or "").split("\n"):
        if hunk := _HUNK.match(text):
            old, new = int(hunk[1]), int(hunk[2])
        elif text[:1] in ("+", "-", " "):
            found.append(Line(text[0], old, new))
            old += text[0] != "+"
            new += text[0] != "-"
    return found


def line_code(path: str, line: Line) -> str:
    """`<SHA1 of the path>_<old>_<new>`."""
    return f"{hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()}_{line.old}_{line.new}"


def file_of(files: Sequence[FileDiff], old_path: str, new_path: str) -> FileDiff | None:
    """The file that both paths name: for a renamed one they differ, for all others they are the same."""
    return next((file for file in files if file.old_path == old_path and file.path == new_path), None)


def _length(git: BareRepository, commit: str, path: str) -> int:
    entry = git.entry(commit, path)
    if entry is None or entry.sha is None or entry.type != "blob":
        return 0
    content = git.read_blob(entry.sha)
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))


def find_line(git: BareRepository, refs: Refs, file: FileDiff, place: tuple[int | None, int | None]) -> Line | None:
    """The line of a diff at (old_line, new_line), in the hunks or unfolded."""
    lines = lines_of(file.patch)
    if found := next((line for line in lines if line.place == place), None):
        return found
    old, new = place
    if old is None or new is None or not lines or file.status in ("added", "removed"):
        return None
    shift = sum((line.sign == "+") - (line.sign == "-") for line in lines if line.old <= old)
    between = any(line.old == old and line.sign != "+" for line in lines)
    if between or new != old + shift or not 0 < old <= _length(git, refs.base, file.old_path):
        return None
    return Line(" ", old, new)


def place(git: BareRepository, position: Position) -> str | None:
    """The line code of a position that GitLab accepts; None for a whole file. Raises Unplaceable."""
    refs = position.refs
    if not (refs.start and refs.head):
        raise Unplaceable(INCOMPLETE)
    if any(git.type_of(sha) != "commit" for sha in (refs.base, refs.start, refs.head)):
        raise Unplaceable(NO_CODE)
    file = file_of(git.diff(refs.base, refs.head), position.old_path, position.new_path)
    if file is None:
        raise Unplaceable(NO_CODE)
    if position.type == "file":
        return None
    line = find_line(git, refs, file, (position.old_line, position.new_line))
    if line is None:
        raise Unplaceable(NO_CODE)
    if position.range is not None:
        _check_range(git, position, file, line)
    return line_code(file.path, line)


def _check_range(git: BareRepository, position: Position, file: FileDiff, last: Line) -> None:
    """GitLab keeps a range that fits nothing and shows one line; the double says so at once."""
    ends = [_end(git, position.refs, file, end) for end in position.range or ()]
    if ends[1] != last or (ends[0].old, ends[0].new) > (last.old, last.new):
        raise Unplaceable('Note {:position=>["line_range does not end at the line of the position"]}')


def _end(git: BareRepository, refs: Refs, file: FileDiff, end: End) -> Line:
    wrong = Unplaceable('Note {:position=>["must be a valid json schema"]}')
    if not re.fullmatch(r"[0-9a-f]{40}_\d+_\d+", end.line_code):
        raise wrong
    old, new = (int(part) for part in end.line_code.split("_")[1:])
    candidates = [line for line in lines_of(file.patch) if (line.old, line.new) == (old, new)]
    unfolded = find_line(git, refs, file, (old, new))
    candidates += [unfolded] if unfolded else []
    kinds = {"+": ("new",), "-": ("old",), " ": ("new", "old", "expanded", None)}
    named = (end.old_line, end.new_line)
    for line in candidates:
        if line_code(file.path, line) == end.line_code and end.type in kinds[line.sign] and named in ((None, None), line.place):
            return line
    raise wrong


# --- from version to version ---


@dataclass(frozen=True, slots=True)
class Traced:
    """Where a position went. `outdated`: to a change that took its line away."""

    position: Position
    outdated: bool


class _Diff:
    """A straight diff, with the way of a line through it."""

    def __init__(self, git: BareRepository, refs: Refs) -> None:
        self.refs = refs
        self.files = git.diff(refs.base, refs.head)

    def by_old(self, path: str) -> FileDiff | None:
        return next((file for file in self.files if file.old_path == path and file.status != "added"), None)

    def by_new(self, path: str) -> FileDiff | None:
        return next((file for file in self.files if file.path == path and file.status != "removed"), None)


def old_to_new(file: FileDiff | None, line: int) -> int | None:
    """Where a line of the old side is on the new one; None when it went. Without a file nothing changed."""
    if file is None:
        return line
    if file.status == "removed" or (file.patch is None and file.additions + file.deletions):
        return None
    return _across(file.patch, line, "old")


def new_to_old(file: FileDiff | None, line: int) -> int | None:
    """Where a line of the new side is on the old one; None when it was added."""
    if file is None:
        return line
    if file.status == "added":
        return None
    return _across(file.patch, line, "new")


def _across(patch: str | None, line: int, side: Literal["old", "new"]) -> int | None:
    """Where a line of one side of a patch is on the other; None when no other side has it."""
    own, shift = "-" if side == "old" else "+", 0
    for known in lines_of(patch):
        at = known.old if side == "old" else known.new
        if known.sign == own and at == line:
            return None
        if known.sign == own and at < line:
            shift -= 1
        elif known.sign not in (own, " ") and at <= line:
            shift += 1
    return line + shift


class Tracer:
    """Follows positions from one version of a diff (A to B) to the next (C to D)."""

    def __init__(self, git: BareRepository, before: Refs, after: Refs) -> None:
        self._git = git
        self._before, self._after = before, after
        self._ac = _Diff(git, Refs(before.base, before.base, after.base))
        self._bd = _Diff(git, Refs(before.head, before.head, after.head))
        self._cd = _Diff(git, after)

    def trace(self, position: Position) -> Traced:
        """Where it is now."""
        if position.type == "file":
            return self._file(position)
        if position.old_line is None and position.new_line is not None:
            return self._added(position, position.new_line)
        if position.new_line is None and position.old_line is not None:
            return self._removed(position, position.old_line)
        return self._unchanged(position, position.old_line or 0, position.new_line or 0)

    def _at(self, position: Position, diff: _Diff, paths: tuple[str, str], old: int | None, new: int | None) -> Position:
        file = file_of(diff.files, *paths)
        moved = Position(diff.refs, *paths, position.type, old, new)
        return replace(moved, range=self._range(position, moved, file)) if diff is self._cd else moved

    def _range(self, before: Position, after: Position, file: FileDiff | None) -> tuple[End, End] | None:
        """A range keeps its height on the side of its line while all of it is in the diff."""
        if before.range is None or file is None:
            return None
        last = find_line(self._git, self._after, file, (after.old_line, after.new_line))
        codes = [end.line_code.rsplit("_", 2) for end in before.range]
        height = int(codes[1][2]) - int(codes[0][2]) if before.new_line is not None else int(codes[1][1]) - int(codes[0][1])
        if last is None:
            return None
        lines = [line for line in lines_of(file.patch) if line.sign == last.sign] if last.sign != " " else lines_of(file.patch)
        side = "old" if last.sign == "-" else "new"
        wanted = getattr(last, side) - height
        first = next((line for line in lines if getattr(line, side) == wanted and line.place[side == "new"] is not None), None)
        return None if first is None else (_as_end(file, first), _as_end(file, last))

    def _valid(self, position: Position) -> bool:
        file = file_of(self._cd.files, position.old_path, position.new_path)
        return file is not None and find_line(self._git, self._after, file, (position.old_line, position.new_line)) is not None

    def _file(self, position: Position) -> Traced:
        there = self._bd.by_old(position.new_path)
        path = there.path if there else position.new_path
        now = self._cd.by_new(path)
        if now is None or (there is not None and there.status == "removed"):
            return Traced(replace(position, refs=self._bd.refs), outdated=True)
        return Traced(Position(self._after, now.old_path, now.path, "file"), outdated=False)

    def _added(self, position: Position, b_line: int) -> Traced:
        bd = self._bd.by_old(position.new_path)
        d_path, d_line = (bd.path if bd else position.new_path), old_to_new(bd, b_line)
        if d_line is None:  # it is gone
            return Traced(self._at(position, self._bd, (position.new_path, d_path), b_line, None), outdated=True)
        cd = self._cd.by_new(d_path)
        c_path, c_line = (cd.old_path if cd else d_path), new_to_old(cd, d_line)
        if c_line is None:  # still added
            return Traced(self._at(position, self._cd, (c_path, d_path), None, d_line), outdated=False)
        moved = self._at(position, self._cd, (c_path, d_path), c_line, d_line)
        if self._valid(moved):  # in the target too by now, and shown in the diff
            return Traced(moved, outdated=False)
        ac = self._ac.by_new(c_path)
        return Traced(self._at(position, self._ac, (ac.old_path if ac else c_path, c_path), None, c_line), outdated=True)

    def _removed(self, position: Position, a_line: int) -> Traced:
        ac = self._ac.by_old(position.old_path)
        c_path, c_line = (ac.path if ac else position.old_path), old_to_new(ac, a_line)
        if c_line is None:  # the target removed it as well
            return Traced(self._at(position, self._ac, (position.old_path, c_path), a_line, None), outdated=True)
        cd = self._cd.by_old(c_path)
        d_path, d_line = (cd.path if cd else c_path), old_to_new(cd, c_line)
        if d_line is None:
            return Traced(self._at(position, self._cd, (c_path, d_path), c_line, None), outdated=False)
        bd = self._bd.by_new(d_path)
        return Traced(self._at(position, self._bd, (bd.old_path if bd else d_path, d_path), None, d_line), outdated=True)

    def _unchanged(self, position: Position, a_line: int, b_line: int) -> Traced:
        ac, bd = self._ac.by_old(position.old_path), self._bd.by_old(position.new_path)
        c_line, d_line = old_to_new(ac, a_line), old_to_new(bd, b_line)
        d_path = bd.path if bd else position.new_path
        cd = self._cd.by_new(d_path)
        paths = (cd.old_path if cd else d_path, d_path)
        if d_line is None:
            return Traced(self._at(position, self._bd, (position.new_path, d_path), b_line, None), outdated=True)
        if c_line is None:  # the target lost it: now this merge request adds it
            return Traced(self._at(position, self._cd, paths, None, d_line), outdated=False)
        moved = self._at(position, self._cd, paths, c_line, d_line)
        return Traced(moved, outdated=not self._valid(moved))


def _as_end(file: FileDiff, line: Line) -> End:
    kind = {"+": "new", "-": "old"}.get(line.sign)
    return End(line_code(file.path, line), kind, *line.place)
