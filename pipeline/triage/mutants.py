"""Changed statements, watched and broken on purpose: each mutant is the new file with one site that crashes when it is reached.

Tests that pass with a mark at every site, and of which one fails with a crash there, run the site and notice. Nothing is inferred from
names or coverage files, and nobody who only reads the text of a file is taken for one who runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.model.fix import FileEdit
from pipeline.patches import changed_ranges, split_lines
from pipeline.syntax import language_of, parses
from pipeline.triage.nodes import OUTSIDE
from pipeline.triage.outline import outline
from pipeline.triage.sites import NotMutable, Site, sites

__all__ = ["MARKS", "MAX_MUTANTS", "WORDS", "Mark", "Mutant", "NotMutable", "marked", "mutants", "reverts"]

WORDS = "fixwright: broken on purpose"

MAX_MUTANTS = 12
"""Each costs a whole run of the tests; a fix of one finding rarely changes more than three statements."""

MARKS = "/fixwright"
"""Folder in the sandbox with a file for each mark: it is touched when the mark's site is reached."""

# Nothing is longer than people write lines, and no line has two statements: a suite that looks at style first is to come to its tests.
_PY_CRASH = f'raise AssertionError("{WORDS}")'
_PY_CRASH_EXPRESSION = f'(_ for _ in ()).throw(AssertionError("{WORDS}"))'
_JS_CRASH = f'throw new Error("{WORDS}");'
_JS_CRASH_EXPRESSION = f'(() => {{\nthrow new Error("{WORDS}");\n}})()'

# posix instead of os, and node's own fs: what tests put in the place of the file system is not asked. None is worth anything as a value.
_PY_MARK = '__import__("posix").utime({})'
_JS_MARK = 'globalThis.process?.getBuiltinModule?.("fs").utimesSync({}, 1, 1)'
# Types that know neither process nor a function of it are no reason to fail.
_TS_MARK = f"globalThis.Function({json.dumps(_JS_MARK.format('arguments[0]'))})({{}})"


@dataclass(frozen=True, slots=True)
class Mark:
    """Two files in `MARKS`: one that the site touches, and one that stands beside it in the text and that nobody touches who only runs
    the code."""

    file: str
    decoy: str
    second: bool
    """Which of the two is named first."""

    @property
    def text(self) -> str:
        """An expression that is the path of `file`, alike in every language."""
        both = [f'"{MARKS}/{name}"' for name in ([self.decoy, self.file] if self.second else [self.file, self.decoy])]
        return f"[{', '.join(both)}][{int(self.second)}]"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file with one site broken."""

    path: str
    line: int
    """1-based, of the broken site, in the file that is not broken."""
    content: bytes
    mark: Mark | None = None
    """It is touched right before the crash."""


def mutants(edit: FileEdit, marks: Iterator[Mark]) -> list[Mutant]:
    """A mutant for every changed statement that can be executed, or for the value in it that changed, in order of lines.

    Args:
        marks: as many as are needed are taken.

    Raises:
        NotMutable: a changed statement has no place for a crash, there are too many, or the file is not ours to read.
    """
    made = []
    statement, expression = (_PY_CRASH, _PY_CRASH_EXPRESSION) if language_of(edit.path) == "python" else (_JS_CRASH, _JS_CRASH_EXPRESSION)
    for site, mark in ((site, next(marks)) for site in _sites(edit)):
        touch, end = _touch(edit.path, mark)
        content = _put_in(edit, [(site, [touch + end, statement], [touch, expression])])
        made.append(Mutant(edit.path, site.line, content, mark))
    return made


def marked(edit: FileEdit, marks: Iterator[Mark]) -> tuple[list[tuple[Site, Mark]], bytes]:
    """The sites of a file, each with its mark, and the file with all of them: it does what it did, and touches a mark when it comes by.

    Arguments and errors as of `mutants`.
    """
    there = [(site, next(marks)) for site in _sites(edit)]
    texts = [(site, *_touch(edit.path, mark)) for site, mark in there]
    return there, _put_in(edit, [(site, [touch + end], [touch]) for site, touch, end in texts])


def _touch(path: str, mark: Mark) -> tuple[str, str]:
    """An expression that touches the mark and has no value, and what ends a statement."""
    language = language_of(path)
    form = _PY_MARK if language == "python" else _TS_MARK if language == "typescript" else _JS_MARK
    return form.format(mark.text), "" if language == "python" else ";"


def _sites(edit: FileEdit) -> list[Site]:
    there = sites(edit)
    if len(there) > MAX_MUTANTS:
        raise NotMutable(f"{len(there)} statements changed, more than {MAX_MUTANTS} are not broken one by one")
    return there


def _put_in(edit: FileEdit, wanted: Sequence[tuple[Site, Sequence[str], Sequence[str]]]) -> bytes:
    """The new file with something at each site: the first in front of a statement, the second in front of an expression."""
    content = edit.after or b""
    python = language_of(edit.path) == "python"
    pieces: list[tuple[int, int, int, str]] = []
    for site, statements, expressions in wanted:
        opening, closing = _around(content, site, statements, expressions, python)
        # At one place: what ends comes before what begins; of those that begin the outer first, of those that end the inner.
        pieces.append((site.start, 1, -site.end, opening))
        pieces.append((site.end, 0, -site.start, closing))
    out, at = [], 0
    for place, _, _, text in sorted(pieces, key=lambda piece: piece[:3]):
        out += [content[at:place], text.encode()]
        at = place
    made = b"".join([*out, content[at:]])
    if wanted and not parses(edit.path, made):
        raise NotMutable(f"{edit.path}:{wanted[0][0].line} has no place for a crash")
    return made


def _around(content: bytes, site: Site, statements: Sequence[str], expressions: Sequence[str], python: bool) -> tuple[str, str]:
    if site.form == "expression":
        between = "\nor " if python else ",\n"
        return "(\n" + "".join(one + between for one in expressions) + "(", "))"
    if site.form == "lone statement":
        return "{\n" + "\n".join(statements) + "\n", "\n}"
    indent = content[content.rfind(b"\n", 0, site.start) + 1 : site.start].decode()
    if not indent.strip():
        return "".join(f"{one}\n{indent}" for one in statements), ""
    return "".join(one + ("; " if python else " ") for one in statements), ""


def reverts(edit: FileEdit) -> list[Mutant]:
    """The new file with one changed place as it was before, for each place where a statement changed; imports stay as the patch has them.

    Raises:
        NotMutable: a place cannot be put back alone, or there are too many.
    """
    old, new = split_lines(edit.before or b""), split_lines(edit.after or b"")
    trees = [outline(edit.path, side or b"") for side in (edit.before, edit.after)]
    found = []
    for first, end, start, stop in changed_ranges(old, new):
        touched = [
            unit
            for tree, low, high in zip(trees, (first, start), (end, stop), strict=True)
            for unit in (tree.units if tree is not None else [])
            if unit.line <= high and unit.end_line > low
        ]
        if trees[1] is not None and not any(not unit.imports and not unit.empty and unit.kind not in OUTSIDE for unit in touched):
            continue
        content = b"".join([*new[:start], *old[first:end], *new[stop:]])
        if parses(edit.path, content) is False:
            raise NotMutable(f"the old text of {edit.path}:{first + 1} cannot be put back alone")
        found.append(Mutant(edit.path, start + 1, content))
    if len(found) > MAX_MUTANTS:
        raise NotMutable(f"{len(found)} places changed, more than {MAX_MUTANTS} are not put back one by one")
    return found
