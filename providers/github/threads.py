"""Review threads: a comment on a line of the diff, opened in one review, edited and resolved afterwards.

Sources: docs REST "Create a review for a pull request" (one bad anchor loses all: 422), "Update a review comment"; see
`providers.github.resolving` for the second.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pipeline.errors import HostRejected, HostUnavailable
from pipeline.markers import GONE, MARK_ROOM, marked, same_text, unmarked
from pipeline.model.ids import CommitId
from pipeline.model.report import Thread, ThreadRef
from pipeline.model.target import PullRequestRef
from pipeline.ports import Capabilities
from providers.github.api import Api, cut, repository_path
from providers.github.auth import SPEAK
from providers.github.client import Answer, Json, Nothing
from providers.github.diffs import ChangedFile, commentable
from providers.github.markers import Author, Comment, is_about, mark_of
from providers.github.resolving import resolve

log = logging.getLogger(__name__)


class _Review(Answer):
    id: int
    state: str = ""
    user: Author | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every step below needs."""

    api: Api
    ref: PullRequestRef
    head: CommitId
    introduction: str
    limits: Capabilities

    def path(self, *parts: str | int, **query: str | int) -> str:
        return repository_path(self.ref.repository, "pulls", self.ref.number, *parts, **query)

    def body(self, thread: Thread) -> str:
        return marked("thread", thread.fingerprint, cut(thread.body, self.limits.max_body - MARK_ROOM))


def ensure_threads(
    api: Api, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], introduction: str, limits: Capabilities
) -> Sequence[ThreadRef]:
    """See `pipeline.ports.CodeHost.ensure_threads`. The id of a thread is the number of its first comment."""
    if not threads:
        return ()
    desk = _Desk(api, ref, head, introduction, limits)
    existing = _existing(desk, threads)
    known = [thread for thread in threads if thread.fingerprint in existing]
    _edit(desk, known, existing)
    resolve(api, ref, known, {thread.fingerprint: existing[thread.fingerprint] for thread in known})
    missing = [thread for thread in threads if thread.fingerprint not in existing and not thread.resolved and thread.body]
    refused: Sequence[Thread] = ()
    if missing:
        refused = _open(desk, missing)
        made = dict(_existing(desk, missing))
        lost = [thread for thread in missing if thread.fingerprint in made and made[thread.fingerprint].is_nowhere]
        for thread in lost:
            _delete(desk, made.pop(thread.fingerprint))
        refused = [*refused, *lost]
        existing = {**existing, **made}
    outside = {thread.fingerprint for thread in refused}
    return tuple(
        ThreadRef(thread.fingerprint, str(existing[thread.fingerprint].id))
        if thread.fingerprint in existing
        else ThreadRef(thread.fingerprint, "", outside=thread.fingerprint in outside)
        for thread in threads
        if thread.fingerprint in existing or thread.fingerprint in outside
    )


def threads(api: Api, ref: PullRequestRef) -> Sequence[ThreadRef]:
    """See `pipeline.ports.CodeHost.threads`: by the marks in what we wrote, the oldest of each fingerprint."""
    bot = api.bot_login()
    found: dict[str, ThreadRef] = {}
    listed = api.pages(ref.repository, SPEAK, repository_path(ref.repository, "pulls", ref.number, "comments", per_page=100), Comment)
    for comment in sorted(listed, key=lambda comment: comment.id):
        mark = mark_of(comment, "thread", bot=bot) if comment.in_reply_to_id is None else None
        if mark is not None:
            found.setdefault(mark, ThreadRef(unquote(mark), str(comment.id)))
    return tuple(found.values())


def _existing(desk: _Desk, threads: Sequence[Thread]) -> Mapping[str, Comment]:
    """First comments of our threads by fingerprint; the oldest when a lost answer once made two."""
    comments = desk.api.pages(desk.ref.repository, SPEAK, desk.path("comments", per_page=100), Comment)
    bot = desk.api.bot_login()
    found: dict[str, Comment] = {}
    for comment in sorted(comments, key=lambda comment: comment.id):
        for thread in threads:
            if comment.in_reply_to_id is None and is_about(comment, "thread", thread.fingerprint, bot=bot):
                found.setdefault(thread.fingerprint, comment)
    return found


def _edit(desk: _Desk, known: Sequence[Thread], existing: Mapping[str, Comment]) -> None:
    """Give our first comments the wanted text. Editing notifies nobody. What the sentence of a resolved one says, it says once."""
    for thread in known:
        comment = existing[thread.fingerprint]
        text, gone = unmarked(comment.body).split(GONE)[0].rstrip(), GONE in (comment.body or "")
        if thread.body:
            body = desk.body(thread)
        elif thread.resolved:
            body = (
                (comment.body or "")
                if gone or not thread.note
                else marked("thread", thread.fingerprint, f"{text}\n\n{GONE}\n{thread.note}")
            )
        else:
            body = marked("thread", thread.fingerprint, text)
        if not same_text(comment.body, body):
            address = repository_path(desk.ref.repository, "pulls", "comments", comment.id)
            desk.api.send(desk.ref.repository, SPEAK, "PATCH", address, {"body": body}, Nothing)


def _open(desk: _Desk, missing: Sequence[Thread]) -> Sequence[Thread]:
    """Open all that GitHub can place, in one review, so that people get one e-mail. Returns those that it cannot place.

    A review with one bad anchor is refused whole, and GitHub does not say which one it was. Then the diff tells; what it does not tell
    is tried out with pending reviews, which nobody sees.
    """
    if (refusal := _post(desk, missing)) is None:
        return ()
    files = _files(desk)
    placed = [thread for thread in missing if commentable(files, thread.path, thread.line, thread.end_line) is not False]
    if placed and len(placed) < len(missing):
        refusal = _post(desk, placed)
        if refusal is None:
            return [thread for thread in missing if thread not in placed]
    if not placed:
        return missing
    _drop_pending(desk)
    good = [thread for thread in placed if _fits(desk, thread)]
    shown = [thread for thread in placed if commentable(files, thread.path, thread.line, thread.end_line)]
    if (shown and not good) or (good and (refusal := _post(desk, good)) is not None):
        raise refusal  # it is not about the places: the head moved on, or the conversation is locked
    return [thread for thread in missing if thread not in good]


def _files(desk: _Desk) -> Sequence[ChangedFile] | None:
    """The diff as GitHub shows it; None when it shows none, because it is too large (406, 422; docs "Repository limits")."""
    try:
        return desk.api.pages(desk.ref.repository, SPEAK, desk.path("files", per_page=100), ChangedFile)
    except (HostRejected, HostUnavailable) as exc:
        log.info("github.diff_refused", extra={"number": desk.ref.number, "code": exc.code})
        return None


def _post(desk: _Desk, threads: Sequence[Thread]) -> HostRejected | None:
    """Open `threads` in one review. Returns GitHub's refusal (422), which leaves nothing behind."""
    body: dict[str, object] = {"commit_id": desk.head, "event": "COMMENT", "comments": [_comment(desk, thread) for thread in threads]}
    if desk.introduction:
        body["body"] = cut(desk.introduction, desk.limits.max_body)
    try:
        desk.api.send(desk.ref.repository, SPEAK, "POST", desk.path("reviews"), body, _Review)
    except HostRejected as exc:
        log.info("github.review_refused", extra={"number": desk.ref.number, "comments": len(threads), "said": exc.message})
        return exc
    return None


def _fits(desk: _Desk, thread: Thread) -> bool:
    """Try one anchor in a review without `event`: it stays pending, and is taken back at once."""
    body: Json = {"commit_id": desk.head, "comments": [_comment(desk, thread)]}
    try:
        review = desk.api.send(desk.ref.repository, SPEAK, "POST", desk.path("reviews"), body, _Review)
    except HostRejected:
        return False
    desk.api.send(desk.ref.repository, SPEAK, "DELETE", desk.path("reviews", review.id), {}, Nothing)
    return True


def _comment(desk: _Desk, thread: Thread) -> Json:
    """One comment of a review. A range must have two different lines (docs: start_line is for multi-line comments)."""
    comment: dict[str, object] = {
        "path": thread.path,
        "body": desk.body(thread),
        "line": max(thread.line, thread.end_line),
        "side": "RIGHT",
    }
    if thread.end_line > thread.line:
        comment.update(start_line=thread.line, start_side="RIGHT")
    return comment


def _delete(desk: _Desk, comment: Comment) -> None:
    """GitHub took a comment and shows it on no line: nobody would see it. Its finding stands in the check instead."""
    log.warning("github.thread_on_no_line", extra={"number": desk.ref.number, "comment": comment.id})
    desk.api.send(desk.ref.repository, SPEAK, "DELETE", repository_path(desk.ref.repository, "pulls", "comments", comment.id), {}, Nothing)


def _drop_pending(desk: _Desk) -> None:
    """A crash while trying may have left a pending review of ours; a second one would be refused."""
    bot = desk.api.bot_login()
    for review in desk.api.pages(desk.ref.repository, SPEAK, desk.path("reviews", per_page=100), _Review):
        if review.state == "PENDING" and review.user is not None and review.user.login.lower() == bot.lower():
            desk.api.send(desk.ref.repository, SPEAK, "DELETE", desk.path("reviews", review.id), {}, Nothing)
