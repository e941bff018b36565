"""Small markup around a value (`"<b>" + name + "</b>"`) as elements that are made, not parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.fixers.javascript.queries import find_built
from pipeline.rewriting.javascript import strings
from pipeline.rewriting.javascript.code import Code, remove_statement
from pipeline.rewriting.source import Edit
from pipeline.rewriting.template import Hole, join

_ONE_ELEMENT = re.compile(
    r"""\s*<(?P<tag>[a-z][a-z0-9]*)(?P<attributes>(?:\s+[a-z-]+=(?:"[^"<>]*"|'[^'<>]*'))*)\s*>(?P<inside>[^<>&]*)</(?P=tag)>\s*"""
)
_NAME = re.compile(r"""(?<![a-z-])([a-z-]+)=["']([^"']*)["']""")
_INERT = frozenset(
    {
        "b",
        "i",
        "em",
        "strong",
        "p",
        "div",
        "span",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "td",
        "th",
        "small",
        "code",
        "pre",
        "u",
        "label",
    }
)
"""Elements whose content is only shown."""
_HOLE = "\ufffc"


@dataclass(frozen=True, slots=True)
class Element:
    """One element with text inside."""

    tag: str
    classes: str
    text: tuple[str | Hole, ...]
    gone: tuple[Edit, ...] = ()
    """Statements that put the markup into a variable, which nothing needs any more."""


def jquery_element(code: Code, value: Node) -> str:
    """`$("<b>").text(name)` for `"<b>" + name + "</b>"`; "" when the markup is more than one simple element."""
    element = _element(code, value)
    text = strings.combine(element.text, code.quote) if element is not None else None
    if element is None or element.gone or text is None or "\n" in text:
        return ""
    quote = code.quote
    classes = f".addClass({strings.literal(element.classes, quote)})" if element.classes else ""
    return f"$({quote}<{element.tag}>{quote}){classes}.text({text})"


def nodes_for(code: Code, sink: Node, owner: Node, value: Node, how: str) -> list[Edit]:
    """Statements that make the element and put it in its place; nothing when the markup is more than one simple element.

    Args:
        sink: the assignment or call that is replaced, which must be a statement of its own.
        how: the DOM method that puts a node there: `replaceChildren`, `append`, `replaceWith` ...
    """
    element = _element(code, value)
    statement = sink.parent
    if element is None or statement is None or statement.type != "expression_statement" or statement.parent is None:
        return []
    if statement.parent.type not in {"program", "statement_block"}:
        return []
    text = strings.combine(element.text, code.quote)
    name = next((n for n in (element.tag, f"{element.tag}Element") if n not in code.names()), "")
    if text is None or not name or "\n" in text:
        return []
    indent, end, quote = code.source.indentation(statement.start_byte), code.semicolon, code.quote
    lines = [f"const {name} = document.createElement({quote}{element.tag}{quote}){end}"]
    if element.classes:
        lines.append(f"{name}.className = {strings.literal(element.classes, quote)}{end}")
    lines.append(f"{name}.textContent = {text}{end}")
    lines.append(f"{code.text(owner)}.{how}({name}){end}")
    return [*element.gone, Edit(statement.start_byte, statement.end_byte, f"\n{indent}".join(lines))]


def _element(code: Code, value: Node) -> Element | None:
    made = find_built(code, value, value)
    lines = [part.line for part in made.statements if part.line is not None] if made is not None else []
    if made is None or made.conditional or (lines and len(code.uses(code.text(value), code.function(value))) != 1):
        return None
    template = join([part.template for part in made.statements])
    if not template.holes or _HOLE in "".join(hole.code for hole in template.holes):
        return None
    match = _ONE_ELEMENT.fullmatch(template.text)
    if match is None or match["tag"] not in _INERT or _HOLE in match["attributes"]:
        return None
    attributes = dict(_NAME.findall(match["attributes"]))
    if not set(attributes) <= {"class"}:
        return None
    holes = iter(template.holes)
    pieces: list[str | Hole] = []
    for piece in re.split(f"({_HOLE})", match["inside"]):
        if piece:
            pieces.append(next(holes) if piece == _HOLE else piece)
    return Element(match["tag"], attributes.get("class", ""), tuple(pieces), tuple(remove_statement(code, line) for line in lines))
