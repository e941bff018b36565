"""Which holes in an SQL text are values, so that they can be bound as parameters, and which are not.

Only what is certain is bound: names of tables and columns, keywords, sort orders and fragments cannot be parameters in any database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.rewriting.template import Hole, Part, Unit


class Style(StrEnum):
    """How a driver writes a parameter in the text (PEP 249 `paramstyle`, and PostgreSQL's own `$1`)."""

    QMARK = "?"
    FORMAT = "%s"
    DOLLAR = "$"
    NAMED = ":"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the databases behind a driver."""

    style: Style
    double_quotes: bool = False
    """True when "x" can be a string (MySQL; SQLite when no column has that name)."""
    binds_limit: bool = True
    """False when LIMIT takes only a number and the driver sends text as text (MySQL)."""
    strict_types: bool = False
    """True when the driver refuses text where the column is a number (asyncpg)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A parameter: one hole, or a quoted text with holes that becomes one value."""

    parts: tuple[str | Hole, ...]
    token: int
    quoted: bool

    @property
    def single(self) -> Hole | None:
        """The hole, when the parameter is nothing but it."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only if isinstance(only, Hole) else None


@dataclass(frozen=True, slots=True)
class Existing:
    """A placeholder that the text has already."""

    raw: str
    token: int


Piece = Unit | Bound | Existing

_VERBS = frozenset({"select", "insert", "update", "delete", "replace", "with", "merge", "values", "call", "("})
_OPERATORS = frozenset({"=", "<", ">", "<=", ">=", "<>", "!=", "==", "||", "+", "-", "->", "->>", "@>", "~", "~*"})
_BEFORE_VALUE = _OPERATORS | {"like", "ilike", "glob", "regexp", "rlike", "between", "then", "else", "is", "against", "match"}
# fmt: off
_NOT_BEFORE_TEXT = frozenset({
    "as", "from", "into", "update", "join", "table", "interval", "date", "time", "timestamp", "by", "collate", "charset", "select",
    "where", "having", "distinct", "database", "schema",
})
# fmt: on
_FRAGMENT = re.compile(
    r"(?i)(?:^|_)(?:col|cols|column|columns|field|fields|table|tables|order|sort|dir|direction|where|clause|clauses|cond|condition|"
    r"conditions|sql|query|subquery|fragment|expr|expression|filter|filters|placeholders|ids|values|params|schema)$"
)
_WORD = re.compile(r"[A-Za-z0-9_]")


def plan(parts: Sequence[Part], dialect: Dialect, *, bound_already: bool, fragment: bool = False) -> list[Piece] | None:
    """The text with each hole replaced by a parameter, or None when one of them is no value, or is not certain to be one.

    Args:
        bound_already: True when the call passes parameters already, so that placeholders in the text are real.
        fragment: True when the text is a condition that stands in a larger statement.
    """
    return _Reader(parts, dialect, bound_already).read(fragment=fragment)


class _Reader:
    """Reads SQL once from left to right and knows what stood before."""

    def __init__(self, parts: Sequence[Part], dialect: Dialect, bound_already: bool) -> None:
        self.parts = parts
        self.dialect = dialect
        self.bound_already = bound_already
        self.out: list[Piece] = []
        self.words: list[str] = []
        self.parens: list[tuple[str, bool]] = []
        """For each open parenthesis: the word before it, and whether it has a comma so far."""
        self.at = 0

    def read(self, *, fragment: bool) -> list[Piece] | None:
        while self.at < len(self.parts):
            part = self.parts[self.at]
            done = self._hole(part) if isinstance(part, Hole) else self._unit(part)
            if not done:
                return None
        if not fragment and (not self.words or self.words[0] not in _VERBS):
            return None
        return self.out

    # --- looking around ---------------------------------------------------------------------------------------------------------------

    def _char(self, offset: int) -> str:
        """The literal character `offset` parts from here, "" at the end or where a hole stands."""
        index = self.at + offset
        part = self.parts[index] if 0 <= index < len(self.parts) else None
        return part.char if isinstance(part, Unit) else ""

    @property
    def _before(self) -> str:
        return self.words[-1] if self.words else ""

    def _emit(self, count: int = 1) -> None:
        for part in self.parts[self.at : self.at + count]:
            if isinstance(part, Unit):
                self.out.append(self._escaped(part))
        self.at += count

    def _escaped(self, unit: Unit) -> Unit:
        """Drivers with `%s` read every `%` once parameters are passed."""
        if self.dialect.style is Style.FORMAT and unit.char == "%" and not self.bound_already:
            return Unit(unit.char, "%%", unit.token)
        return unit

    # --- one step ---------------------------------------------------------------------------------------------------------------------

    def _unit(self, unit: Unit) -> bool:
        char, following = unit.char, self._char(1)
        if char in "'\"`":
            return self._quoted(unit, char)
        if (char == "-" and following == "-") or (char == "/" and following == "*"):
            return self._comment("\n" if char == "-" else "*/")
        if char == "$" and following == "$":
            return False
        if char == ";":
            rest = [p for p in self.parts[self.at + 1 :] if isinstance(p, Hole) or p.char.strip()]
            self._emit()
            return not rest
        if (found := self._placeholder()) is not None:
            return found
        if _WORD.match(char):
            return self._word()
        if char == "(":
            self.parens.append((self._before, False))
        elif char == ")":
            if not self.parens:
                return False
            self.parens.pop()
        elif char == "," and self.parens:
            self.parens[-1] = (self.parens[-1][0], True)
        if char.strip():
            double = char + following
            if double in _OPERATORS:
                triple = double + self._char(2)
                self.words.append(triple if triple in _OPERATORS else double)
                self._emit(3 if triple in _OPERATORS else 2)
                return True
            self.words.append(char)
        self._emit()
        return True

    def _word(self) -> bool:
        length = 0
        while _WORD.match(self._char(length) or " "):
            length += 1
        word = "".join(self._char(n) for n in range(length)).lower()
        self.words.append(word)
        self._emit(length)
        glued = self.at < len(self.parts) and isinstance(self.parts[self.at], Hole)
        return not glued

    def _placeholder(self) -> bool | None:
        """None when no placeholder starts here; else whether it can be lived with."""
        unit = self.parts[self.at]
        assert isinstance(unit, Unit)  # noqa: S101 - the caller looked
        style, char, following = self.dialect.style, unit.char, self._char(1)
        length = 0
        if style is Style.QMARK and char == "?":
            length = 1
        elif style is Style.FORMAT and char == "%" and following == "s":
            length = 2
        elif style is Style.FORMAT and char == "%" and following == "(" and self.bound_already:
            return False
        elif (style is Style.DOLLAR and char == "$" and following.isdigit()) or (
            style is Style.NAMED and char == ":" and (following.isalpha() or following == "_") and self._char(-1) != ":"
        ):
            length = 2
            while _WORD.match(self._char(length) or " "):
                length += 1
        if not length:
            return None
        if not self.bound_already:
            return False
        raw = "".join(p.raw for p in self.parts[self.at : self.at + length] if isinstance(p, Unit))
        self.out.append(Existing(raw, unit.token))
        self.words.append("?")
        self.at += length
        return True

    def _comment(self, end: str) -> bool:
        while self.at < len(self.parts):
            if isinstance(self.parts[self.at], Hole):
                return False
            if "".join(self._char(n) for n in range(len(end))) == end:
                self._emit(len(end))
                return True
            self._emit()
        return True

    # --- values -----------------------------------------------------------------------------------------------------------------------

    def _quoted(self, unit: Unit, quote: str) -> bool:
        inner: list[Part] = []
        position = self.at + 1
        while True:
            if position >= len(self.parts):
                return False
            part = self.parts[position]
            if isinstance(part, Unit) and part.char == quote:
                following = self.parts[position + 1] if position + 1 < len(self.parts) else None
                if not (isinstance(following, Unit) and following.char == quote):
                    break
                inner.append(part)
                position += 2
                continue
            inner.append(part)
            position += 1
        holes = [part for part in inner if isinstance(part, Hole)]
        if not holes:
            self.words.append("'")
            self._emit(position + 1 - self.at)
            return True
        if not self._takes_text(quote) or any(isinstance(p, Unit) and p.char == "\\" for p in inner):
            return False
        after = self.parts[position + 1] if position + 1 < len(self.parts) else None
        if isinstance(after, Hole) or _WORD.match(self._char(-1) or " "):
            return False
        self.out.append(Bound(self._value(inner), unit.token, quoted=True))
        self.words.append("?")
        self.at = position + 1
        return True

    def _takes_text(self, quote: str) -> bool:
        if quote == "`" or (quote == '"' and not self.dialect.double_quotes):
            return False
        before = self._before
        if quote == '"' and before not in _BEFORE_VALUE | {"(", ","}:
            return False
        return before not in _NOT_BEFORE_TEXT and not (before in {"(", ","} and self._names_columns()) and before != "."

    def _names_columns(self) -> bool:
        """True in the list of columns of an INSERT: `INTO users (name, ...`."""
        opener = self.parens[-1][0] if self.parens else ""
        return not opener or (len(self.parens) == 1 and "into" in self.words and "values" not in self.words and "select" not in self.words)

    def _value(self, inner: Sequence[Part]) -> tuple[str | Hole, ...]:
        pieces: list[str | Hole] = []
        for part in inner:
            if isinstance(part, Unit) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += part.char
            else:
                pieces.append(part.char if isinstance(part, Unit) else part)
        if self.bound_already and self.dialect.style is Style.FORMAT:
            pieces = [piece.replace("%%", "%") if isinstance(piece, str) else piece for piece in pieces]
        return tuple(piece for piece in pieces if piece != "")

    def _hole(self, hole: Hole) -> bool:
        following = self.parts[self.at + 1] if self.at + 1 < len(self.parts) else None
        if isinstance(following, Hole) or (isinstance(following, Unit) and re.match(r"[\w.(\[\"'`:]", following.char)):
            return False
        previous = self._char(-1)
        name = re.sub(r"[^\w]+$", "", re.sub(r"\(.*", "", hole.code[:200]))
        name = re.split(r"[.\[\"']+", name)[-1] if name else ""
        sure = re.match(r"(?:int|float|Number|parseInt)\(", hole.code[:200]) is not None
        if re.match(r"[\w.\"'`]", previous or " ") or (_FRAGMENT.search(name) and not sure) or not self._takes_value(sure):
            return False
        if self.dialect.strict_types and not sure:
            return False
        self.out.append(Bound((hole,), hole.token, quoted=False))
        self.words.append("?")
        self.at += 1
        return True

    def _takes_value(self, sure: bool) -> bool:
        before = self._before
        if before in _BEFORE_VALUE:
            return True
        if before in {"limit", "offset"}:
            return sure or self.dialect.binds_limit
        if before == "and":
            return "between" in self.words[-4:]
        if before in {"(", ","} and self.parens:
            opener, comma = self.parens[-1]
            values = opener in {"values", "in"} or (opener == "," and "values" in self.words)
            return values and (comma or sure or self._comma_follows())
        return False

    def _comma_follows(self) -> bool:
        index = self.at + 1
        while index < len(self.parts):
            part = self.parts[index]
            if isinstance(part, Unit) and part.char.strip():
                return part.char == ","
            index += 1
        return False
