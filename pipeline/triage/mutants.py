"""Changed statements, broken on purpose: each mutant is the new file with one statement that crashes when it is reached.

A test that fails on a mutant is a test that runs the statement and notices. Nothing is inferred from names or coverage files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.model.fix import FileEdit
from pipeline.patches import changed_ranges, split_lines
from pipeline.syntax import language_of, parses
from pipeline.triage.nodes import HEADERS, OUTSIDE
from pipeline.triage.outline import Unit, outline

WORDS = "fixwright: broken on purpose"

MAX_MUTANTS = 12
"""Each costs a whole run of the tests; a fix of one finding rarely changes more than three statements."""

_PY = f'raise AssertionError("{WORDS}")'
_PY_EXPRESSION = f'(_ for _ in ()).throw(AssertionError("{WORDS}"))'
_JS = f'throw new Error("{WORDS}");'
_JS_EXPRESSION = f'(() => {{ throw new Error("{WORDS}"); }})()'


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file with one changed statement broken."""

    path: str
    line: int
    """1-based, of the broken statement."""
    content: bytes


class NotMutable(Exception):
    """A changed statement cannot be broken mechanically; the text says which."""


def mutants(edit: FileEdit) -> list[Mutant]:
    """A mutant for every changed statement that can be executed, in order of lines; imports, docstrings and comments need none.

    Raises:
        NotMutable: a changed statement has no place for a crash, there are too many, or the file is not ours to read.
    """
    after = edit.after or b""
    tree = outline(edit.path, after)
    if tree is None:
        raise NotMutable(f"{edit.path} is in a language without statements that we could break")
    try:
        after.decode("utf-8")
    except UnicodeDecodeError:
        raise NotMutable(f"{edit.path} is no UTF-8") from None
    before = outline(edit.path, edit.before) if edit.before is not None else None
    units = list(_changed_units(edit, before.units if before is not None else [], tree.units))
    if len(units) > MAX_MUTANTS:
        raise NotMutable(f"{len(units)} statements changed, more than {MAX_MUTANTS} are not broken one by one")
    found = []
    for unit in units:
        content = _broken(edit.path, after, unit)
        if content is None or not parses(edit.path, content):
            raise NotMutable(f"{edit.path}:{unit.line} has no place for a crash")
        found.append(Mutant(edit.path, unit.line, content))
    return found


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


def _changed_units(edit: FileEdit, before: list[Unit], after: list[Unit]) -> Iterator[Unit]:
    """The innermost statements on changed lines whose own words changed. A gap counts only for a statement that reaches over it."""
    known = Counter((unit.scope, unit.kind, unit.text) for unit in before)
    still = Counter((unit.scope, unit.kind, unit.text) for unit in after)
    hit: dict[int, Unit] = {}
    for _, _, first, end in changed_ranges(split_lines(edit.before or b""), split_lines(edit.after or b"")):
        for line in range(first + 1, end + 1):
            hit |= {u.start: u for u in _on(line, line, after)}
        if first == end:
            hit |= {u.start: u for u in _on(first, first + 1, after) if u.line <= first and u.end_line > first}
    for _, unit in sorted(hit.items()):
        key = (unit.scope, unit.kind, unit.text)
        if not unit.empty and not unit.imports and unit.kind not in OUTSIDE and still[key] > known[key]:
            yield unit


def _on(first: int, last: int, units: list[Unit]) -> list[Unit]:
    return _innermost([u for u in units if u.line <= last and u.end_line >= first])


def _innermost(units: list[Unit]) -> list[Unit]:
    return [u for u in units if not any(o is not u and u.start <= o.start and o.end <= u.end for o in units)]


def _broken(path: str, content: bytes, unit: Unit) -> bytes | None:
    python = language_of(path) == "python"
    if unit.kind == "expression":
        return _put(content, unit.start, unit.end, _PY_EXPRESSION if python else _JS_EXPRESSION)
    if unit.kind in HEADERS:
        node = unit.node.child_by_field_name(HEADERS[unit.kind]) if HEADERS[unit.kind] else None
        if unit.kind == "with_statement":
            node = next((n for n in _descend(unit) if n.type == "with_item"), None)
            node = node.child_by_field_name("value") if node is not None else None
            if node is not None and node.type == "as_pattern":
                node = node.named_children[0]
        if node is None:
            return None
        replacement = _PY_EXPRESSION if python else f"({_JS_EXPRESSION})"
        return _put(content, node.start_byte, node.end_byte, replacement)
    start = unit.start
    parent = unit.node.parent
    if parent is not None and parent.type == "export_statement":
        start, parent = parent.start_byte, parent.parent
    if python:
        return _put(content, start, start, _PY + "; ")
    if parent is not None and parent.type in ("program", "statement_block", "switch_case", "switch_default"):
        return _put(content, start, start, _JS + " ")
    return _put(content, start, unit.end, "{ " + _JS + " }")


def _descend(unit: Unit) -> list[Node]:
    out: list[Node] = []
    stack = list(unit.node.named_children)
    while stack:
        node = stack.pop(0)
        if node.type == "block":
            continue
        out.append(node)
        stack.extend(node.named_children)
    return out


def _put(content: bytes, start: int, end: int, text: str) -> bytes:
    return content[:start] + text.encode() + content[end:]
