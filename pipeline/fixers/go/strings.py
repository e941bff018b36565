"""Go's ways to build a text, read as a template: literals, `+`, and `fmt.Sprintf` with plain verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from pipeline.rewriting.source import Source
from pipeline.rewriting.template import Hole, Part, Template, Token, Unit

MAX_HOLES = 50
"""More values than that no person puts into one text."""

_ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\", "\\r": "\r"}
_LITERALS = frozenset({"interpreted_string_literal", "raw_string_literal"})


def walk(node: Node) -> Iterator[Node]:
    """The node and everything named in it, in the order of the text."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed(one.named_children))


def arguments(call: Node) -> list[Node]:
    """What a call is given, without comments."""
    given = call.child_by_field_name("arguments")
    return [node for node in given.named_children if node.type != "comment"] if given is not None else []


def callee(call: Node) -> str:
    """What is called, as written: `fmt.Sprintf`."""
    function = call.child_by_field_name("function")
    return (function.text or b"").decode("utf-8", "replace") if function is not None else ""


def read(source: Source, node: Node) -> Template | None:
    """The text that an expression makes; None when it is no text that is put together here."""
    if node.type == "call_expression":
        return _formatted(source, node)
    operands = _operands(node)
    if operands is None:
        return None
    parts: list[Part] = []
    tokens: list[Token] = []
    gaps: list[tuple[int, int]] = []
    for operand in operands:
        if operand.type in _LITERALS:
            units = _units(source, operand, len(tokens))
            if units is None:
                return None
            parts += units
            tokens.append(_token(operand))
        elif operand.type in {"identifier", "selector_expression", "call_expression", "index_expression"}:
            code = source.slice(operand.start_byte, operand.end_byte)
            parts.append(Hole(code, max(len(tokens) - 1, 0), textual=True, start=operand.start_byte))
            gaps.append((operand.start_byte, operand.end_byte))
        else:
            return None
    template = Template(tuple(parts), tuple(tokens), tuple(gaps))
    return template if tokens and operands[0].type in _LITERALS and 0 < len(template.holes) <= MAX_HOLES else None


def _operands(node: Node) -> list[Node] | None:
    """`a`, `b`, `c` of `a + b + c`; None when something else is calculated, or a comment stands between."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type != "binary_expression":
            found.append(one)
            continue
        left, right, sign = (one.child_by_field_name(name) for name in ("left", "right", "operator"))
        if left is None or right is None or sign is None or sign.type != "+" or one.named_child_count != 2:
            return None
        waiting += [right, left]
        if len(found) > 4 * MAX_HOLES:
            return None
    return found


def _token(literal: Node) -> Token:
    mark = "`" if literal.type == "raw_string_literal" else '"'
    return Token(literal.start_byte, literal.end_byte, mark, mark)


def _units(source: Source, literal: Node, token: int) -> list[Unit] | None:
    """The characters of a literal; None when one is written in a way that is not read here."""
    text = source.slice(literal.start_byte + 1, literal.end_byte - 1)
    if literal.type == "raw_string_literal":
        return [Unit(char, char, token) for char in text]
    units: list[Unit] = []
    at = 0
    while at < len(text):
        raw = text[at : at + 2] if text[at] == "\\" else text[at]
        char = _ESCAPES.get(raw, raw)
        if raw[0] == "\\" and raw not in _ESCAPES:
            return None
        units.append(Unit(char, raw, token))
        at += len(raw)
    return units


def _formatted(source: Source, call: Node) -> Template | None:
    """`fmt.Sprintf("...", ...)` whose verbs are `%s`, `%v` and `%d`, one for each value."""
    given = arguments(call)
    if callee(call) != "fmt.Sprintf" or not given or given[0].type not in _LITERALS:
        return None
    inside = call.child_by_field_name("arguments")
    if inside is None or any(node.type in {"comment", "variadic_argument"} for node in inside.named_children):
        return None
    units = _units(source, given[0], 0)
    values = iter(given[1:])
    parts: list[Part] = []
    at = 0
    while units is not None and at < len(units):
        unit = units[at]
        if unit.char != "%":
            parts.append(unit)
            at += 1
            continue
        verb = units[at + 1].char if at + 1 < len(units) else ""
        if verb == "%":
            parts.append(unit)
        else:
            value = next(values, None)
            if verb not in {"s", "v", "d"} or value is None:
                return None
            parts.append(Hole(source.slice(value.start_byte, value.end_byte), 0, spec=verb, start=value.start_byte))
        at += 2
    if units is None or next(values, None) is not None:
        return None
    template = Template(tuple(parts), (_token(given[0]),))
    return template if 0 < len(template.holes) <= MAX_HOLES else None


def combine(parts: Sequence[str | Hole]) -> str | None:
    """Code of one value made of texts and holes: `"%"+name+"%"`; None when a text cannot be written plainly."""
    written: list[str] = []
    for part in parts:
        if isinstance(part, Hole):
            written.append(part.code)
        elif not part.isprintable():
            return None
        else:
            written.append(json.dumps(part, ensure_ascii=False))
    return "+".join(written) if written else None  # as gofmt writes it among other arguments
