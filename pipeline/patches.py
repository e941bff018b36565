"""Unified diffs to patches and back. Pure text: no git, no disk.

A `Patch` holds whole contents; the diff is derived from it for people, for `git apply` and for receipts, always the same bytes for
the same patch. A diff that somebody hands us is read strictly: what cannot be text of regular files is refused by name.

Source of the format: git-diff(1), "Generating patch text with -p"; GNU diffutils, "Detailed Description of Unified Format".
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.errors import PatchRefused
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch
from pipeline.ports import SourceFiles

MAX_DIFF = 1_000_000
"""Characters of a diff that we read; the gate's own bound (200 lines) is far below."""

CONTEXT = 3
"""Unchanged lines around a hunk, git's default."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: .*)?$")
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_QUOTED = {value: f"\\{letter}" for letter, value in _ESCAPES.items()}


def split_lines(content: bytes) -> list[bytes]:
    r"""Lines with their `\n`, the last one perhaps without. Only `\n` ends a line, as in git: `\r`, form feeds and the like are text."""
    lines = content.split(b"\n")
    kept = [line + b"\n" for line in lines[:-1]]
    return [*kept, lines[-1]] if lines[-1] else kept


def changed_ranges(before: Sequence[bytes], after: Sequence[bytes]) -> list[tuple[int, int, int, int]]:
    """What differs between two lists of lines: (first, end) before and (first, end) after, 0-based, end exclusive, in order."""
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if not old or not new:
        return [(head, head + len(old), head, head + len(new))] if old or new else []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(head + i1, head + i2, head + j1, head + j2) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]


def added_lines(edit: FileEdit) -> list[tuple[int, bytes]]:
    """The lines that exist only after the edit: 1-based number in the new content, and text without its `\\n`."""
    after = split_lines(edit.after or b"")
    ranges = changed_ranges(split_lines(edit.before or b""), after)
    return [(number + 1, after[number].rstrip(b"\n")) for _, _, first, end in ranges for number in range(first, end)]


def removed_lines(edit: FileEdit) -> list[tuple[int, bytes]]:
    """The lines that exist only before the edit: 1-based number in the old content, and text without its `\\n`."""
    before = split_lines(edit.before or b"")
    ranges = changed_ranges(before, split_lines(edit.after or b""))
    return [(number + 1, before[number].rstrip(b"\n")) for first, end, _, _ in ranges for number in range(first, end)]


# --- patch to diff --------------------------------------------------------------------------------------------------------------------


def render_diff(patch: Patch) -> str:
    """The patch as a unified diff that `git apply` takes; the same text for the same patch. Bytes that are no UTF-8 are surrogate escapes.

    Raises:
        PatchRefused: a content has a NUL byte, which no text diff can carry.
    """
    return b"".join(_render_edit(edit) for edit in sorted(patch.edits, key=lambda e: e.path)).decode("utf-8", "surrogateescape")


CONCEALED = "(a line that held a secret)"


def conceal(diff: str) -> str:
    """A diff whose removed lines are not shown: those of a patch that takes a secret out hold it.

    What is added and what stays was looked at by the gate, which refuses a patch after which the value still stands somewhere.
    """
    shown: list[str] = []
    in_hunk = False
    for line in diff.split("\n"):
        in_hunk = not line.startswith("diff --git ") and (in_hunk or line.startswith("@@ "))
        shown.append(f"-{CONCEALED}" if in_hunk and line.startswith("-") else line)
    return "\n".join(shown)


def is_concealed(diff: str) -> bool:
    """Whether `conceal` took lines out of it: it makes no patch any more."""
    return f"-{CONCEALED}" in diff.split("\n")


def diff_of(finding: Finding, patch: Patch) -> str:
    """The diff of a patch for a finding, as it may be kept and shown: `render_diff`, concealed when the finding is a secret."""
    return diff_of_all((finding,), patch)


def diff_of_all(findings: Sequence[Finding], patch: Patch) -> str:
    """The same of a patch for several findings: concealed when one of them is a secret."""
    diff = render_diff(patch)
    return conceal(diff) if any(finding.secret is not None for finding in findings) else diff


def diff_digest(diff: str) -> str:
    """SHA-256 of a diff, 64 hex digits: the subject of a receipt."""
    return hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest()


def _render_edit(edit: FileEdit) -> bytes:
    if edit.before == edit.after:
        return b""
    if b"\0" in (edit.before or b"") + (edit.after or b""):
        raise PatchRefused(f"{edit.path} is binary: no text diff can carry it")
    old, new = _quote("a/" + edit.path), _quote("b/" + edit.path)
    out = [b"diff --git " + old + b" " + new + b"\n"]
    if edit.before is None:
        out.append(b"new file mode 100644\n")
    if edit.after is None:
        out.append(b"deleted file mode 100644\n")
    hunks = list(_hunks(split_lines(edit.before or b""), split_lines(edit.after or b"")))
    if hunks:
        # GNU patch needs a tab behind a name with a blank, as git writes it.
        tab = b"\t" if " " in edit.path else b""
        out.append(b"--- " + (b"/dev/null" if edit.before is None else old + tab) + b"\n")
        out.append(b"+++ " + (b"/dev/null" if edit.after is None else new + tab) + b"\n")
    return b"".join(out + hunks)


def _hunks(before: list[bytes], after: list[bytes]) -> Iterator[bytes]:
    groups: list[list[tuple[int, int, int, int]]] = []
    for change in changed_ranges(before, after):
        if groups and change[0] - groups[-1][-1][1] <= 2 * CONTEXT:
            groups[-1].append(change)
        else:
            groups.append([change])
    for group in groups:
        lead = min(CONTEXT, group[0][0])
        first_old, first_new = group[0][0] - lead, group[0][2] - lead
        end_old = min(len(before), group[-1][1] + CONTEXT)
        end_new = group[-1][3] + (end_old - group[-1][1])
        body: list[bytes] = []
        at = first_old
        for old_first, old_end, new_first, new_end in group:
            body += [_line(b" ", line) for line in before[at:old_first]]
            body += [_line(b"-", line) for line in before[old_first:old_end]]
            body += [_line(b"+", line) for line in after[new_first:new_end]]
            at = old_end
        body += [_line(b" ", line) for line in before[at:end_old]]
        yield b"@@ -%s +%s @@\n" % (_span(first_old, end_old), _span(first_new, end_new)) + b"".join(body)


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _span(first: int, end: int) -> bytes:
    count = end - first
    # An empty range names the line before it (git-diff(1)).
    start = first + 1 if count else first
    return b"%d" % start if count == 1 else b"%d,%d" % (start, count)


def _quote(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in raw):
        return raw
    parts = [_QUOTED.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in raw]
    return ('"' + "".join(parts) + '"').encode()


# --- diff to patch --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Hunk:
    start: int
    """1-based first line before; for an empty range the line in front of it."""
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Section:
    old: str | None = None
    new: str | None = None
    created: bool = False
    deleted: bool = False
    moved: bool = False
    hunks: list[_Hunk] = field(default_factory=list)


def parse_diff(text: str, files: SourceFiles, *, title: str = "") -> Patch:
    """The patch that a unified diff makes of `files`.

    Args:
        text: output of `git diff` or `diff -u`; undecodable bytes as surrogate escapes.
        files: the state that it is applied to. Lines may have moved, but every context line must be there, in one place only.
        title: what the patch is called.

    Raises:
        PatchRefused: empty, not a diff, too large, binary, changes a mode, makes a link or an executable, names a path outside of the
            repository or in `.git`, names a file twice, or does not apply; every reason is listed.
    """
    if len(text) > MAX_DIFF:
        raise PatchRefused(f"the patch is larger than {MAX_DIFF // 1000} kB")
    sections = _Parser(text).sections()
    if not sections:
        raise PatchRefused("the patch changes nothing: no unified diff was found in it")
    edits: dict[str, FileEdit] = {}
    reasons: list[str] = []
    for section in sections:
        try:
            for edit in _apply(section, files):
                if edit.path in edits:
                    raise PatchRefused(f"{edit.path} is named twice")
                edits[edit.path] = edit
        except PatchRefused as refusal:
            reasons.extend(refusal.reasons)
    if reasons:
        raise PatchRefused("the patch does not apply: " + "; ".join(reasons), reasons=tuple(reasons))
    changed = tuple(edit for _, edit in sorted(edits.items()) if edit.before != edit.after)
    if not changed:
        raise PatchRefused("the patch changes nothing")
    return Patch(changed, title=title)


class _Parser:
    def __init__(self, text: str) -> None:
        self.lines = text.encode("utf-8", "surrogateescape").split(b"\n")
        if self.lines[-1] == b"":
            self.lines.pop()
        self.at = 0

    def sections(self) -> list[_Section]:
        found: list[_Section] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.startswith(b"diff --git "):
                found.append(self._git_section())
            elif line.startswith(b"--- ") and self._peek(1).startswith(b"+++ "):
                found.append(self._names_and_hunks(_Section()))
            elif _HUNK.match(line.decode("utf-8", "surrogateescape")):
                raise PatchRefused(f"line {self.at + 1} of the patch: a hunk without a file name above it")
            else:
                self.at += 1
        return found

    def _peek(self, ahead: int = 0) -> bytes:
        return self.lines[self.at + ahead] if self.at + ahead < len(self.lines) else b""

    def _git_section(self) -> _Section:
        section = _Section()
        header = self.lines[self.at][len(b"diff --git ") :].decode("utf-8", "surrogateescape")
        self.at += 1
        while self.at < len(self.lines):
            line = self._peek().decode("utf-8", "surrogateescape")
            if line.startswith(("diff --git ", "--- ", "@@ ")):
                break
            self._extended(section, line, header)
            self.at += 1
        if self._peek().startswith(b"--- ") and self._peek(1).startswith(b"+++ "):
            return self._names_and_hunks(section)
        if section.old is None and section.new is None:
            section.old, section.new = _names_of_header(header)
        if section.created:
            section.old = None
        if section.deleted:
            section.new = None
        return section

    @staticmethod
    def _extended(section: _Section, line: str, header: str) -> None:
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise PatchRefused(f"{header}: a binary change")
        if line.startswith(("old mode ", "new mode ")):
            raise PatchRefused(f"{header}: changes the file mode")
        if line.startswith("copy "):
            raise PatchRefused(f"{header}: copies a file")
        if line.startswith("new file mode "):
            section.created = True
            kinds = {"100644": "", "120000": "makes a symbolic link", "160000": "adds a submodule", "100755": "makes an executable file"}
            wrong = kinds.get(line.removeprefix("new file mode ").strip(), "makes something that is no regular file")
            if wrong:
                raise PatchRefused(f"{header}: {wrong}")
        elif line.startswith("deleted file mode "):
            section.deleted = True
            if line.removeprefix("deleted file mode ").strip() not in ("100644", "100755"):
                raise PatchRefused(f"{header}: removes something that is no regular file")
        elif line.startswith("index ") and line.endswith((" 120000", " 160000")):
            raise PatchRefused(f"{header}: changes a symbolic link or a submodule")
        elif line.startswith("rename from "):
            section.old, section.moved = _clean(_unquote(line.removeprefix("rename from "))), True
        elif line.startswith("rename to "):
            section.new, section.moved = _clean(_unquote(line.removeprefix("rename to "))), True

    def _names_and_hunks(self, section: _Section) -> _Section:
        old = _name(self._peek()[4:])
        new = _name(self._peek(1)[4:])
        if old is None and new is None:
            raise PatchRefused(f"line {self.at + 1} of the patch: no file name")
        section.old = None if old is None else _clean(old.removeprefix("a/"))
        section.new = None if new is None else _clean(new.removeprefix("b/"))
        self.at += 2
        while match := _HUNK.match(self._peek().decode("utf-8", "surrogateescape")):
            section.hunks.append(self._hunk(match))
        if not section.hunks:
            raise PatchRefused(f"{section.new or section.old}: no hunk under its name")
        return section

    def _hunk(self, match: re.Match[str]) -> _Hunk:
        where = self.at + 1
        hunk = _Hunk(int(match[1]))
        left, right = int(match[2] or 1), int(match[4] or 1)
        self.at += 1
        while left > 0 or right > 0:
            line = self._peek()
            mark, rest = line[:1] or b" ", line[1:] + b"\n"
            if self.at >= len(self.lines) or mark not in b" -+":
                raise PatchRefused(f"line {where} of the patch: the hunk is shorter than it says")
            if mark in b" -":
                hunk.old.append(rest)
                left -= 1
            if mark in b" +":
                hunk.new.append(rest)
                right -= 1
            self.at += 1
            if self._peek().startswith(b"\\"):
                _chop(hunk.old if mark == b"-" else hunk.new)
                if mark == b" ":
                    _chop(hunk.old)
                self.at += 1
        if left or right:
            raise PatchRefused(f"line {where} of the patch: the hunk is longer than it says")
        if self._peek()[:1] in (b"+", b"-", b" ") and not self._peek().startswith((b"--- ", b"-- ")):
            raise PatchRefused(f"line {where} of the patch: the hunk is longer than it says")
        return hunk


def _chop(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].removesuffix(b"\n")


def _name(raw: bytes) -> str | None:
    text = raw.decode("utf-8", "surrogateescape")
    if text.startswith('"'):
        return _unquote(text.split("\t")[0])
    text = text.split("\t")[0].rstrip("\r")
    return None if text == "/dev/null" else text


def _unquote(text: str) -> str:
    if not (text.startswith('"') and text.endswith('"') and len(text) > 1):
        return text
    out = bytearray()
    rest = text[1:-1].encode("utf-8", "surrogateescape")
    at = 0
    while at < len(rest):
        if rest[at : at + 1] != b"\\":
            out.append(rest[at])
            at += 1
        elif octal := re.match(rb"[0-3][0-7]{2}", rest[at + 1 : at + 4]):
            out.append(int(octal[0], 8))
            at += 4
        elif (letter := rest[at + 1 : at + 2].decode("ascii", "replace")) in _ESCAPES:
            out.append(_ESCAPES[letter])
            at += 2
        else:
            raise PatchRefused("a quoted file name in the patch is malformed")
    return out.decode("utf-8", "surrogateescape")


def _names_of_header(header: str) -> tuple[str, str]:
    """Old and new name of `diff --git a/x b/x` without `---` lines: only possible when both are the same."""
    if header.startswith('"'):
        first, _, second = header.partition('" "')
        old, new = _unquote(first + '"'), _unquote('"' + second)
    else:
        half = len(header) // 2
        old, new = header[:half], header[half + 1 :]
    if old[:2] != "a/" or new[:2] != "b/" or old[2:] != new[2:]:
        raise PatchRefused(f"{header}: the file name cannot be read")
    return _clean(old[2:]), _clean(new[2:])


def _clean(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or any(part in ("", ".", "..") for part in parts):
        raise PatchRefused(f"{path!r} is no path inside of the repository")
    if any(part.lower().rstrip(". ") in (".git", "git~1") for part in parts):
        raise PatchRefused(f"{path!r} lies in git's own folder")
    if "\\" in path or any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise PatchRefused(f"{path!r} has characters that no source file's name has")
    return path


def _apply(section: _Section, files: SourceFiles) -> list[FileEdit]:
    if section.old is not None and section.new is not None and section.old != section.new:
        section.moved = True
    if section.old is None:
        assert section.new is not None  # noqa: S101  # the parser names at least one side; narrows the type
        if files.read(section.new) is not None:
            raise PatchRefused(f"{section.new} is to be made but exists already")
        return [FileEdit(section.new, None, b"".join(line for hunk in section.hunks for line in hunk.new))]
    before = files.read(section.old)
    if before is None:
        raise PatchRefused(f"{section.old} does not exist, or is too large to be source")
    if b"\0" in before:
        raise PatchRefused(f"{section.old} is binary")
    after = b"".join(_place(section.old, split_lines(before), section.hunks))
    if section.new is None:
        if after:
            raise PatchRefused(f"{section.old} is to be deleted but has more lines than the patch names")
        return [FileEdit(section.old, before, None)]
    if section.moved:
        if files.read(section.new) is not None:
            raise PatchRefused(f"{section.new} is to be made but exists already")
        return [FileEdit(section.old, before, None), FileEdit(section.new, None, after)]
    return [FileEdit(section.old, before, after)]


def _place(path: str, lines: list[bytes], hunks: list[_Hunk]) -> list[bytes]:
    out: list[bytes] = []
    at = 0
    shift = 0
    for number, hunk in enumerate(hunks, 1):
        wanted = hunk.start - 1 if hunk.old else hunk.start
        start = _find(lines, hunk.old, wanted + shift, at)
        if start is None:
            raise PatchRefused(f"{path}: hunk {number} (line {hunk.start}) does not fit")
        shift = start - wanted
        out += lines[at:start] + hunk.new
        at = start + len(hunk.old)
    return out + lines[at:]


def _find(lines: list[bytes], wanted: list[bytes], near: int, floor: int) -> int | None:
    size = len(wanted)
    if near >= floor and near + size <= len(lines) and lines[near : near + size] == wanted:
        return near
    if not wanted:
        return None
    # Moved lines are followed, but only to one place: with two a guess would patch the wrong one.
    places = [at for at in range(floor, len(lines) - size + 1) if lines[at : at + size] == wanted]
    return places[0] if len(places) == 1 else None
