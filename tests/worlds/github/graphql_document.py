"""A small reader of GraphQL documents: one operation, selections, aliases, arguments, variables, inline fragments.

Source: GraphQL specification, October 2021, section 2. Named fragments and directives are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'[\s,]*(?:#[^\n]*)?(?P<token>\.\.\.|[{}()\[\]:!=$@|]|[_A-Za-z]\w*|-?\d+(?:\.\d+)?|"(?:[^"\\\n]|\\.)*"|$)')


class Unreadable(Exception):
    """The document is no GraphQL that this reader knows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One field. `on`: only for objects of that type."""

    name: str
    alias: str
    arguments: Mapping[str, Any]
    children: tuple[Selection, ...]
    on: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One operation."""

    kind: str
    """`query` or `mutation`."""
    selections: tuple[Selection, ...]


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = list(self._split(text))
        self._at = 0
        self._variables = dict(variables)

    def _split(self, text: str) -> list[str]:
        tokens, position = [], 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.end() == position:
                raise Unreadable(f"Parse error on {text[position : position + 10]!r}")
            position = found.end()
            if found["token"]:
                tokens.append(found["token"])
        return tokens

    @property
    def token(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.token
        if not token or (wanted and token != wanted):
            raise Unreadable(f"Parse error on {token!r}, expected {wanted or 'more'!r}")
        self._at += 1
        return token

    def document(self) -> Document:
        kind = "query"
        if self.token != "{":
            kind = self.take()
            if self.token not in ("{", "("):
                self.take()
            if self.token == "(":
                self._variable_definitions()
        selections = self.selections()
        if self.token:
            raise Unreadable(f"Parse error on {self.token!r}")
        return Document(kind, selections)

    def _variable_definitions(self) -> None:
        self.take("(")
        while self.token != ")":
            self.take("$")
            name = self.take()
            self.take(":")
            needed = self._type()
            if self.token == "=":
                self.take()
                self._variables.setdefault(name, self.value())
            if needed and self._variables.get(name) is None:
                raise Unreadable(f"Variable ${name} of type {needed} was provided invalid value")
            self._variables.setdefault(name, None)
        self.take(")")

    def _type(self) -> str:
        """The type's name when it must not be null."""
        if self.token == "[":
            self.take()
            self._type()
            name = "list"
            self.take("]")
        else:
            name = self.take()
        if self.token == "!":
            self.take()
            return name + "!"
        return ""

    def selections(self) -> tuple[Selection, ...]:
        self.take("{")
        found: list[Selection] = []
        while self.token != "}":
            if self.token == "...":
                self.take()
                self.take("on")
                kind = self.take()
                found += [Selection(s.name, s.alias, s.arguments, s.children, kind) for s in self.selections()]
            else:
                found.append(self._field())
        self.take("}")
        return tuple(found)

    def _field(self) -> Selection:
        name = alias = self.take()
        if self.token == ":":
            self.take()
            name = self.take()
        arguments: dict[str, Any] = {}
        if self.token == "(":
            self.take()
            while self.token != ")":
                key = self.take()
                self.take(":")
                arguments[key] = self.value()
            self.take(")")
        return Selection(name, alias, arguments, self.selections() if self.token == "{" else ())

    def value(self) -> Any:
        token = self.take()
        if token == "$":
            name = self.take()
            if name not in self._variables:
                raise Unreadable(f"Variable ${name} is used but not declared")
            return self._variables[name]
        if token == "{":
            made: dict[str, Any] = {}
            while self.token != "}":
                key = self.take()
                self.take(":")
                made[key] = self.value()
            self.take("}")
            return made
        if token == "[":
            items = []
            while self.token != "]":
                items.append(self.value())
            self.take("]")
            return items
        if token[0] == '"' or token[0] == "-" or token[0].isdigit() or token in ("true", "false", "null"):
            return json.loads(token)
        return token  # an enum value


def read(text: str, variables: Mapping[str, Any]) -> Document:
    """Parse a document and put its variables in. Raises Unreadable."""
    return _Reader(text, variables).document()
