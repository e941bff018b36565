"""How a project is now, for whoever has to look because nobody can tell him.

Sources: docs "Merge requests API" (`updated_at` moves with each note), "Discussions API" (lists cannot be filtered by time).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import Field

from pipeline.errors import HostNotFound
from pipeline.markers import mark_in
from pipeline.model.event import CommentRef, Posted, Snapshot
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequestRef, SourceRepository, UserRef
from pipeline.payloads import Number
from providers.gitlab.api import Account, Api
from providers.gitlab.client import Answer
from providers.gitlab.payloads import Discussion
from providers.gitlab.people import Person
from providers.gitlab.projects import describe, tip
from providers.gitlab.pulls import as_open, open_answers

IN_THREADS = ("DiffNote", "DiscussionNote")
"""`type` of a note that stands in a thread; one alone has none, though it has a discussion, too."""


class _Note(Answer):
    id: Number
    type: str | None = None
    body: str | None = None
    author: Person | None = None
    system: bool = False
    internal: bool = False
    created_at: datetime
    updated_at: datetime


class _Discussion(Answer):
    id: Discussion
    notes: list[_Note] = Field(default_factory=list)


def snapshot(api: Api, repository: SourceRepository, since: datetime) -> Snapshot:
    """Three requests, and one for the discussions of each open merge request that changed since then."""
    now = describe(api, repository)
    try:
        newest: CommitId | None = tip(api, now, now.default_branch)
    except HostNotFound:
        newest = None
    answers = open_answers(api, now)
    pulls = tuple(shown for answer in answers if (shown := as_open(now, answer)) is not None)
    changed = {answer.iid for answer in answers if answer.updated_at is None or _utc(answer.updated_at) >= _utc(since)}
    posted = (one for pull in pulls if pull.ref.number in changed for one in _posted(api, pull.ref, since))
    return Snapshot(now, newest, pulls, _in_order(posted))


def _posted(api: Api, ref: PullRequestRef, since: datetime) -> Iterator[Posted]:
    me = api.me()
    found = api.pages(
        ref.repository,
        lambda project: project.mergerequests.get(ref.number, lazy=True).discussions.list(iterator=True),
        _Discussion,
        what=f"discussions of merge request {ref.number}",
    )
    for discussion in found:
        for note in discussion.notes:
            if not note.system and _utc(note.updated_at) >= _utc(since):
                yield _one(ref, discussion, note, me)


def _one(ref: PullRequestRef, discussion: _Discussion, note: _Note, me: Account) -> Posted:
    by_us = note.author is not None and me.wrote(note.author.id)
    ours = by_us and (me.bot or any(mark_in(note.body, kind) is not None for kind in ("thread", "comment", "reply")))
    sender = note.author.ref() if note.author is not None else UserRef("0", "ghost", bot=True)
    sender = UserRef(sender.id, sender.login, bot=sender.bot or ours)
    comment = CommentRef(ref, str(note.id), in_thread=note.type in IN_THREADS, thread=discussion.id, internal=note.internal)
    return Posted(comment, sender, note.body or "", _utc(note.created_at), _utc(note.updated_at))


def _utc(moment: datetime) -> datetime:
    """GitLab names the zone; an answer without one is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _in_order(posted: Iterable[Posted]) -> tuple[Posted, ...]:
    return tuple(sorted(posted, key=lambda one: (one.at, int(one.comment.id))))
