"""What a patch changed, as sites: statements, or parts of statements that run only sometimes (`a and b`, a branch of `a if c else b`).

Something can be put in at a site that runs whenever the site does, just before it. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from tree_sitter import Node

from pipeline.model.fix import FileEdit
from pipeline.patches import changed_ranges, split_lines
from pipeline.syntax import language_of, syntax_tree
from pipeline.triage.nodes import CALLS, HEADERS, OUTSIDE, is_block, operator
from pipeline.triage.outline import Unit, outline

MAX_COMPARED = 2_000_000
"""Pairs of words of one hunk that are compared; beyond that the whole hunk counts as changed."""

_WORD = re.compile(rb"\w+|\s+|[^\w\s]")


class NotMutable(Exception):
    """A changed statement cannot be broken mechanically; the text says which."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place of a file, the new side of a patch."""

    path: str
    line: int
    """1-based."""
    start: int
    end: int
    """Bytes, end exclusive."""
    form: Literal["statement", "expression", "lone statement"]
    """A statement, or an expression; a lone statement is the body of an `if` without braces."""


def sites(edit: FileEdit) -> list[Site]:
    """A site for every changed statement that can be executed, in order; imports, docstrings and comments have none.

    Raises:
        NotMutable: nothing can be put in at a changed statement, or the file is not ours to read.
    """
    after = edit.after or b""
    if language_of(edit.path) in ("go", "java"):
        raise NotMutable(f"{edit.path} is in a language that is compiled, in which nothing is broken on purpose yet")
    tree = outline(edit.path, after)
    if tree is None:
        raise NotMutable(f"{edit.path} is in a language without statements that we could break")
    try:
        after.decode("utf-8")
    except UnicodeDecodeError:
        raise NotMutable(f"{edit.path} is no UTF-8") from None
    before = outline(edit.path, edit.before) if edit.before is not None else None
    known = Counter((unit.scope, unit.kind, unit.text) for unit in (before.units if before is not None else []))
    still = Counter((unit.scope, unit.kind, unit.text) for unit in tree.units)
    found: dict[tuple[int, int], Site] = {}
    groups: dict[tuple[int, int], tuple[Unit, Node | None, int, int]] = {}
    for start, end, gap in changed_bytes(edit.before or b"", after):
        for unit, first, last in _units_at(tree.units, after, start, end, gap):
            key = (unit.scope, unit.kind, unit.text)
            if not unit.empty and not unit.imports and unit.kind not in OUTSIDE and still[key] > known[key]:
                part = _sometimes(unit, first, last, language_of(edit.path) == "python")
                name = id(unit), part.id if part is not None else 0
                _, _, low, high = groups.get(name, (unit, part, first, last))
                groups[name] = unit, part, min(low, first), max(high, last)
        for site in _in_heads(edit.path, after, tree.units, start, end):
            found[site.start, site.end] = site
    for unit, part, first, last in groups.values():
        site = _site(edit.path, unit, part, first, last)
        found[site.start, site.end] = site
    return [found[key] for key in sorted(found)]


def changed_bytes(before: bytes, after: bytes) -> Iterator[tuple[int, int, bool]]:
    """Ranges of bytes of the new side that differ, word by word: start, end, and True for a place where only lines went.

    A range without length is where words of a line went. Blanks alone do not differ.
    """
    old, new = split_lines(before), split_lines(after)
    offsets = [0]
    for line in new:
        offsets.append(offsets[-1] + len(line))
    for first, end, start, stop in changed_ranges(old, new):
        if start == stop:
            yield offsets[start], offsets[start], True
            continue
        left, right = _WORD.findall(b"".join(old[first:end])), _WORD.findall(b"".join(new[start:stop]))
        if len(left) * len(right) > MAX_COMPARED:
            yield offsets[start], offsets[stop], False
            continue
        at = [offsets[start]]
        for word in right:
            at.append(at[-1] + len(word))
        for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if tag != "equal" and b"".join([*left[i:j], *right[k:m]]).strip():
                yield at[k], at[m], False


def _units_at(units: Sequence[Unit], text: bytes, start: int, end: int, gap: bool) -> Iterator[tuple[Unit, int, int]]:
    """The innermost statements that a changed range lies in or holds, each with the part of the range that is its own."""
    near = [u for u in units if u.start <= end and start <= u.end]
    if start == end:
        holding = [u for u in near if (u.start < start < u.end if gap else u.start <= start <= u.end)]
        if holding:
            yield min(holding, key=lambda u: u.end - u.start), start, end
        return
    parts: dict[int, tuple[Unit, int, int]] = {}
    for word in _WORD.finditer(text, start, end):
        if not word[0].strip():
            continue
        holding = [u for u in near if u.start <= word.start() < u.end]
        if holding:
            unit = min(holding, key=lambda u: u.end - u.start)
            _, low, _ = parts.get(id(unit), (unit, word.start(), 0))
            parts[id(unit)] = (unit, low, word.end())
    yield from parts.values()


def _in_heads(path: str, text: bytes, units: Sequence[Unit], start: int, end: int) -> Iterator[Site]:
    """Sites of changed words in no statement: the default of a parameter, the value of a class's field.

    Raises NotMutable for a pattern: what it is compared with depends on those above it.
    """
    tree = syntax_tree(path, text)
    words = [word for word in _WORD.finditer(text, start, end) if word[0].strip()]
    for word in words if tree is not None else ():
        if any(unit.kind not in OUTSIDE and unit.start <= word.start() < unit.end for unit in units):
            continue
        node = tree.root_node.descendant_for_byte_range(word.start(), word.end()) if tree is not None else None
        part: Node | None = None
        while node is not None and node.parent is not None and node.type != "comment" and not is_block(node):
            if node.parent.type in ("case_clause", "switch_case"):
                raise NotMutable(f"{path}:{node.start_point.row + 1} is compared and not run")
            part = part or (node if node.is_named and _left_out(node.parent, node) else None)
            node = node.parent
        if part is not None:
            yield Site(path, part.start_point.row + 1, part.start_byte, part.end_byte, "expression")


def _site(path: str, unit: Unit, part: Node | None, first: int, last: int) -> Site:
    """What is evaluated anew, as narrow as something can be put in front of it: a value in the statement, or in the part of it that need
    not run when the statement does; else that part, or the statement. What stands before it in the statement may fail."""
    value = _value(part or unit.node, first, last) if unit.kind not in HEADERS or part is not None else None
    node = value or part
    if node is not None:
        return Site(path, node.start_point.row + 1, node.start_byte, node.end_byte, "expression")
    if unit.kind == "expression":
        return Site(path, unit.line, unit.start, unit.end, "expression")
    if unit.kind in HEADERS:
        head = _head(unit)
        if head is None:
            raise NotMutable(f"{path}:{unit.line} has no place for a crash")
        return Site(path, unit.line, head.start_byte, head.end_byte, "expression")
    start, parent = unit.start, unit.node.parent
    if parent is not None and parent.type == "export_statement":
        start, parent = parent.start_byte, parent.parent
    alone = language_of(path) != "python" and (
        parent is None or parent.type not in ("program", "statement_block", "switch_case", "switch_default")
    )
    return Site(path, unit.line, start, unit.end, "lone statement" if alone else "statement")


def _head(unit: Unit) -> Node | None:
    """The expression that is evaluated at the head of a compound statement."""
    name = HEADERS[unit.kind]
    if name:
        return unit.node.child_by_field_name(name)
    if unit.kind != "with_statement":
        return None
    item = next((node for node in _descend(unit.node) if node.type == "with_item"), None)
    node = item.child_by_field_name("value") if item is not None else None
    return node.named_children[0] if node is not None and node.type == "as_pattern" else node


def _descend(node: Node) -> Iterator[Node]:
    stack = list(node.named_children)
    while stack:
        inner = stack.pop(0)
        if inner.type != "block":
            yield inner
            stack.extend(inner.named_children)


# --- values ---------------------------------------------------------------------------------------------------------------------------

_VALUES = frozenset(
    [
        # Parent and field; no field where any child is a value.
        ("argument_list", ""),
        ("arguments", ""),
        ("keyword_argument", "value"),
        ("assignment", "right"),
        ("augmented_assignment", "right"),
        ("return_statement", ""),
        ("list", ""),
        ("tuple", ""),
        ("pair", "value"),
        ("variable_declarator", "value"),
        ("assignment_expression", "right"),
        ("array", ""),
    ]
)
_NO_VALUES = frozenset(["assignment", "keyword_argument", "list_splat", "dictionary_splat", "spread_element", "comment"])


def _value(around: Node, first: int, last: int) -> Node | None:
    """The smallest value below `around` that holds the bytes; of several in a list the last that they touch."""
    node: Node | None = around.descendant_for_byte_range(first, max(first, last - 1))
    if node is not None and first < last and node.type in ("argument_list", "arguments"):
        node = next((child for child in reversed(node.named_children) if child.start_byte < last and child.end_byte > first), node)
        if node.type == "keyword_argument":
            node = node.child_by_field_name("value")
    while node is not None and node != around and node.parent is not None:
        parent = node.parent
        if node.is_named and node.type not in _NO_VALUES and _is_value(parent, node):
            return node
        node = parent
    return None


def _is_value(parent: Node, child: Node) -> bool:
    if (parent.type, "") in _VALUES:
        return True
    return any(kind == parent.type and child == parent.child_by_field_name(name) for kind, name in _VALUES if name)


# --- parts that run only sometimes ----------------------------------------------------------------------------------------------------


def _sometimes(unit: Unit, first: int, last: int, python: bool) -> Node | None:
    node: Node | None = unit.node.descendant_for_byte_range(first, max(first, last - 1))
    inner: Node | None = None
    found: Node | None = None
    while node is not None and node != unit.node:
        parent = node.parent
        if parent is None:
            break
        if found is None and inner is not None and node.type in ("pair", "if_clause", "for_in_clause", "arguments"):
            # No expression itself: what lies in it is.
            found = inner if _left_out(parent, node) else None
        elif found is None and node.is_named and _left_out(parent, node):
            found = node
        if python and parent.type == "interpolation" and found is not None:
            # Nothing with quotes can be put into a string before Python 3.12.
            raise NotMutable(f"a part of a string in line {node.start_point.row + 1} is not always evaluated")
        inner, node = node if node.is_named else inner, parent
    return found


def _left_out(parent: Node, child: Node) -> bool:
    """True when `child` need not run when `parent` does."""
    kind = parent.type
    if kind == "conditional_expression":
        return child != parent.named_children[1]
    if kind == "ternary_expression":
        return child != parent.child_by_field_name("condition")
    if kind == "boolean_operator" or (kind == "binary_expression" and operator(parent) in ("&&", "||", "??")):
        return child == parent.child_by_field_name("right")
    if kind == "augmented_assignment_expression":
        return operator(parent) in ("&&=", "||=", "??=") and child == parent.child_by_field_name("right")
    if kind in ("assignment_pattern", "object_assignment_pattern"):
        return child == parent.child_by_field_name("right")
    if kind in ("field_definition", "public_field_definition"):
        return child == parent.child_by_field_name("value")
    if kind in ("list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression"):
        # The first thing that is iterated over is evaluated at once.
        return child != next((n for n in parent.named_children if n.type == "for_in_clause"), None)
    if kind in CALLS and child == parent.child_by_field_name("arguments"):
        called = parent.child_by_field_name("function")
        return called is not None and b"?." in (parent.text or b"")[: child.start_byte - parent.start_byte]
    return False
