"""Looking at a repository instead of being told: what differs from the last look becomes the same events that deliveries bring.

What was seen lies in the store, under a lock: two watchers of one repository look one after the other, and what one has told the other does
not tell again. A crash between telling and noting repeats a delivery id, which the outbox refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.wiring import App
from pipeline.errors import HostNotFound
from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import (
    CommentEvent,
    Event,
    InstallationEvent,
    OpenPullRequest,
    Posted,
    PullRequestAction,
    PullRequestEvent,
    PushEvent,
    Snapshot,
)
from pipeline.model.ids import CommitId
from pipeline.model.target import Installation, PullRequestRef, PullRequestState, SourceRepository, UserRef
from pipeline.ports import CodeHost

KEPT = 90 * 86_400.0
"""Seconds for which a look is remembered. After a longer pause everything open is looked at as if for the first time."""
LOOK_SECONDS = 120.0
"""How long one look may keep another watcher waiting."""
SOMEBODY = UserRef("0", "")
"""Whoever did it: a look does not tell."""
NO_COMMIT = CommitId("0" * 40)


class SeenPull(BaseModel):
    """An open pull request as of the last look."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    head: str
    base_ref: str
    draft: bool = False


class Seen(BaseModel):
    """What was seen at the last look."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    look: int = 0
    """How many looks found something: part of the delivery ids, so that the same thing can happen again later."""
    since: datetime
    """Comments are asked for from here on. It stays while nothing is new: only then the host can answer "not changed"."""
    comments: tuple[str, ...] = ()
    """Comments of that very moment that were told already."""
    default_branch: str = ""
    tip: str = ""
    pulls: Mapping[str, SeenPull] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that happened since the last look."""

    event: Event
    name: str
    """Unique among the differences of one look."""
    says: str
    """For people: `octo/shop#7 opened at 3fa1c2e`."""
    lasting: bool = False
    """True when it can happen only once ever, whichever look sees it: a comment."""


def differences(seen: Seen | None, now: Snapshot, installation: Installation, *, whole: bool = True) -> Iterator[Difference]:
    """What happened between two looks. Pure.

    Args:
        seen: None at the first look: every open pull request is news, old comments are not.
        whole: False for a watch over pull requests alone, which leaves the default branch out.
    """
    before = seen.pulls if seen is not None else {}
    if whole:
        yield from _branch(seen, now, installation)
    for pull in sorted(now.pulls, key=lambda pull: pull.ref.number):
        action = _action(before.get(str(pull.ref.number)), pull)
        if action is not None:
            event = PullRequestEvent(installation, pull.ref, SOMEBODY, action, pull.head)
            says = f"{_name(pull.ref)} {action.value} at {pull.head[:7]}"
            yield Difference(event, f"pull:{pull.ref.number}:{action.value}:{pull.head}:{pull.base_ref}", says)
    there = {str(pull.ref.number) for pull in now.pulls}
    for number, was in before.items():
        if number not in there:
            ref = PullRequestRef(now.repository, int(number))
            event = PullRequestEvent(installation, ref, SOMEBODY, PullRequestAction.CLOSED, CommitId(was.head))
            yield Difference(event, f"pull:{number}:closed", f"{_name(ref)} closed")
    if seen is not None:
        yield from _comments(seen, now, installation)


def _branch(seen: Seen | None, now: Snapshot, installation: Installation) -> Iterator[Difference]:
    repository, tip = now.repository, now.tip
    if seen is None:
        yield Difference(InstallationEvent(installation, "created", added=(repository,)), "created", f"{repository.full_name} is watched")
    elif tip is not None and tip != seen.tip and seen.default_branch == repository.default_branch:
        before = CommitId(seen.tip) if seen.tip else NO_COMMIT
        event = PushEvent(installation, repository, SOMEBODY, repository.default_branch, before, tip)
        yield Difference(event, f"push:{tip}", f"{repository.full_name} {repository.default_branch} is at {tip[:7]}")


def _action(was: SeenPull | None, now: OpenPullRequest) -> PullRequestAction | None:
    """The one thing to be told of a pull request: each starts a review of how it is now, so that the greatest stands for all."""
    if was is None:
        return PullRequestAction.OPENED
    if was.head != now.head:
        return PullRequestAction.UPDATED
    if was.base_ref != now.base_ref:
        return PullRequestAction.RETARGETED
    if was.draft != now.draft:
        return PullRequestAction.DRAFTED if now.draft else PullRequestAction.READY
    return None


def _comments(seen: Seen, now: Snapshot, installation: Installation) -> Iterator[Difference]:
    """Those with a command at the beginning of a line; what else is said concerns nobody here. An old one that was edited is none."""
    for posted in now.comments:
        if posted.sender.bot or posted.written < seen.since or posted.comment.id in seen.comments or not _commands(posted):
            continue
        event = CommentEvent(installation, posted.comment, posted.sender, posted.body, written=posted.written.timestamp())
        kind = "line" if posted.comment.in_thread else "talk"
        says = f"{_name(posted.comment.pull_request)} {posted.sender.login} wrote a command"
        yield Difference(event, f"comment:{kind}:{posted.comment.id}", says, lasting=True)


def _commands(posted: Posted) -> bool:
    return any(line.startswith("/") for line in posted.body.splitlines())


def _name(ref: PullRequestRef) -> str:
    return f"{ref.repository.full_name}#{ref.number}"


def note(seen: Seen | None, now: Snapshot, started: datetime) -> Seen:
    """What is to be remembered of a look."""
    since = started if seen is None else seen.since
    newest = max((posted.at for posted in now.comments), default=since)
    told = seen.comments if seen is not None and newest <= since else ()
    since = max(since, newest)
    there = tuple(posted.comment.id for posted in now.comments if posted.at >= since)
    pulls = {str(p.ref.number): SeenPull(head=p.head, base_ref=p.base_ref, draft=p.draft) for p in now.pulls}
    return Seen(
        look=seen.look if seen is not None else 0,
        since=since,
        comments=tuple(dict.fromkeys((*told, *there))),
        default_branch=now.repository.default_branch,
        tip=now.tip or "",
        pulls=pulls,
    )


class Watch:
    """Looks at one repository, or at one pull request of it."""

    def __init__(self, app: App, host: CodeHost, installation: Installation, repository: SourceRepository, number: int = 0) -> None:
        self._app, self._host, self._installation, self._repository, self._number = app, host, installation, repository, number
        place = f"{repository.provider}/{repository.instance}/{repository.external_id}"
        self._key = f"watch/{place}/{number or 'all'}"
        self.open_now: tuple[OpenPullRequest, ...] = ()
        """As of the last look."""

    def look(self) -> Sequence[Difference]:
        """One look: tell what is new, and remember it. Raises HostError, StoreError; then nothing is lost, the next look sees it."""
        with self._app.memory.lock(self._key, LOOK_SECONDS):
            seen = self._seen()
            started = datetime.now(UTC).replace(microsecond=0)
            now = self._now(self._host.snapshot(self._repository, seen.since if seen is not None else started))
            found = [self._closed(one) for one in differences(seen, now, self._installation, whole=not self._number)]
            if seen is None:
                self._recognize(now)
            look = seen.look if seen is not None else 0
            self._tell(look, found)
            new = note(seen, now, started)
            if new != seen:
                self._app.memory.put(self._key, new.model_copy(update={"look": look + 1}).model_dump_json().encode(), KEPT)
        self._repository, self.open_now = now.repository, now.pulls
        return found

    def _now(self, snapshot: Snapshot) -> Snapshot:
        """The part of it that this watch is about."""
        if not self._number:
            return snapshot
        pulls = tuple(pull for pull in snapshot.pulls if pull.ref.number == self._number)
        if not pulls:
            raise HostNotFound(f"{snapshot.repository.full_name} has no open pull request {self._number}")
        comments = tuple(posted for posted in snapshot.comments if posted.comment.pull_request.number == self._number)
        return replace(snapshot, pulls=pulls, comments=comments)

    def _closed(self, one: Difference) -> Difference:
        """Of a pull request that is no longer open: whether its change is in the base now."""
        event = one.event
        if not isinstance(event, PullRequestEvent) or event.action is not PullRequestAction.CLOSED:
            return one
        try:
            merged = self._host.pull_request(event.pull_request).state is PullRequestState.MERGED
        except HostNotFound:
            merged = False
        return replace(one, event=replace(event, merged=merged), says=one.says.replace("closed", "merged") if merged else one.says)

    def _recognize(self, now: Snapshot) -> None:
        """Threads that we opened before this state was there: who does not know them could never resolve them."""
        for pull in now.pulls:
            ours = {thread.fingerprint: thread.id for thread in self._host.threads(pull.ref)}
            with self._app.database.work() as work:
                if ours and not work.effects.threads(pull.ref):
                    work.effects.remember_threads(pull.ref, ours)

    def _tell(self, look: int, found: Sequence[Difference]) -> None:
        envelopes = []
        for one in found:
            text = f"{self._key if not one.lasting else self._key.rpartition('/')[0]}\0{'' if one.lasting else look}\0{one.name}"
            delivery = "watch-" + hashlib.sha256(text.encode()).hexdigest()[:32]
            envelopes.append(Envelope(AcceptEvent(delivery, one.event), f"accept:{delivery}", group=f"accept:{delivery}"))
        if envelopes:
            with self._app.database.work() as work:
                work.outbox.send(*envelopes)

    def _seen(self) -> Seen | None:
        kept = self._app.memory.get(self._key)
        if kept is None:
            return None
        try:
            return Seen.model_validate_json(kept)
        except ValidationError:  # of another version
            return None
