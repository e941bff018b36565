"""JavaScript expressions that build a string, read as a template: template literals, `+` and plain literals."""

from __future__ import annotations

import re

from tree_sitter import Node

from pipeline.rewriting.javascript.code import Code, arguments, bare
from pipeline.rewriting.template import Hole, Part, Template, Token, Unit, join

_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def read(code: Code, node: Node) -> Template | None:
    """The string that an expression builds, or None when it is no string that we understand to the last character."""
    if node.type == "parenthesized_expression" and len(node.named_children) == 1:
        return read(code, node.named_children[0])
    if node.type in {"string", "template_string"}:
        return _literal(code, node)
    if node.type == "binary_expression" and _operator(node) == "+":
        return _sum(code, node)
    if node.type == "call_expression" and code.method(node) == "concat":
        return _concat(code, node)
    return None


def _operator(node: Node) -> str:
    operator = node.child_by_field_name("operator")
    return operator.type if operator is not None else ""


def _literal(code: Code, node: Node) -> Template | None:
    parts: list[Part] = []
    mark = code.source.slice(node.start_byte, node.start_byte + 1)
    for child in node.named_children:
        if child.type == "string_fragment":
            at = child.start_byte
            for char in code.text(child):
                parts.append(Unit(char, char, 0, at))
                at += len(char.encode())
        elif child.type == "escape_sequence":
            unit = _escape(code.text(child), child.start_byte)
            if unit is None:
                return None
            parts.append(unit)
        elif child.type == "template_substitution":
            inner = [n for n in child.named_children if n.type != "comment"]
            if len(inner) != 1:
                return None
            parts.append(Hole(code.text(inner[0]), 0, "", False, inner[0].start_byte))
        elif child.type != "comment":
            return None
    return Template(tuple(parts), (Token(node.start_byte, node.end_byte, mark, mark),))


def _escape(text: str, at: int) -> Unit | None:
    if re.fullmatch(r"\\\r?\n", text):
        return Unit("", text, 0, at)
    if re.fullmatch(r"\\[0-9xu].+|\\[1-9]", text, re.DOTALL):
        return None
    return Unit(_SIMPLE.get(text[1:], text[1:]), text, 0, at)


def _concat(code: Code, node: Node) -> Template | None:
    """`"text".concat(value, "text")`."""
    receiver, args = code.receiver(node), arguments(node)
    first = read(code, receiver) if receiver is not None else None
    if first is None or any(arg.type == "spread_element" for arg in args):
        return None
    return join([first, *(read(code, arg) or operand_template(code, arg) for arg in args)])


def operand_template(code: Code, operand: Node) -> Template:
    """A value that is added to a text, as a template of one hole."""
    value = operand
    if operand.type == "call_expression" and code.callee(operand) == "String" and len(arguments(operand)) == 1:
        value = arguments(operand)[0]
    simple = {"identifier", "member_expression", "call_expression", "subscript_expression"}
    value = bare(value) if value.type == "parenthesized_expression" and bare(value).type in simple else value
    hole = Hole(code.text(value), -1, "", False, value.start_byte)
    return Template((hole,), (), ((operand.start_byte, operand.end_byte),))


def _sum(code: Code, node: Node) -> Template | None:
    operands: list[Node] = []
    current = node
    while current.type == "binary_expression" and _operator(current) == "+":
        left, right = current.child_by_field_name("left"), current.child_by_field_name("right")
        if left is None or right is None:
            return None
        operands.append(right)
        current = left
    operands.append(current)
    templates: list[Template] = []
    for operand in reversed(operands):
        template = read(code, operand)
        if template is None:
            if operand.type == "binary_expression":
                return None
            template = operand_template(code, operand)
        templates.append(template)
    if templates and not templates[0].tokens and not (len(templates) > 1 and templates[1].tokens):
        return None  # `1 + 2 + "px"` adds numbers first
    whole = join(templates)
    return whole if whole.tokens else None


def combine(parts: tuple[str | Hole, ...], quote: str) -> str | None:
    """Source of a value from text and holes: the bare expression, or a template literal around it."""
    if len(parts) == 1 and isinstance(parts[0], Hole):
        return parts[0].code
    if all(isinstance(part, str) for part in parts):
        return literal("".join(str(part) for part in parts), quote)
    if any(isinstance(part, Hole) and "\n" in part.code for part in parts):
        return None
    return "`" + "".join(_escaped(part) if isinstance(part, str) else "${" + part.code + "}" for part in parts) + "`"


def _escaped(text: str) -> str:
    out = text.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")
    return out.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def literal(text: str, quote: str) -> str:
    """A string literal; the other quote when that saves an escape."""
    other = "'" if quote == '"' else '"'
    mark = other if quote in text and other not in text else quote
    out = text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return mark + out + mark
