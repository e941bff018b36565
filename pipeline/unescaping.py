"""A text as it would be read: what is escaped for HTML, URLs, JSON or Markdown is spelled out, what nobody sees is left out.

Each form knows where its parts stood, so that what is found in it can be found in the text itself.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from dataclasses import dataclass

_UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+")
_ESCAPED = re.compile(
    r"(?P<entity>&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)"
    r"|(?P<url>(?:%[0-9a-fA-F]{2})+)"
    r"|(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<code>\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2})"
    r"|(?P<control>\\[nrtbf0])"
    r"|(?P<symbol>\\[^\w\s])"
    r"|(?P<unseen>" + _UNSEEN.pattern + ")"
)
_ROUNDS = 3
"""So deep may a value be escaped: JSON in a URL in HTML."""


@dataclass(frozen=True, slots=True)
class Unescaped:
    """A text without escapes, and where each part of it stood."""

    text: str
    starts: tuple[int, ...] = (0,)
    """Where parts begin in `text`, in order."""
    origins: tuple[int, ...] = (0,)
    """Where the same parts begin in the text before."""
    lengths: tuple[int, ...] = (0,)
    """Characters of an escape there; 0 for a part that is as it was."""

    def origin(self, begin: int, end: int) -> tuple[int, int]:
        """The part of the text before that `text[begin:end]` comes from."""
        return self._at(begin)[0], self._at(end - 1)[1]

    def _at(self, index: int) -> tuple[int, int]:
        part = bisect_right(self.starts, index) - 1
        if self.lengths[part]:
            return self.origins[part], self.origins[part] + self.lengths[part]
        where = self.origins[part] + index - self.starts[part]
        return where, where + 1


def _spoken(found: re.Match[str]) -> str:
    said = found[0]
    match found.lastgroup:
        case "entity":
            return _UNSEEN.sub("", html.unescape(said))
        case "url":
            return bytes.fromhex(said.replace("%", "")).decode("utf-8", "surrogateescape")
        case "pair":
            return bytes.fromhex(said.replace("\\u", "")).decode("utf-16-be", "replace")
        case "code":
            return _UNSEEN.sub("", chr(int(said[2:], 16)))
        case "control":
            return " "
        case "symbol":
            return said[1]
        case _:
            return ""


def _unescape(text: str) -> Unescaped | None:
    """One round; None when nothing in it is escaped."""
    parts, starts, origins, lengths = [], [], [], []
    length = done = 0
    for found in _ESCAPED.finditer(text):
        spoken = _spoken(found)
        if spoken == found[0]:
            continue
        for part, origin, escape in ((text[done : found.start()], done, 0), (spoken, found.start(), len(found[0]))):
            if part:
                parts.append(part)
                starts.append(length)
                origins.append(origin)
                lengths.append(escape)
                length += len(part)
        done = found.end()
    if not done:
        return None
    parts.append(text[done:])
    return Unescaped("".join(parts), (*starts, length), (*origins, done), (*lengths, 0))


def rounds_of(text: str) -> list[Unescaped]:
    """The text, and what it says when its escapes are undone once, twice, ..."""
    found = [Unescaped(text)]
    while len(found) <= _ROUNDS and (spoken := _unescape(found[-1].text)) is not None:
        found.append(spoken)
    return found
