"""Text files as bytes that come back exactly as they were, but for the edits."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model.finding import Location
from pipeline.model.fix import FileEdit, Patch

MAX_BYTES = 1_000_000
"""Larger files are no source that a person wrote."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes `start:end` of `Source.data` by `text`. Newlines in `text` are written as the file writes them."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """One text file. All offsets are bytes in `data`."""

    path: str
    content: bytes
    """As it lies in the repository: with byte order mark and in its own encoding."""
    text: str
    data: bytes
    """`text` in UTF-8, without byte order mark."""
    encoding: str
    newline: str

    def line_start(self, offset: int) -> int:
        """Offset of the first byte of the line that holds `offset`."""
        return self.data.rfind(b"\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Offset behind the newline of the line that holds `offset`, or the end of the file."""
        found = self.data.find(b"\n", offset)
        return len(self.data) if found < 0 else found + 1

    def line_of(self, offset: int) -> int:
        """1-based number of the line that holds `offset`."""
        return self.data.count(b"\n", 0, offset) + 1

    def indentation(self, offset: int) -> str:
        """The blanks at the start of the line that holds `offset`."""
        line = self.data[self.line_start(offset) : self.line_end(offset)]
        return line[: len(line) - len(line.lstrip(b" \t"))].decode()

    def slice(self, start: int, end: int) -> str:
        """The text between two offsets."""
        return self.data[start:end].decode("utf-8", "replace")

    def range_of(self, location: Location) -> tuple[int, int]:
        """Offsets of a finding's place; whole lines when its columns do not fit the text."""
        lines = self.data.splitlines(keepends=True)
        first, last = max(location.line, 1), max(location.end_line, location.line, 1)
        if first > len(lines):
            return len(self.data), len(self.data)
        last = min(last, len(lines))
        start = sum(len(line) for line in lines[: first - 1])
        end = sum(len(line) for line in lines[: last - 1])
        head, tail = lines[first - 1].decode("utf-8", "replace"), lines[last - 1].decode("utf-8", "replace")
        fits = 1 <= location.column <= len(head) and 1 < location.end_column <= len(tail) + 1
        if fits and (first, location.column) < (last, location.end_column):
            return start + len(head[: location.column - 1].encode()), end + len(tail[: location.end_column - 1].encode())
        return start, end + len(lines[last - 1])


def open_source(path: str, content: bytes | None) -> Source | None:
    """The file as text; None when it is no text, too large, or would not come back byte for byte."""
    if content is None or len(content) > MAX_BYTES or b"\0" in content:
        return None
    bom = _BOM if content.startswith(_BOM) else b""
    encoding = "utf-8"
    try:
        if path.endswith((".py", ".pyi")):
            encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0].removesuffix("-sig")
        text = content[len(bom) :].decode(encoding)
        same = bom + text.encode(encoding) == content
    except (UnicodeError, SyntaxError, LookupError):
        return None
    if not same:
        return None
    newline = "\r\n" if "\r\n" in text else "\n"
    return Source(path, content, text, text.encode("utf-8"), encoding, newline)


def apply(source: Source, edits: Iterable[Edit]) -> bytes | None:
    """The file with the edits made; None when two of them overlap or the result does not fit the file's encoding."""
    out, position = bytearray(), 0
    for edit in sorted(set(edits), key=lambda e: (e.start, e.end)):
        if edit.start < position or edit.end > len(source.data):
            return None
        text = edit.text.replace("\r\n", "\n").replace("\n", source.newline)
        out += source.data[position : edit.start] + text.encode("utf-8")
        position = edit.end
    out += source.data[position:]
    bom = _BOM if source.content.startswith(_BOM) else b""
    try:
        return bom + bytes(out).decode("utf-8").encode(source.encoding)
    except UnicodeEncodeError:
        return None


def own_line(source: Source, start: int, end: int, comment: bytes) -> Edit | None:
    """Take out the whole lines of an item that shares them with nothing but its comma and a comment about it."""
    first, last = source.line_start(start), source.line_end(end)
    tail = source.data[end:last].strip().removeprefix(b",").strip()
    alone = not source.data[first:start].strip() and (not tail or tail.startswith(comment))
    return Edit(first, last, "") if alone and source.data[last - 1 : last] == b"\n" else None


@dataclass(frozen=True, slots=True)
class Change:
    """What a fixer wants done to one file, and what it says about it."""

    edits: tuple[Edit, ...]
    title: str
    """Imperative, at most 60 characters."""
    explanation: str
    notes: tuple[str, ...] = ()


def make_patch(fixer: str, source: Source, change: Change, *, also: Sequence[FileEdit] = ()) -> Patch | None:
    """The patch for a change of one file (and ready edits of others); None when nothing would be different."""
    after = apply(source, change.edits)
    if after is None or after == source.content:
        return None
    edits = (FileEdit(source.path, source.content, after), *also)
    return Patch(edits, title=change.title, explanation=change.explanation, fixer=fixer, notes=change.notes)
