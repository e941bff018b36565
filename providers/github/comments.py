"""Comments in the conversation of a pull request: the sticky ones, answers to commands, the reaction that says "seen".

Sources: docs REST "Issue comments", "Create a reply for a review comment", "Reactions"; GraphQL `minimizeComment`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pydantic import Field

from pipeline.errors import HostError, HostForbidden, HostNotFound, HostRejected
from pipeline.markers import MARK_ROOM, MarkKind, marked, same_text
from pipeline.model.event import CommentRef
from pipeline.model.target import PullRequestRef
from pipeline.ports import Capabilities
from providers.github.api import Api, cut, repository_path
from providers.github.auth import SPEAK
from providers.github.client import Answer, Nothing
from providers.github.markers import Comment, is_about

log = logging.getLogger(__name__)

NOTHING_OPEN = "Nothing is open here any more."
"""Stands in a comment that could not be minimized."""

_ISMINIMIZED = "query($id: ID!) { node(id: $id) { ... on IssueComment { isMinimized } } }"
MINIMIZE = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: RESOLVED}) { minimizedComment { isMinimized } } }"
UNMINIMIZE = "mutation($id: ID!) { unminimizeComment(input: {subjectId: $id}) { unminimizedComment { isMinimized } } }"


class _Minimized(Answer):
    is_minimized: bool = Field(default=False, alias="isMinimized")


class _Node(Answer):
    node: _Minimized | None = None


def ensure_comment(api: Api, ref: PullRequestRef, topic: str, body: str, limits: Capabilities) -> None:
    """See `pipeline.ports.CodeHost.ensure_comment`."""
    ours = _ours(api, ref, _conversation(ref), "comment", topic)
    if not ours:
        if body:
            api.send(ref.repository, SPEAK, "POST", _conversation(ref), {"body": _text("comment", topic, body, limits)}, Comment)
        return
    oldest = ours[0]
    for newer in ours[1:]:  # two answers of one lost request
        api.send(ref.repository, SPEAK, "DELETE", _one_comment(ref, newer), {}, Nothing)
    if body:
        _edit(api, ref, _one_comment(ref, oldest), oldest, _text("comment", topic, body, limits))
    try:
        _minimize(api, ref, oldest, wanted=not body)
    except (HostForbidden, HostNotFound, HostRejected) as exc:
        log.warning("github.comment_not_minimized", extra={"number": ref.number, "code": exc.code})
        if not body:
            _edit(api, ref, _one_comment(ref, oldest), oldest, _text("comment", topic, NOTHING_OPEN, limits))


def ensure_reply(api: Api, comment: CommentRef, topic: str, body: str, limits: Capabilities) -> None:
    """See `pipeline.ports.CodeHost.ensure_reply`. In the conversation, which has no threads, it is a comment of its own."""
    ref = comment.pull_request
    key = f"{comment.id}:{topic}"
    text = _text("reply", key, body, limits)
    if comment.in_thread:
        root = comment.thread or comment.id
        listing = repository_path(ref.repository, "pulls", ref.number, "comments")
        create = repository_path(ref.repository, "pulls", ref.number, "comments", root, "replies")
    else:
        listing = create = _conversation(ref)
    ours = _ours(api, ref, listing, "reply", key)
    if not ours:
        api.send(ref.repository, SPEAK, "POST", create, {"body": text}, Comment)
        return
    place = "pulls" if comment.in_thread else "issues"
    _edit(api, ref, repository_path(ref.repository, place, "comments", ours[0].id), ours[0], text)


def acknowledge(api: Api, comment: CommentRef) -> None:
    """Put eyes under a comment; the same reaction twice is one. What goes wrong is only logged."""
    place = "pulls" if comment.in_thread else "issues"
    repository = comment.pull_request.repository
    try:
        api.send(
            repository, SPEAK, "POST", repository_path(repository, place, "comments", comment.id, "reactions"), {"content": "eyes"}, Nothing
        )
    except HostError as exc:
        log.info("github.not_acknowledged", extra={"comment": comment.id, "code": exc.code})


def _ours(api: Api, ref: PullRequestRef, listing: str, kind: MarkKind, key: str) -> Sequence[Comment]:
    """Comments of our App with that mark, oldest first."""
    bot = api.bot_login()
    comments = api.pages(ref.repository, SPEAK, f"{listing}?per_page=100", Comment)
    return sorted((comment for comment in comments if is_about(comment, kind, key, bot=bot)), key=lambda comment: comment.id)


def _edit(api: Api, ref: PullRequestRef, address: str, comment: Comment, text: str) -> None:
    if not same_text(comment.body, text):
        api.send(ref.repository, SPEAK, "PATCH", address, {"body": text}, Nothing)


def _minimize(api: Api, ref: PullRequestRef, comment: Comment, *, wanted: bool) -> None:
    """Fold the comment away as resolved, or unfold it; asked first, because an edit of its state can notify."""
    node = api.graphql(ref.repository, SPEAK, _ISMINIMIZED, {"id": comment.node_id}, _Node).node
    if node is not None and node.is_minimized != wanted:
        api.graphql(ref.repository, SPEAK, MINIMIZE if wanted else UNMINIMIZE, {"id": comment.node_id}, Nothing)


def _conversation(ref: PullRequestRef) -> str:
    return repository_path(ref.repository, "issues", ref.number, "comments")


def _one_comment(ref: PullRequestRef, comment: Comment) -> str:
    return repository_path(ref.repository, "issues", "comments", comment.id)


def _text(kind: MarkKind, key: str, body: str, limits: Capabilities) -> str:
    return marked(kind, key, cut(body, limits.max_body - MARK_ROOM))
