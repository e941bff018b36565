"""Code without the remarks at the ends of its lines: what somebody wrote beside a weakness changes nothing about it. Pure.

Made to err on one side only: what is not surely a remark stays, so that two pieces of code that differ never become equal.
"""

from __future__ import annotations

import re

_HASH = re.compile(r"\.(py|pyi|rb|sh|bash|ya?ml|toml|tf|r|pl)$|(^|/)(Dockerfile|Makefile)[^/]*$")
_SLASHES = re.compile(r"\.([cm]?[jt]sx?|java|kts?|go|cs|scala|swift|rs|cc|cpp|cxx|c|h|hpp)$")
_QUOTES = "\"'`"
_PLAIN = re.compile(r"[\w\s.,:;!?/#@\[\]-]*")
"""Words. Inside of a longer string, where it would be no remark at all, such text can insert and call nothing."""


def without_remarks(path: str, text: str) -> str:
    """`text`, lines of the file `path`, with runs of blanks as one and without remarks that go to the end of a line.

    Text with strings of several lines is left as it is, as is every line whose quotes do not pair up before a possible remark, or in
    which a slash stands there that could begin a regular expression; and a remark of more than words stays.
    """
    mark = "#" if _HASH.search(path) else "//" if _SLASHES.search(path) else ""
    if mark and '"""' not in text and "'''" not in text and not _open_quote(text):
        text = "\n".join(_code(line, mark) for line in text.split("\n"))
    return " ".join(text.split())


def _open_quote(text: str) -> bool:
    """True when some line ends inside of quotes: then a line's beginning does not tell what it is."""
    return any(_scan(line, "")[1] for line in text.split("\n"))


def _code(line: str, mark: str) -> str:
    end, _ = _scan(line, mark)
    if end == len(line) or (end and not line[end - 1].isspace()) or (mark == "//" and "/" in line[:end]):
        return line
    if not _PLAIN.fullmatch(line[end:]):
        return line
    return line[:end]


def _scan(line: str, mark: str) -> tuple[int, str]:
    """Where `mark` first stands outside of quotes (else the end of the line), and the quote that is open there."""
    quote, at = "", 0
    while at < len(line):
        char = line[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif mark and line.startswith(mark, at):
            return at, ""
        elif char in _QUOTES:
            quote = char
        at += 1
    return len(line), quote
