"""Python expressions that build a string, read as a template: f-strings, `%`, `.format`, `+` and implicit concatenation."""

from __future__ import annotations

import ast
import re

import libcst as cst

from pipeline.rewriting.python.code import Code, string_value
from pipeline.rewriting.template import Hole, Part, Template, Token, Unit, join

_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_PERCENT = re.compile(r"%(?:\((?P<name>[^()]*)\))?(?P<flags>[-#0 +]*+)(?P<width>\d*+)(?P<precision>(?:\.\d+)?)(?P<kind>[a-zA-Z%])")


def read(code: Code, node: cst.BaseExpression) -> Template | None:
    """The string that an expression builds, or None when it is no string that we understand to the last character."""
    if isinstance(node, cst.SimpleString):
        return _literal(code, node)
    if isinstance(node, cst.FormattedString):
        return _formatted(code, node)
    if isinstance(node, cst.ConcatenatedString):
        left, right = read(code, node.left), read(code, node.right)
        return join((left, right)) if left and right else None
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return _sum(code, node)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo):
        return _percent(code, node)
    if isinstance(node, cst.Call):
        return _format(code, node)
    return None


def _literal(code: Code, node: cst.SimpleString) -> Template | None:
    prefix = node.prefix.lower()
    if "b" in prefix or "t" in prefix:
        return None
    start, end = code.span(node)
    units = _units(node.raw_value, start + len(node.prefix + node.quote), raw="r" in prefix, braces=False)
    if units is None:
        return None
    token = Token(start, end, node.prefix + node.quote, node.quote)
    return Template(tuple(units), (token,))


def _units(body: str, start: int, *, raw: bool, braces: bool) -> list[Unit] | None:
    """Characters of a literal's body with how each is written; `braces`: the body of an f-string, where `{{` means `{`."""
    units: list[Unit] = []
    at = 0
    while at < len(body):
        char, place = body[at], start + len(body[:at].encode())
        if char == "\\" and not raw:
            match = re.match(r"\\(?:\n|\r\n|[ntr\\'\"abfv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0(?![0-7]))", body[at:])
            if match is None:
                return None
            text = match.group()
            if text[1] in "\r\n":
                units.append(Unit("", text, 0, place))
            else:
                value = _SIMPLE.get(text[1]) if len(text) == 2 else ast.literal_eval(f"'{text}'")
                units.append(Unit(str(value), text, 0, place))
            at += len(text)
        elif braces and char in "{}":
            units.append(Unit(char, char, 0, place))
            at += 2
        else:
            units.append(Unit(char, char, 0, place))
            at += 1
    return units


def _formatted(code: Code, node: cst.FormattedString) -> Template | None:
    raw = "r" in node.start.lower()
    parts: list[Part] = []
    for part in node.parts:
        if isinstance(part, cst.FormattedStringText):
            units = _units(part.value, code.span(part)[0], raw=raw, braces=True)
            if units is None:
                return None
            parts += units
        elif isinstance(part, cst.FormattedStringExpression):
            if part.equal is not None:
                return None
            spec = f"!{part.conversion}" if part.conversion else ""
            if part.format_spec is not None:
                if any(not isinstance(piece, cst.FormattedStringText) for piece in part.format_spec):
                    return None
                spec += ":" + "".join(piece.value for piece in part.format_spec if isinstance(piece, cst.FormattedStringText))
            parts.append(_hole(code, part.expression, _without_noise(spec)))
    start, end = code.span(node)
    opening = re.sub("[fF]", "", node.start)
    return Template(tuple(parts), (Token(start, end, opening, node.end),))


def _hole(code: Code, node: cst.BaseExpression, spec: str = "", *, textual: bool = False) -> Hole:
    """A hole for an expression; parentheses around it stay only where they are needed."""
    bare = isinstance(node, cst.Name | cst.Attribute | cst.Subscript | cst.Call | cst.BaseString | cst.BaseNumber)
    return Hole(code.inner(node) if bare else code.text(node), 0, spec, textual, code.span(node)[0])


def _without_noise(spec: str) -> str:
    """A conversion that changes nothing about a value's text is none."""
    return "" if spec in {":", "!s", ":s", "!s:s", ":d", ":n", ":i"} else spec


def _sum(code: Code, node: cst.BinaryOperation) -> Template | None:
    """A chain of `+`; every operand that is no literal must be text already, or Python would have refused."""
    operands: list[cst.BaseExpression] = []
    current: cst.BaseExpression = node
    while isinstance(current, cst.BinaryOperation) and isinstance(current.operator, cst.Add):
        operands.append(current.right)
        current = current.left
        if current.lpar:
            break
    operands.append(current)
    templates: list[Template] = []
    for operand in reversed(operands):
        template = read(code, operand)
        if template is None:
            template = operand_template(code, operand)
            if template is None:
                return None
        templates.append(template)
    whole = join(templates)
    return whole if whole.tokens else None


def operand_template(code: Code, node: cst.BaseExpression) -> Template | None:
    """A value that is added to a text, as a template of one hole; None for a text that we could not read."""
    if isinstance(node, cst.BaseString | cst.BinaryOperation):
        return None
    return Template((_operand(code, node),), (), (code.outer(node),))


def _operand(code: Code, node: cst.BaseExpression) -> Hole:
    """`str(x)` is x as text; everything else is text."""
    if isinstance(node, cst.Call) and code.callee(node) == "str" and len(node.args) == 1 and not node.args[0].star:
        inner = node.args[0].value
        return Hole(code.inner(inner), 0, "!s", False, code.span(inner)[0])
    return _hole(code, node, textual=True)


def _percent(code: Code, node: cst.BinaryOperation) -> Template | None:
    base = read(code, node.left)
    if base is None or base.holes:
        return None
    values, named = _percent_values(node.right)
    parts: list[Part] = []
    units = [part for part in base.parts if isinstance(part, Unit)]
    text = "".join(unit.char or "\u200b" for unit in units)
    at = used = 0
    while at < len(units):
        if units[at].char != "%":
            parts.append(units[at])
            at += 1
            continue
        match = _PERCENT.match(text, at)
        if match is None:
            return None
        if match["kind"] == "%":
            parts.append(Unit("%", "%", units[at].token))
        else:
            value = named.get(match["name"]) if match["name"] is not None else (values[used] if used < len(values) else None)
            used += match["name"] is None
            if value is None or match["flags"] or match["width"] or match["precision"] or match["kind"] not in "sdi":
                return None
            hole = _hole(code, value)
            parts.append(Hole(hole.code, units[at].token, "", False, hole.start))
        at = match.end()
    if (values and used != len(values)) or not any(isinstance(part, Hole) for part in parts):
        return None
    return Template(tuple(parts), base.tokens)


def _percent_values(node: cst.BaseExpression) -> tuple[list[cst.BaseExpression], dict[str, cst.BaseExpression]]:
    if isinstance(node, cst.Tuple):
        return [element.value for element in node.elements if isinstance(element, cst.Element)], {}
    if isinstance(node, cst.Dict):
        named = {string_value(e.key): e.value for e in node.elements if isinstance(e, cst.DictElement)}
        return [], {key: value for key, value in named.items() if key is not None}
    return [node], {}


def _format(code: Code, node: cst.Call) -> Template | None:
    if not isinstance(node.func, cst.Attribute) or node.func.attr.value != "format" or any(arg.star for arg in node.args):
        return None
    base = read(code, node.func.value)
    if base is None or base.holes:
        return None
    values = [arg.value for arg in node.args if arg.keyword is None]
    named = {arg.keyword.value: arg.value for arg in node.args if arg.keyword is not None}
    parts: list[Part] = []
    units = [part for part in base.parts if isinstance(part, Unit)]
    text = "".join(unit.char or "\u200b" for unit in units)
    at = used = 0
    while at < len(units):
        char = units[at].char
        if char not in "{}" or not char:
            parts.append(units[at])
            at += 1
        elif text[at : at + 2] in {"{{", "}}"}:
            parts.append(Unit(char, char, units[at].token))
            at += 2
        else:
            match = re.compile(r"\{(\w*)((?:![sra])?(?::[^{}]*)?)\}").match(text, at)
            if match is None:
                return None
            key = match[1] or str(used)
            used += not match[1]
            value = values[int(key)] if key.isdigit() and int(key) < len(values) else named.get(key)
            if value is None:
                return None
            hole = _hole(code, value, _without_noise(match[2]))
            parts.append(Hole(hole.code, units[at].token, hole.spec, False, hole.start))
            at = match.end()
    return Template(tuple(parts), base.tokens) if any(isinstance(part, Hole) for part in parts) else None


def combine(parts: tuple[str | Hole, ...], quote: str) -> str | None:
    """Source of a value from text and holes: the bare expression, or an f-string around it; None when it cannot be quoted."""
    if len(parts) == 1 and isinstance(parts[0], Hole):
        hole = parts[0]
        if not hole.spec:
            return hole.code
        if hole.spec == "!s":
            return f"str({hole.code})"
    if all(isinstance(part, str) for part in parts):
        return literal("".join(str(part) for part in parts), quote)
    codes = [part.code for part in parts if isinstance(part, Hole)]
    if any("\\" in expression or "\n" in expression for expression in codes):
        return None
    for mark in (quote, "'" if quote == '"' else '"'):
        if not any(mark in expression for expression in codes):
            return f"f{mark}" + "".join(_piece(part, mark) for part in parts) + mark
    body = "".join(
        _escape(part, quote).replace("{", "{{").replace("}", "}}") if isinstance(part, str) else "{" + part.spec + "}" for part in parts
    )
    return f"{quote}{body}{quote}.format({', '.join(codes)})"


def _piece(part: str | Hole, mark: str) -> str:
    if isinstance(part, str):
        return _escape(part, mark).replace("{", "{{").replace("}", "}}")
    spec = "" if part.spec == "!s" else part.spec
    space = " " if part.code.startswith("{") else ""
    return "{" + space + part.code + spec + "}"


def _escape(text: str, mark: str) -> str:
    out = text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in out)


def literal(text: str, quote: str) -> str:
    """A string literal; the other quote when that saves an escape."""
    other = "'" if quote == '"' else '"'
    mark = other if quote in text and other not in text else quote
    return mark + _escape(text, mark) + mark


def quote_style(code: Code) -> str:
    """The quote that the file uses more often."""
    plain = [node.quote for node in code.all(cst.SimpleString) if len(node.quote) == 1]
    plain += [node.end for node in code.all(cst.FormattedString) if len(node.end) == 1]
    return "'" if plain.count("'") > plain.count('"') else '"'
