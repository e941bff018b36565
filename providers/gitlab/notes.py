"""Notes of a merge request: what they look like, which of them are ours, and the ones that stand in its conversation.

Sources: docs REST "Notes" ("Merge requests": `internal` since 16.9 there; an edit tells nobody), "Discussions" (a note alone is a
discussion of one note, which an answer turns into a thread that has to be resolved), "Emoji reactions".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from pipeline.errors import HostError, HostForbidden, HostNotFound
from pipeline.escaping import cut
from pipeline.markers import MARK_ROOM, MarkKind, encoded, mark_in, marked, same_text
from pipeline.model.event import CommentEvent, CommentRef
from pipeline.model.target import PullRequestRef
from pipeline.ports import Capabilities
from providers.gitlab.api import Account, Api
from providers.gitlab.client import Answer, Nothing

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

log = logging.getLogger(__name__)

NOTHING_OPEN = "Nothing is open here any more."
"""What is left of a sticky note when nothing is open. It is not deleted: made anew, it would be a second mail."""

INTERNAL_SINCE = (16, 9)
INTERNAL_HINT = "internal notes need GitLab 16.9 and the role Reporter or above"


class Author(Answer):
    """Who wrote a note, or resolved a thread."""

    id: int = 0
    username: str = ""


class Note(Answer):
    """One note, in a discussion or alone."""

    id: int
    type: str | None = None
    """`DiffNote` on a diff, `DiscussionNote` in another thread, None alone."""
    body: str | None = ""
    author: Author | None = None
    created_at: AwareDatetime | None = None
    system: bool = False
    resolvable: bool = False
    resolved: bool = False
    resolved_by: Author | None = None
    internal: bool = False


class Discussion(Answer):
    """One discussion: a thread, or a note alone."""

    id: str
    notes: list[Note] = Field(default_factory=list)


class _Settings(Answer):
    only_allow_merge_if_all_discussions_are_resolved: bool | None = False


def ensure_comment(api: Api, ref: PullRequestRef, topic: str, body: str, limits: Capabilities, *, internal: bool = False) -> Note | None:
    """See `pipeline.ports.CodeHost.ensure_comment`. Returns the note that stands there now."""
    ours = [note for note in _conversation(api, ref) if key_of(note, "comment", api.me()) == encoded(topic)]
    for newer in ours[1:]:  # two answers of one lost request
        delete(api, ref, newer)
    note = ours[0] if ours else None
    if note is not None and body and note.internal != internal:  # GitLab lets nobody change who may read a note
        delete(api, ref, note)
        note = None
    if note is not None:
        edit(api, ref, note, text_of("comment", topic, body or NOTHING_OPEN, limits))
        return note
    return _make(api, ref, text_of("comment", topic, body, limits), internal=internal) if body else None


def ensure_reply(api: Api, comment: CommentRef, topic: str, body: str, limits: Capabilities) -> None:
    """See `pipeline.ports.CodeHost.ensure_reply`. A note that stands alone is answered under it where that keeps nobody from merging.
    An internal one is answered internally, or not at all."""
    ref, key = comment.pull_request, f"{comment.id}:{topic}"
    text = text_of("reply", key, body, limits)
    internal = comment.internal
    for note in _conversation(api, ref):
        internal = internal or (note.internal and str(note.id) == comment.id)
        if key_of(note, "reply", api.me()) == encoded(key):
            edit(api, ref, note, text)
            return
    if comment.thread and (comment.in_thread or not _threads_block(api, ref)):
        try:
            api.send(
                ref.repository,
                lambda p: _of(p, ref).discussions.get(comment.thread, lazy=True).notes.create({"body": text}),
                Note,
                what=f"an answer in merge request {ref.number}",
                speaks=True,
            )
            return
        except HostNotFound:  # the discussion was deleted: what was asked is answered all the same
            log.info("gitlab.discussion_gone", extra={"number": ref.number})
    try:
        _make(api, ref, text, internal=internal)
    except HostForbidden as exc:
        if not internal:
            raise
        log.warning("gitlab.not_answered", extra={"number": ref.number, "note": comment.id, "code": exc.code})


def written(api: Api, event: CommentEvent) -> float | None:
    """See `pipeline.ports.CodeHost.written`. One that says in which discussion it stands is looked for there, so that nobody's command is
    taken to another thread."""
    comment, sender = event.comment, event.sender
    ref, number = comment.pull_request, int(comment.id)
    what = f"note {number} of merge request {ref.number}"
    try:
        if comment.thread:
            notes = api.get(ref.repository, lambda p: _of(p, ref).discussions.get(comment.thread), Discussion, what=what).notes
        else:
            notes = [api.get(ref.repository, lambda p: _of(p, ref).notes.get(number), Note, what=what)]
    except (HostForbidden, HostNotFound) as exc:
        log.info("gitlab.note_unseen", extra={"number": ref.number, "note": number, "code": exc.code})
        return None
    note = next((one for one in notes if one.id == number and not one.system), None)
    if note is None or note.author is None or note.created_at is None:
        return None
    as_told = (str(note.author.id), note.author.username) == (sender.id, sender.login) and same_text(note.body, event.body)
    return note.created_at.timestamp() if as_told else None


def acknowledge(api: Api, comment: CommentRef) -> None:
    """Put eyes under a note; the same reaction twice is refused, and one. What goes wrong is only logged."""
    ref = comment.pull_request
    try:
        api.send(
            ref.repository,
            lambda p: _of(p, ref).notes.get(int(comment.id), lazy=True).awardemojis.create({"name": "eyes"}),
            Nothing,
            what=f"a reaction in merge request {ref.number}",
        )
    except HostError as exc:
        log.info("gitlab.not_acknowledged", extra={"comment": comment.id, "code": exc.code})


def key_of(note: Note, kind: MarkKind, me: Account) -> str | None:
    """Encoded key of the mark of that kind in a note; None when there is none or somebody else wrote it."""
    if note.system or note.author is None or not me.wrote(note.author.id):
        return None
    return mark_in(note.body, kind)


def edit(api: Api, ref: PullRequestRef, note: Note, text: str) -> None:
    """Give a note of ours another text; nothing is asked when it has it."""
    if not same_text(note.body, text):
        api.send(
            ref.repository,
            lambda p: _of(p, ref).notes.update(note.id, {"body": text}),
            Nothing,
            what=f"note {note.id} of merge request {ref.number}",
        )


def delete(api: Api, ref: PullRequestRef, note: Note) -> None:
    """Take a note of ours away; one that is gone is no error."""

    def call(project: Project) -> None:
        _of(project, ref).notes.delete(note.id)

    try:
        api.send(ref.repository, call, Nothing, what=f"note {note.id} of merge request {ref.number}")
    except HostNotFound:
        log.info("gitlab.note_gone", extra={"number": ref.number, "note": note.id})


def text_of(kind: MarkKind, key: str, body: str, limits: Capabilities) -> str:
    """A body within the limit, with its mark."""
    return marked(kind, key, cut(body, limits.max_body - MARK_ROOM))


def address_of(api: Api, ref: PullRequestRef, note: int) -> str:
    """Where people see a note (docs REST "Notes": the anchor is `#note_ID`)."""
    return f"{api.site.web_url}/{ref.repository.full_name}/-/merge_requests/{ref.number}#note_{note}"


def _of(project: Project, ref: PullRequestRef) -> ProjectMergeRequest:
    """The merge request without asking for it."""
    return project.mergerequests.get(ref.number, lazy=True)


def _conversation(api: Api, ref: PullRequestRef) -> Sequence[Note]:
    """All notes, oldest first."""
    listed = api.pages(
        ref.repository, lambda p: _of(p, ref).notes.list(iterator=True, sort="asc"), Note, what=f"notes of merge request {ref.number}"
    )
    return sorted(listed, key=lambda note: note.id)


def _make(api: Api, ref: PullRequestRef, text: str, *, internal: bool = False) -> Note:
    """A note alone. Raises HostForbidden when it was to be internal and would be read by others: then it is not made, or gone again."""
    if internal and (0, 0) < api.version() < INTERNAL_SINCE:
        raise HostForbidden(f"this GitLab has no internal notes in merge requests ({ref.repository.full_name})", hint=INTERNAL_HINT)
    body: dict[str, object] = {"body": text, **({"internal": True} if internal else {})}
    made = api.send(
        ref.repository, lambda p: _of(p, ref).notes.create(body), Note, what=f"a note in merge request {ref.number}", speaks=True
    )
    if internal and not made.internal:
        delete(api, ref, made)
        raise HostForbidden(
            f"GitLab made no internal note in merge request {ref.number} of {ref.repository.full_name}",
            hint=INTERNAL_HINT,
        )
    return made


def _threads_block(api: Api, ref: PullRequestRef) -> bool:
    """True when every thread has to be resolved before the merge: then we make none of somebody's lone note."""
    try:
        settings = api.ask(lambda gl: gl.projects.get(int(ref.repository.external_id)), _Settings, what=ref.repository.full_name)
    except HostError as exc:
        log.info("gitlab.settings_unknown", extra={"code": exc.code})
        return True
    return settings.only_allow_merge_if_all_discussions_are_resolved is not False
