"""Hidden marks by which we find our own comments again. They only count in what we wrote ourselves: anybody can write one."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

MarkKind = Literal["thread", "comment", "reply"]
_MARK = re.compile(r"<!-- fixwright:(thread|comment|reply):v1:(\S{1,300}) -->\s*\Z")

MARK_ROOM = 400
"""Bytes of a body that are kept free for the mark."""

GONE = "<!-- fixwright:gone -->"
"""Stands before what is said of a finding that is gone, so that it is said once and can be taken away."""


def marked(kind: MarkKind, key: str, body: str) -> str:
    """`body` with the mark at its very end. `key` is encoded, so that it cannot end the mark."""
    return f"{body.rstrip()}\n\n<!-- fixwright:{kind}:v1:{encoded(key)} -->"


def mark_in(body: str | None, kind: MarkKind) -> str | None:
    """Encoded key of the mark of that kind at the end of a text; None when there is none. Whose text it is, the caller asks first."""
    match = _MARK.search((body or "")[-500:])
    return match.group(2) if match and match.group(1) == kind else None


def unmarked(body: str | None) -> str:
    """A text of ours without its mark."""
    return _MARK.sub("", (body or "").replace("\r\n", "\n")).rstrip()


def same_text(one: str | None, other: str) -> bool:
    """True when two bodies differ at most in what hosts change on their own: line ends and blanks at the end."""
    return (one or "").replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


def encoded(key: str) -> str:
    """A key as it stands in a mark."""
    return quote(key, safe=":._").replace("--", "-%2D")
