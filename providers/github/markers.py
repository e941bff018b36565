"""Hidden marks by which we find our own comments again. They only count in what we wrote ourselves: anybody can write one."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from providers.github.client import Answer

Kind = Literal["thread", "comment", "reply"]
_MARK = re.compile(r"<!-- fixwright:(thread|comment|reply):v1:(\S{1,300}) -->\s*\Z")


GONE = "<!-- fixwright:gone -->"
"""Stands before what is said of a finding that is gone, so that it is said once and can be taken away."""


class Author(Answer):
    """`user` of a comment; null when the account was deleted."""

    id: int = 0
    login: str = ""
    type: str = ""


class Comment(Answer):
    """A comment of either kind, as the REST API shows it."""

    id: int
    node_id: str = ""
    body: str | None = ""
    user: Author | None = Field(default=None)
    in_reply_to_id: int | None = None
    line: int | None = None
    original_line: int | None = None
    subject_type: str = "line"

    @property
    def is_nowhere(self) -> bool:
        """True for a review comment just made that GitHub shows on no line (one that is outdated has its first line still)."""
        said = "line" in self.model_fields_set  # an old enterprise server may leave it out
        return said and self.subject_type == "line" and self.line is None and self.original_line is None


def marked(kind: Kind, key: str, body: str) -> str:
    """`body` with the mark at its very end. `key` is encoded, so that it cannot end the mark."""
    return f"{body.rstrip()}\n\n<!-- fixwright:{kind}:v1:{_encoded(key)} -->"


def is_about(comment: Comment, kind: Kind, key: str, *, bot: str) -> bool:
    """True when `comment` is ours and carries this mark."""
    return mark_of(comment, kind, bot=bot) == _encoded(key)


def mark_of(comment: Comment, kind: Kind, *, bot: str) -> str | None:
    """Encoded key of the mark of that kind; None when there is none or somebody else wrote the comment."""
    if comment.user is None or comment.user.login.lower() != bot.lower():
        return None
    if (comment.user.type == "Bot") != bot.endswith("[bot]"):
        return None  # a person's token makes us that person; no person has brackets in the name
    match = _MARK.search((comment.body or "")[-500:])
    return match.group(2) if match and match.group(1) == kind else None


def unmarked(body: str | None) -> str:
    """A text of ours without its mark."""
    return _MARK.sub("", (body or "").replace("\r\n", "\n")).rstrip()


def same_text(one: str | None, other: str) -> bool:
    """True when two bodies differ at most in what GitHub changes on its own: line ends and blanks at the end."""
    return (one or "").replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


def _encoded(key: str) -> str:
    return quote(key, safe=":._").replace("--", "-%2D")
