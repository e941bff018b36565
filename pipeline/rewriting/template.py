"""A string that a program builds, as text with holes, so that the same reading of SQL or of a shell serves every language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Unit:
    """One character of a literal. `raw` is how it is written in a literal without interpolation (`\\n`, `{` for `{{`)."""

    char: str
    raw: str
    token: int
    at: int = -1
    """Where it is written in the file."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A value that is put into the text while the program runs."""

    code: str
    """Its expression, as it stands in the source."""
    token: int
    """The literal that it stands in, or the last one before it."""
    spec: str = ""
    """Conversion and format (`!r`, `:>10`); empty when the plain value is meant."""
    textual: bool = False
    """True when the language would refuse anything but text here (`"a" + x` in Python)."""
    start: int = -1
    """Offset of the expression in the file, or -1."""


Part = Unit | Hole


@dataclass(frozen=True, slots=True)
class Token:
    """One string literal of the source: where it lies and its delimiters without the mark of interpolation."""

    start: int
    end: int
    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class Template:
    """The whole string. `gaps` are the places of operands between the literals (`"a" + x + "b"`), as offsets."""

    parts: tuple[Part, ...]
    tokens: tuple[Token, ...]
    gaps: tuple[tuple[int, int], ...] = field(default=())

    @property
    def holes(self) -> tuple[Hole, ...]:
        """All holes, in order."""
        return tuple(part for part in self.parts if isinstance(part, Hole))

    @property
    def text(self) -> str:
        """The literal characters, a hole shown as U+FFFC."""
        return "".join(part.char if isinstance(part, Unit) else "\ufffc" for part in self.parts)


def join(templates: Sequence[Template]) -> Template:
    """One template after another, tokens renumbered."""
    parts: list[Part] = []
    tokens: list[Token] = []
    gaps: list[tuple[int, int]] = []
    for template in templates:
        shift = len(tokens)
        for part in template.parts:
            if isinstance(part, Unit):
                parts.append(Unit(part.char, part.raw, part.token + shift, part.at))
            else:
                token = part.token + shift if template.tokens else max(shift - 1, 0)
                parts.append(Hole(part.code, token, part.spec, part.textual, part.start))
        tokens += template.tokens
        gaps += template.gaps
    return Template(tuple(parts), tuple(tokens), tuple(gaps))


def render(data: bytes, template: Template, bodies: Mapping[int, str], tokens: Sequence[int]) -> str:
    """Source of the literals `tokens` (indices, in order) with new bodies.

    Literals that became empty go; what stood on one line becomes one literal; line breaks between literals stay as they are.
    """
    kept = [index for index in tokens if bodies.get(index)] or list(tokens[:1])
    items = sorted([(t.start, t.end) for t in template.tokens] + list(template.gaps))
    out = ""
    last = -1
    opening = closing = body = ""
    for index in kept:
        token, text = template.tokens[index], bodies.get(index, "")
        if last < 0:
            opening, closing, body = token.opening, token.closing, text
        elif b"\n" not in data[template.tokens[last].end : token.start] and _joins(opening, closing, token, text):
            body += text
        else:
            before = max((end for start, end in items if start < token.start), default=token.start)
            between = data[before : token.start].decode()
            out += opening + body + closing + (between if between.strip(" \t") else " + ")
            opening, closing, body = token.opening, token.closing, text
        last = index
    return out + opening + body + closing


def _joins(opening: str, closing: str, token: Token, text: str) -> bool:
    """True when `text` means the same between these delimiters as between its own."""
    if (opening, closing) == (token.opening, token.closing):
        return True
    plain = len(closing) == 1 and opening == closing and len(token.closing) == 1 and token.opening == token.closing
    return plain and not any(mark in text for mark in "\"'`\\$")
