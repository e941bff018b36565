"""GitHub's comments, and which of them are ours: ours by author and by mark together (`pipeline.markers`)."""

from __future__ import annotations

from pydantic import Field

from pipeline.markers import MarkKind, encoded, mark_in
from providers.github.client import Answer


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


def is_about(comment: Comment, kind: MarkKind, key: str, *, bot: str) -> bool:
    """True when `comment` is ours and carries this mark."""
    return mark_of(comment, kind, bot=bot) == encoded(key)


def mark_of(comment: Comment, kind: MarkKind, *, bot: str) -> str | None:
    """Encoded key of the mark of that kind; None when there is none or somebody else wrote the comment."""
    if comment.user is None or comment.user.login.lower() != bot.lower():
        return None
    if (comment.user.type == "Bot") != bot.endswith("[bot]"):
        return None  # a person's token makes us that person; no person has brackets in the name
    return mark_in(comment.body, kind)
