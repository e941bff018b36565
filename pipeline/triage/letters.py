"""Bytes that an engine, a reviewer and an interpreter read in different ways: a patch adds none of them. Pure.

A carriage return ends a comment for Python and not for git; a line separator does for JavaScript; a zero-width or a turning character is
not seen; a letter of another alphabet makes another name of the same look; a coding line changes what all the other bytes mean.

Sources: Python's reference, 2.1.2 "Physical lines", 2.1.4 "Encoding declarations", 2.3 "Identifiers" (NFKC); ECMAScript, 12.3 "Line
terminators"; N. Boucher, R. Anderson, "Trojan Source" (2021).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.outline import Outline

_UNSEEN = re.compile("[^\t\n\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff]")
"""What may be one: everything but the plain letters of Latin, tab and the end of a line."""

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_PLAIN_CODINGS = frozenset([b"utf-8", b"utf8", b"utf_8", b"ascii", b"us-ascii"])
_LETTER = rb"(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])"
_ESCAPED_LETTER = re.compile(rb"\\(?:x" + _LETTER + rb"|u00" + _LETTER + rb"|u\{[0-9a-f]+\})", re.IGNORECASE)


def odd_letters(patch: Patch) -> list[str]:
    """What in the new contents of a patch is not what it looks like, one sentence each."""
    return [reason for edit in patch.edits if edit.after is not None for reason in _of(edit, edit.after)]


def _of(edit: FileEdit, after: bytes) -> list[str]:
    before = edit.before or b""
    if _text(after) is None:
        return [f"{edit.path} is no UTF-8 any more"] if _text(before) is not None else []
    reasons = []
    more = _unseen(_text(after) or "") - _unseen(_text(before) or "")
    for letter in sorted(more):
        reasons.append(f"{edit.path} gets a character that nobody sees or that ends a line for some (U+{ord(letter):04X})")
    if edit.path.endswith((".py", ".pyi", ".pyw")) and _codings(after) - _codings(before) - _PLAIN_CODINGS:
        reasons.append(f"{edit.path} gets a coding line: all its bytes mean something else")
    if Counter(_ESCAPED_LETTER.findall(after)) - Counter(_ESCAPED_LETTER.findall(before)):
        reasons.append(f"{edit.path} gets a text in which plain letters are written as numbers")
    return reasons


def _text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unseen(text: str) -> Counter[str]:
    # The end of a line as Windows writes it is none, wherever the whole file has it.
    text = text.replace("\r\n", "\n")
    return Counter(letter for letter in _UNSEEN.findall(text) if unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Co", "Zl", "Zp"))


def _codings(content: bytes) -> set[bytes]:
    found = [_CODING.match(line) for line in content.split(b"\n")[:2]]
    return {match[1].lower() for match in found if match}


def odd_names(before: Outline, after: Outline) -> list[str]:
    """Names in the code of a file that are new there and not written in plain letters."""
    new = _names(after) - _names(before)
    odd = sorted(name for name in new if not name.isascii() or "\\" in name)
    return [f"`{name.encode('unicode_escape').decode()[:60]}` is a name in letters that look like others" for name in odd]


def _names(side: Outline) -> set[str]:
    names = {definition.name for definition in side.definitions} | set(side.imported)
    for unit in side.units:
        names |= unit.loads | unit.roots | unit.binds | unit.parts | unit.written | unit.options.keys()
        names |= {part for call in unit.calls for part in (call.name, call.root)}
    return names
