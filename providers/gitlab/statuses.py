"""The commit status `Fixwright`: what carries the verdict on GitLab, which has no page for it.

A status is a job of a pipeline, and only the newest pipeline of a merge request decides whether it can be merged (setting "Pipelines must
succeed"). So it is put there, see `providers.gitlab.pipelines`; one that was made before that pipeline existed is finished as well.

Sources: docs REST "Commits" ("Set commit pipeline status": states, description and target of at most 255 characters, 409 while another one
is written, 422 for a pipeline with too many jobs); "Pipelines must succeed". GitLab looks for a job of ours of that name that is pending or
running, and makes another one when there is none; one that would stay in its state is refused with 400 "Cannot transition status".
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import HostError, HostForbidden, HostNotFound, HostRejected, HostUnavailable
from pipeline.model.report import Check, CheckRef, CheckState
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef, PullRequestRef
from pipeline.ports import HostMemory
from providers.gitlab import status_checks
from providers.gitlab.api import Api
from providers.gitlab.client import Answer
from providers.gitlab.failures import SCOPE_HINT, answered
from providers.gitlab.notes import Author, Note, address_of
from providers.gitlab.pipelines import Place, places, project_of
from providers.gitlab.pulls import read

log = logging.getLogger(__name__)

NAME = "Fixwright"
"""What people see, and what rules ask for; never changes."""
DESCRIPTION = TARGET = 255
"""Characters."""
NOTE_KEPT = 90 * 86_400.0
"""Seconds for which it is remembered where the sticky note of a merge request stands."""
BEGUN_KEPT = 7 * 86_400.0
"""Seconds for which it is remembered where a status may have been begun; a review ends much earlier, or is ended."""

STATES: Mapping[Conclusion | None, str] = {
    None: "running",
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.FAILURE: "failed",
    Conclusion.ACTION_REQUIRED: "failed",
    Conclusion.CANCELLED: "canceled",
}
"""A job knows no more: `neutral` lets merge, so that it is `success` and its description says what was not checked."""
CLOSED_HINT = "a commit status needs the role Developer, and on a protected branch the right to push or to merge there"
UNFINISHED = frozenset({"created", "pending", "running", "waiting_for_resource", "preparing", "canceling"})


class StatusAnswer(Answer):
    """One commit status."""

    id: int
    sha: str = ""
    ref: str | None = ""
    status: str
    name: str = ""
    description: str | None = ""
    target_url: str | None = ""
    pipeline_id: int | None = None
    author: Author | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one status is to say."""

    state: str
    description: str
    target: str

    def said_by(self, status: StatusAnswer) -> bool:
        """True when nothing needs to be written. What an unfinished one says cannot be changed while it stays in its state."""
        if status.status != self.state:
            return False
        same = (status.description or "", status.target_url or "") == (self.description, self.target or status.target_url or "")
        return same or self.state in UNFINISHED


class _Board:
    """Our statuses, as far as they were looked at. `blank`: nobody has ever tried to write one of that commit."""

    def __init__(self, api: Api, memory: HostMemory, *, blank: bool = False) -> None:
        self._api, self._memory, self._blank = api, memory, blank
        self._seen: dict[tuple[str, str], Sequence[StatusAnswer]] = {}

    def of(self, place: Place) -> Sequence[StatusAnswer]:
        """All on a place's commit, in any pipeline, the newest first. Somebody else's of the same name says nothing for us."""
        key = place.project.external_id, place.sha
        if key not in self._seen:
            self._seen[key] = () if self._blank else self._ask(place)
        return self._seen[key]

    def newest(self, place: Place) -> StatusAnswer | None:
        """The one that counts there. One of which GitLab does not say in which pipeline it stands may stand in any, unless we remember
        where we put it."""
        if place.pipeline is None:
            return next((status for status in self.of(place) if not place.ref or status.ref == place.ref), None)
        untold = any(status.pipeline_id is None for status in self.of(place))
        put = (self._memory.get(self._put_key(place)) or b"").decode("utf-8", "replace") if untold else ""
        for status in self.of(place):
            if status.pipeline_id == place.pipeline or (status.pipeline_id is None and str(status.id) == put):
                return status
        return None

    def note(self, place: Place, made: StatusAnswer) -> None:
        """It was written in that pipeline. Remembered where GitLab will not say so: what says whose pipeline it is (merge request 127559 of
        gitlab-org/gitlab, 16.3) is older than the filter by `pipeline_id` (17.8), so that nobody can be asked who does not tell."""
        if place.pipeline is not None and made.pipeline_id is None:
            self._memory.put(self._put_key(place), str(made.id).encode(), NOTE_KEPT)

    def _put_key(self, place: Place) -> str:
        return f"gitlab/{self._api.site.authority}/put/{place.project.external_id}/{place.pipeline}"

    def look_again(self, place: Place, *, refused: bool) -> StatusAnswer | None:
        """As `newest`, asked now.

        Args:
            refused: GitLab would not move one that is there, so that one without a pipeline is it.
        """
        self._blank = False
        self._seen.clear()
        return self.newest(place) or next((s for s in self.of(place) if refused and s.pipeline_id is None), None)

    def _ask(self, place: Place) -> Sequence[StatusAnswer]:
        me = self._api.me()
        listed = self._api.pages(
            place.project,
            lambda p: p.commits.get(place.sha, lazy=True).statuses.list(iterator=True, name=NAME),
            StatusAnswer,
            what=f"the statuses of {place.sha[:12]}",
        )
        ours = [s for s in listed if s.name == NAME and s.author is not None and me.wrote(s.author.id)]
        return sorted(ours, key=lambda status: status.id, reverse=True)


def ensure_status(api: Api, memory: HostMemory, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:
    """Say the state and the title of `check` wherever it counts for `commit`, unless it is said there already.

    Where several merge requests look at the commit and some are closed to us, the others get it all the same.

    Raises:
        HostForbidden: we may write nowhere.
    """
    board = _Board(api, memory, blank=known is not None and not known.id)
    found = places(api, commit)
    key = f"gitlab/{api.site.authority}/begun/{commit.repository.external_id}/{commit.commit}"
    if check.conclusion is None:
        _note_begun(memory, key, commit, found)
        return CheckRef(commit.commit, str(_write_all(api, memory, board, found, check)[0].id))
    others = (*found, Place(commit.repository, commit.commit), *_begun(memory, key, commit))
    plain = _Wanted(STATES[check.conclusion], shortened(check.title), "")
    made: Sequence[StatusAnswer] = ()
    if check.conclusion is Conclusion.CANCELLED:  # what was begun ends; no pipeline gets a status just to say that there is none
        made = _finish(api, board, others, plain)
    if not made:
        made = _write_and_finish(api, memory, board, found, others, check, plain)
    for place in found:
        if place.pull_request is not None:
            status_checks.answer(api, memory, place.pull_request, commit.commit, check.conclusion)
    return CheckRef(commit.commit, str(made[0].id))


def point_to_comment(api: Api, memory: HostMemory, ref: PullRequestRef, note: Note) -> None:
    """Let the status of a merge request's head lead to our note, where the table stands; what it says stays.

    A note for the members of the project alone is nothing to lead everybody to.
    """
    address = "" if note.internal else address_of(api, ref, note.id)
    key = _memory_key(api, ref)
    if (memory.get(key) or b"").decode("utf-8", "replace") != address:
        memory.put(key, address.encode(), NOTE_KEPT)
    head = read(api, ref).head
    if not address or len(address) > TARGET or head is None:
        return
    board = _Board(api, memory)
    for place in places(api, CommitRef(ref.repository, head)):
        if place.pull_request == ref:
            try:
                _lead(api, board, place, CommitRef(ref.repository, head), address)
            except (HostForbidden, HostNotFound, HostRejected) as exc:
                log.info("gitlab.status_left", extra={"sha": place.sha[:12], "code": exc.code})


def _lead(api: Api, board: _Board, place: Place, commit: CommitRef, address: str) -> None:
    """Let what we said of a commit in one place lead to an address. Where nothing was said it is said now: a pipeline may have begun since
    the verdict, which without it would let the change pass."""
    if place.instead is not None and (_newest_seen(board, place) is None) and board.newest(place.instead) is not None:
        place = place.instead
    newest = _newest_seen(board, place) or next(iter(board.of(Place(commit.repository, commit.commit))), None)
    if newest is not None and newest.status not in UNFINISHED:
        _write_or_elsewhere(api, board, place, _Wanted(newest.status, newest.description or "", address))


def _newest_seen(board: _Board, place: Place) -> StatusAnswer | None:
    """As `_Board.newest`; None in a project that is closed to us."""
    try:
        return board.newest(place)
    except (HostForbidden, HostNotFound):
        return None


def shortened(title: str) -> str:
    """A title in one line of at most `DESCRIPTION` characters."""
    line = " ".join(title.encode("utf-8", "replace").decode().split())
    return line if len(line) <= DESCRIPTION else line[: DESCRIPTION - 1] + "…"


def _write_and_finish(
    api: Api, memory: HostMemory, board: _Board, found: Sequence[Place], others: Sequence[Place], check: Check, plain: _Wanted
) -> Sequence[StatusAnswer]:
    """Write to every place, and end what was begun elsewhere. Of a head that is gone from every branch only the latter can be done."""
    try:
        made = _write_all(api, memory, board, found, check)
    except (HostForbidden, HostNotFound, HostRejected):
        ended = _finish(api, board, others, plain)
        if not ended:
            raise
        return ended
    _finish(api, board, others, plain, done={status.id for status in made})
    return made


def _write_all(api: Api, memory: HostMemory, board: _Board, found: Sequence[Place], check: Check) -> Sequence[StatusAnswer]:
    """Write to every place; one that is closed to us is left out while there is another. Raises what the first one said if none is open."""
    state, description = STATES[check.conclusion], shortened(check.title)
    made: list[StatusAnswer] = []
    refused: HostError | None = None
    for place in found:
        try:
            made.append(_write_or_elsewhere(api, board, place, _Wanted(state, description, _target(api, memory, place, check))))
        except (HostForbidden, HostNotFound, HostRejected) as exc:
            log.warning("gitlab.status_refused", extra={"sha": place.sha[:12], "code": exc.code})
            refused = refused or exc
    if isinstance(refused, HostForbidden) and not made:
        raise HostForbidden(refused.message, hint=refused.hint if refused.hint == SCOPE_HINT else CLOSED_HINT) from refused
    if refused is not None and not made:
        raise refused
    return made


def _write_or_elsewhere(api: Api, board: _Board, place: Place, wanted: _Wanted) -> StatusAnswer:
    """Write to a place, or to the one that stands in for it when it is not ours to write to."""
    try:
        return _write(api, board, place, wanted)
    except (HostForbidden, HostNotFound):
        if place.instead is None:
            raise
        log.info("gitlab.status_elsewhere", extra={"sha": place.sha[:12], "project": place.project.external_id})
        return _write(api, board, place.instead, wanted)


def _write(api: Api, board: _Board, place: Place, wanted: _Wanted) -> StatusAnswer:
    """One status in one place, unless it says that already."""
    newest = board.newest(place)
    if newest is not None and wanted.said_by(newest):
        return newest
    try:
        made = _post(api, place, wanted)
    except (HostRejected, HostNotFound) as exc:
        if answered(exc, 409):
            raise HostUnavailable(exc.message) from exc  # another one is being written; GitLab itself has waited for ten seconds
        if place.pipeline is not None and (answered(exc, 422) or answered(exc, 404)):
            # That pipeline is full, or was deleted since we looked: GitLab finds or makes another one of that commit.
            return _post(api, replace(place, pipeline=None), wanted)
        if not answered(exc, 400):
            raise
        refused = "transition" in exc.message
        now = board.look_again(place, refused=refused)
        if now is not None and now.status == wanted.state:
            return now  # it is in that state already: set by another process, or by a request whose answer was lost
        if now is not None and refused:
            raise HostUnavailable(exc.message) from exc  # somebody moved it meanwhile; the next try sees where it stands
        raise
    board.note(place, made)
    return made


def _post(api: Api, place: Place, wanted: _Wanted) -> StatusAnswer:
    body: dict[str, object] = {"state": wanted.state, "name": NAME, "description": wanted.description}
    if wanted.target:
        body["target_url"] = wanted.target
    if place.pipeline is not None:
        body["pipeline_id"] = place.pipeline
    elif place.ref:
        body["ref"] = place.ref
    return api.send(
        place.project,
        lambda p: p.commits.get(place.sha, lazy=True).statuses.create(body),
        StatusAnswer,
        what=f"the status of {place.sha[:12]}",
    )


def _finish(
    api: Api, board: _Board, found: Sequence[Place], wanted: _Wanted, *, done: Container[int] = frozenset()
) -> Sequence[StatusAnswer]:
    """End what we began on the same commits in any pipeline, also in one that does not count any more: nothing of ours is left running."""
    ended = []
    for place in {(place.project.external_id, place.sha): place for place in found}.values():
        try:
            for status in board.of(place):
                if status.status in UNFINISHED and status.id not in done:
                    ended.append(_write(api, board, replace(place, pipeline=status.pipeline_id, ref=status.ref or ""), wanted))
        except (HostForbidden, HostNotFound, HostRejected) as exc:
            log.info("gitlab.status_left", extra={"sha": place.sha[:12], "code": exc.code})
    return ended


def _note_begun(memory: HostMemory, key: str, commit: CommitRef, found: Sequence[Place]) -> None:
    """Remember, before anything is written, on which other commits and in which other projects something may be begun: once the head has
    moved on, nothing leads there any more."""
    every = [one for place in found for one in (place, place.instead) if one is not None]
    elsewhere = {f"{one.project.external_id} {one.sha}" for one in every} - {f"{commit.repository.external_id} {commit.commit}"}
    before = set((memory.get(key) or b"").decode("utf-8", "replace").splitlines())
    if not elsewhere <= before:
        memory.put(key, "\n".join(sorted(elsewhere | before)).encode(), BEGUN_KEPT)


def _begun(memory: HostMemory, key: str, commit: CommitRef) -> Sequence[Place]:
    """What `_note_begun` remembered."""
    lines = (memory.get(key) or b"").decode("utf-8", "replace").splitlines()
    pairs = (line.partition(" ") for line in lines)
    return [Place(project_of(commit.repository, int(number)), sha) for number, _, sha in pairs if number.isdecimal() and sha]


def _target(api: Api, memory: HostMemory, place: Place, check: Check) -> str:
    """Where a status leads: the sticky note of the merge request that looks there, as we remember it."""
    note = memory.get(_memory_key(api, place.pull_request)) if place.pull_request is not None else None
    target = note.decode("utf-8", "replace") if note else check.details_url
    return target if len(target) <= TARGET else ""


def _memory_key(api: Api, ref: PullRequestRef) -> str:
    return f"gitlab/{api.site.authority}/note/{ref.repository.external_id}/{ref.number}"
