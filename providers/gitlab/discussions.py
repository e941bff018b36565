"""Threads on the diff of a merge request: opened together, edited and resolved afterwards.

Sources: docs REST "Discussions" (a position that is not on the diff: 400; what was answered tells whether it became a `DiffNote`), "Draft
notes" (published together they are one review and one mail; publishing takes everything that the account has in draft), "Resolve threads".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.markers import GONE, encoded, mark_in, marked, unmarked
from pipeline.model.ids import CommitId
from pipeline.model.report import Thread, ThreadRef
from pipeline.model.target import PullRequestRef
from pipeline.ports import Capabilities, HostMemory
from providers.gitlab.api import Api
from providers.gitlab.client import Nothing
from providers.gitlab.diffs import diff_at
from providers.gitlab.drafts import Drafts
from providers.gitlab.notes import Discussion, Note, delete, edit, key_of, text_of
from providers.gitlab.positions import Diff, Wire, place

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

log = logging.getLogger(__name__)

ON_DIFF = "DiffNote"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A thread that is to be opened."""

    thread: Thread
    body: str
    position: Wire


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every step below needs."""

    api: Api
    ref: PullRequestRef
    limits: Capabilities
    outside: set[str] = field(default_factory=set)
    """Fingerprints of what GitLab does not place."""

    @property
    def what(self) -> str:
        return f"merge request {self.ref.number}"

    def of(self, project: Project) -> ProjectMergeRequest:
        return project.mergerequests.get(self.ref.number, lazy=True)


def ensure_threads(
    api: Api, memory: HostMemory, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], limits: Capabilities
) -> Sequence[ThreadRef]:
    """See `pipeline.ports.CodeHost.ensure_threads`. The id of a thread is that of its discussion; there is no introduction, because it
    would become a thread of its own, which somebody would have to resolve."""
    if not threads:
        return ()
    desk = _Desk(api, ref, limits)
    existing = _existing(desk)
    for thread in threads:
        if thread.fingerprint in existing:
            _bring_about(desk, thread, existing[thread.fingerprint])
    missing = [thread for thread in threads if thread.fingerprint not in existing and not thread.resolved and thread.body]
    if missing:
        existing = {**existing, **_open(desk, memory, head, missing)}
    return tuple(
        ThreadRef(thread.fingerprint, existing[thread.fingerprint].id)
        if thread.fingerprint in existing
        else ThreadRef(thread.fingerprint, "", outside=True)
        for thread in threads
        if thread.fingerprint in existing or thread.fingerprint in desk.outside
    )


def threads(api: Api, ref: PullRequestRef) -> Sequence[ThreadRef]:
    """See `pipeline.ports.CodeHost.threads`: by the marks in what we wrote, the oldest of each fingerprint."""
    found: dict[str, ThreadRef] = {}
    for discussion in _listed(_Desk(api, ref, Capabilities())):
        mark = _mark(discussion, api)
        if mark is not None:
            found.setdefault(mark, ThreadRef(unquote(mark), discussion.id))
    return tuple(found.values())


def _existing(desk: _Desk) -> dict[str, Discussion]:
    """Our threads by fingerprint. Of two with one mark, made by two answers of one lost request, the older one stays."""
    found: dict[str, Discussion] = {}
    for discussion in _listed(desk):
        mark = _mark(discussion, desk.api)
        if mark is None:
            _drop_plain(desk, discussion)
            continue
        kept = found.setdefault(unquote(mark), discussion)
        if kept is not discussion:
            _drop_double(desk, discussion)
    return found


def _listed(desk: _Desk) -> Sequence[Discussion]:
    """All discussions, oldest first."""
    return desk.api.pages(
        desk.ref.repository, lambda p: desk.of(p).discussions.list(iterator=True), Discussion, what=f"discussions of {desk.what}"
    )


def _mark(discussion: Discussion, api: Api) -> str | None:
    """Encoded fingerprint of a thread of ours; None of every other discussion."""
    if not discussion.notes or discussion.notes[0].type != ON_DIFF:
        return None
    return key_of(discussion.notes[0], "thread", api.me())


def _drop_double(desk: _Desk, discussion: Discussion) -> None:
    """What somebody has answered in stays, resolved."""
    if _is_all_ours(desk, discussion):
        for note in reversed(discussion.notes):
            delete(desk.api, desk.ref, note)
    elif not _is_resolved(discussion):
        _resolve(desk, discussion, resolved=True)


def _drop_plain(desk: _Desk, discussion: Discussion) -> None:
    """A thread of ours on no line, which a crash kept us from taking away when it was made."""
    first = discussion.notes[0] if discussion.notes else None
    plain = first is not None and first.type != ON_DIFF and key_of(first, "thread", desk.api.me()) is not None
    if first is not None and plain and _is_all_ours(desk, discussion):
        _take_away(desk, first)


def _is_all_ours(desk: _Desk, discussion: Discussion) -> bool:
    """True when nobody has said anything there but we. Where the token is a person's, what has no mark is what that person said."""
    me = desk.api.me()

    def is_ours(note: Note) -> bool:
        by_us = note.author is not None and me.wrote(note.author.id)
        return by_us and (me.bot or any(mark_in(note.body, kind) is not None for kind in ("thread", "reply")))

    return all(is_ours(note) for note in discussion.notes if not note.system)


# --- those that stand there -----------------------------------------------------------------------------------------------------------


def _bring_about(desk: _Desk, thread: Thread, discussion: Discussion) -> None:
    """Text and state. Editing tells nobody."""
    first = discussion.notes[0]
    edit(desk.api, desk.ref, first, _text(desk, thread, first))
    if _differs(desk, thread, discussion):
        _resolve(desk, discussion, resolved=thread.resolved)


def _text(desk: _Desk, thread: Thread, note: Note) -> str:
    """The wanted text. What the sentence of a resolved one says, it says once."""
    if thread.body:
        return text_of("thread", thread.fingerprint, thread.body, desk.limits)
    text, gone = unmarked(note.body).split(GONE)[0].rstrip(), GONE in (note.body or "")
    if not thread.resolved:
        return marked("thread", thread.fingerprint, text)
    return note.body or "" if gone or not thread.note else marked("thread", thread.fingerprint, f"{text}\n\n{GONE}\n{thread.note}")


def _differs(desk: _Desk, thread: Thread, discussion: Discussion) -> bool:
    """Whether it is to be resolved or opened again. What a person resolved stays so, unless the finding was gone in between."""
    resolved = _is_resolved(discussion)
    if thread.resolved:
        return not resolved
    by = next((note.resolved_by for note in discussion.notes if note.resolvable and note.resolved_by is not None), None)
    return resolved and (thread.back or by is None or desk.api.me().wrote(by.id))


def _is_resolved(discussion: Discussion) -> bool:
    states = [note.resolved for note in discussion.notes if note.resolvable]
    return bool(states) and all(states)


def _resolve(desk: _Desk, discussion: Discussion, *, resolved: bool) -> None:
    """It needs the role Developer, or a merge request of our own; without it the text alone says what became of the finding."""

    def call(project: Project) -> None:
        desk.of(project).discussions.update(discussion.id, {"resolved": resolved})

    try:
        desk.api.send(desk.ref.repository, call, Nothing, what=f"a thread of {desk.what}")
    except (HostForbidden, HostNotFound, HostRejected) as exc:
        log.warning("gitlab.thread_not_resolved", extra={"number": desk.ref.number, "code": exc.code})


# --- new ones -------------------------------------------------------------------------------------------------------------------------


def _open(desk: _Desk, memory: HostMemory, head: CommitId, missing: Sequence[Thread]) -> Mapping[str, Discussion]:
    """Open what GitLab can place, with one mail where that is possible. What it cannot place stands in `desk.outside` afterwards."""
    drafts = Drafts(desk.api, memory, desk.ref)
    wanted = _placed(desk, diff_at(desk.api, desk.ref, head), missing)
    if len(wanted) > 1:
        together = _open_together(desk, drafts, wanted)
    else:
        together = ()
        drafts.clean()
    made = _read_back(desk, together)
    for one in wanted:
        if one.thread.fingerprint not in made and one.thread.fingerprint not in desk.outside:
            opened = _open_alone(desk, one)
            if opened is not None:
                made[one.thread.fingerprint] = opened
    return made


def _placed(desk: _Desk, diff: Diff | None, missing: Sequence[Thread]) -> list[_Wanted]:
    """Those that have a position; without a diff none has."""
    wanted = []
    for thread in missing:
        last = max(thread.line, thread.end_line)
        position = place(diff, thread.path, thread.line, last) if diff is not None else None
        if position is None:
            desk.outside.add(thread.fingerprint)
        else:
            wanted.append(_Wanted(thread, text_of("thread", thread.fingerprint, thread.body, desk.limits), position))
    return wanted


def _open_together(desk: _Desk, drafts: Drafts, wanted: Sequence[_Wanted]) -> Sequence[_Wanted]:
    """Publish them as one review. Returns those that were to be in it; the others were refused, or are to be opened alone."""
    kept = []
    with drafts.writing() as usable:
        for one in wanted if usable else ():
            placed = drafts.add(one.body, one.position)
            if placed is None:  # this GitLab makes no drafts for us
                drafts.clean()
                return ()
            if placed:
                kept.append(one)
            else:
                desk.outside.add(one.thread.fingerprint)
        if kept:
            drafts.publish()
    return kept


def _read_back(desk: _Desk, together: Sequence[_Wanted]) -> dict[str, Discussion]:
    """What became of a review. One that stands on no line of the diff is taken away: its finding stands in the sticky note instead."""
    names = {encoded(one.thread.fingerprint): one.thread.fingerprint for one in together}
    made: dict[str, Discussion] = {}
    for discussion in _listed(desk) if together else ():
        first = discussion.notes[0] if discussion.notes else None
        mark = key_of(first, "thread", desk.api.me()) if first is not None else None
        if first is None or mark not in names or names[mark] in made:
            continue
        if first.type == ON_DIFF:
            made[names[mark]] = discussion
        else:
            _take_away(desk, first)
            desk.outside.add(names[mark])
    return made


def _open_alone(desk: _Desk, one: _Wanted) -> Discussion | None:
    """One thread with a mail of its own; None when GitLab refuses its position, or puts it beside the diff."""
    body: dict[str, object] = {"body": one.body, "position": one.position}
    try:
        made = desk.api.send(
            desk.ref.repository, lambda p: desk.of(p).discussions.create(body), Discussion, what=f"a thread of {desk.what}", speaks=True
        )
    except HostRejected as exc:
        log.info("gitlab.position_refused", extra={"number": desk.ref.number, "said": exc.message})
        desk.outside.add(one.thread.fingerprint)
        return None
    if made.notes and made.notes[0].type == ON_DIFF:
        return made
    for note in made.notes[:1]:
        _take_away(desk, note)
    desk.outside.add(one.thread.fingerprint)
    return None


def _take_away(desk: _Desk, note: Note) -> None:
    log.warning("gitlab.thread_on_no_line", extra={"number": desk.ref.number, "note": note.id})
    delete(desk.api, desk.ref, note)
