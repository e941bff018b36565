"""Where in a script a place lies, as the shell sees it: what a variable must be dressed in there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Quoting = Literal["bare", "double", "single", "heredoc", "comment"]

_HEREDOC = re.compile(r"<<-?[ \t]*+(['\"]?)(\w++)\1")


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a script for `sh` or a shell like it."""

    quoting: Quoting
    opened: int
    """Where the quote around the place stands; -1 when there is none."""
    command: str
    """What stands before it in the same simple command."""


@dataclass(slots=True)
class _Walk:
    """The shell's state while a script is read. Source: POSIX.1-2024, Shell Command Language, 2.2, 2.3 and 2.7.4."""

    text: str
    stack: list[tuple[str, int, int]] = field(default_factory=lambda: [("bare", -1, 0)])
    """What is open: kind, where it was opened, where the command began that is read in it."""
    heredocs: list[tuple[str, bool, str]] = field(default_factory=list)
    """Those whose text comes behind this line: the word that ends it, whether it is quoted, and the line."""
    at: int = 0

    def until(self, end: int) -> Place | None:
        """Read up to `end`; None where a variable could not stand, or nothing is certain."""
        while self.at < end:
            kind = self.stack[-1][0]
            if self.text.startswith("${{", self.at):
                close = self.text.find("}}", self.at)
                self.at = close + 2 if close >= 0 else end
            elif kind == "single":
                self._close("'")
            elif self.text[self.at] == "\\":
                self.at += 2
            elif self.text[self.at] == "`":
                return None
            elif self.text[self.at] == "$":
                if not self._dollar(end):
                    return None
            elif kind == "double":
                self._close('"')
            else:
                place = self._bare(end)
                if place is not False:
                    return place
        if self.at > end:
            return None
        kind, opened, _ = self.stack[-1]
        inner = next((entry for entry in reversed(self.stack) if entry[0] == "bare"), self.stack[0])
        quoting: Quoting = "double" if kind == "double" else "single" if kind == "single" else "bare"
        return Place(quoting, opened if quoting != "bare" else -1, self.text[inner[2] : end])

    def _close(self, quote: str) -> None:
        if self.text[self.at] == quote:
            self.stack.pop()
        self.at += 1

    def _dollar(self, end: int) -> bool:
        if self.text.startswith("$((", self.at):
            return False
        if self.text.startswith("$(", self.at):
            self.stack.append(("bare", self.at, self.at + 2))
            self.at += 2
        elif self.text.startswith("${", self.at):
            close = self.text.find("}", self.at)
            self.at = close + 1
            return 0 <= close < end
        elif self.text.startswith("$'", self.at):
            return False
        else:
            self.at += 1
        return True

    def _bare(self, end: int) -> Place | Literal[False] | None:
        """One character outside of quotes; a place when `end` lies in what begins here."""
        char, begun = self.text[self.at], self.stack[-1]
        heredoc = _HEREDOC.match(self.text, self.at) if char == "<" and not self.text.startswith("<<<", self.at) else None
        if char in "'\"":
            self.stack.append(("single" if char == "'" else "double", self.at, begun[2]))
        elif char == "#" and (self.at == 0 or self.text[self.at - 1] in " \t\n;("):
            line = self.text.find("\n", self.at)
            if line < 0 or line >= end:
                return Place("comment", -1, "")
            self.at = line
            return False
        elif heredoc is not None:
            self.heredocs.append((heredoc[2], bool(heredoc[1]), self.text[begun[2] :].lstrip("\n").partition("\n")[0]))
            self.at = heredoc.end()
            return False
        elif self.text.startswith("<<<", self.at):
            self.at += 3
            return False
        elif char == "(":
            self.stack.append(("bare", self.at, self.at + 1))
        elif char == ")":
            if len(self.stack) > 1:
                self.stack.pop()
        elif char in ";|&\n":
            self.stack[-1] = (begun[0], begun[1], self.at + 1)
            if char == "\n" and self.heredocs:
                self.at += 1
                return self._documents(end)
        self.at += 1
        return False

    def _documents(self, end: int) -> Place | Literal[False] | None:
        """The texts behind a line with `<<`."""
        for name, quoted, line in self.heredocs:
            closing = re.compile(rf"(?m)^[ \t]*{name}[ \t]*$").search(self.text, self.at)
            if closing is None or end < closing.start():
                return None if quoted else Place("heredoc", -1, line)
            self.at = closing.end()
        self.heredocs.clear()
        begun = self.stack[-1]
        self.stack[-1] = (begun[0], begun[1], self.at)
        return False


def place(script: str, at: int) -> Place | None:
    """How the shell reads a place of a script.

    Args:
        script: as it stands in the file; `${{ ... }}` counts as one word.
        at: where an expression begins.

    Returns:
        None inside of a quoted here-document, arithmetic, backquotes or a parameter expansion.
    """
    return _Walk(script).until(at)
