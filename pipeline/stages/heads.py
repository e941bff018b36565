"""FollowHeads: what is open on a host against what was judged. The backstop for every delivery that never came.

A repository is told of by two lists, the open pull requests and the tip of its default branch; both are asked for with their ETags. What
differs leads to the message that its delivery would have led to: what was judged is not judged again, whoever asks first. Where a verdict
belongs to a pipeline (`Capabilities.checks_by_pipeline`) that of each open head is said again, which writes nothing where it stands: the
one delivery that told of a newer pipeline, or what followed from it, may have been lost. An installation is walked in slices, each a
message of some seconds, and slowly enough to leave four fifths of the host's hourly budget to people.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound, HostRejected
from pipeline.messages import BATCH, AcceptEvent, Envelope, FollowHeads, Message, ScanRepository, ShowCheck, StartReview
from pipeline.model.event import OpenPullRequest, PullRequestAction, PullRequestEvent
from pipeline.model.ids import CommitId, RepositoryId, ReviewId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import CodeHost
from pipeline.stages.context import Context
from pipeline.stages.sweep import begin_next
from pipeline.store.heads import KnownHead
from pipeline.store.sweeps import Listing
from pipeline.tally import TALLY

log = logging.getLogger(__name__)

AGAIN_SECONDS = 6 * 3_600
"""A head whose review was given up before it was begun is tried anew so often, as nothing else would."""
SLICE = 25
"""Repositories of one message: some seconds."""

AN_HOUR = 1_000
"""Requests that a walk may cost in an hour: a fifth of the 5,000 that GitHub grants the smallest installation (docs "Rate limits for the
REST API"). Requests that are answered "not changed" are free, so that a walk that finds nothing new takes no longer than its slices."""

BREATH = 1.0
"""Seconds between two slices at least: what is more urgent goes in between."""

REFUSALS = 3
"""So many repositories in a row that the host does not let us see, or tells of nothing that can be read, and the walk ends: it is the
installation that is not let in, or the host itself is ill."""

CLOSED_AT_ONCE = 20
"""Pull requests of one repository that are asked whether they are closed; two requests each. The next walk goes on."""

PACE = 1.0
"""Seconds between two verdicts that are said again, each of which costs three to five requests: a sixth of the 2,000 that GitLab.com grants
in a minute (docs "Rate limits on GitLab.com"). A walk takes as much longer as there are open heads, and there is one walk at a time."""

NOBODY = UserRef("0", "")
"""Who closed it nobody told us."""


def group_of(installation: Installation) -> str:
    """The messages of one walk; there is one walk at a time."""
    return f"heads:{installation.id}"


@dataclass
class _Found:
    """What one slice brought."""

    last: str
    repositories: int = 0
    heads: int = 0
    missing: list[Envelope] = field(default_factory=list)
    renamed: list[SourceRepository] = field(default_factory=list)
    settled: list[ReviewId] = field(default_factory=list)
    """Of open heads whose verdict has to be said again, one for each."""
    refused: bool = False


def follow_heads(context: Context, message: FollowHeads) -> None:
    """Look at the next repositories. Running it again finds the same, and what was sent for it is sent once."""
    with context.database.read() as work:
        known = work.installations.known(message.installation)
    if known is None or known[1] != "active":
        with context.finish():
            return
    host = context.host(message.installation)
    before = host.spent()
    try:
        seen = host.repositories() if not message.after else ()
    except (HostForbidden, HostNotFound) as refused:
        log.info("installation.not_let_in", extra={"installation": message.installation.external_id, "code": refused.code})
        with context.finish():
            return
    if seen:
        _know(context, message.installation, seen)
    with context.database.read() as work:
        page = work.heads.repositories(message.installation, message.after, SLICE)
    found = _look(context, message, host, page)
    spent = host.spent() - before
    anew = _anew(context, found.settled)
    ends = found.refused or (len(page) < SLICE and found.repositories == len(page))
    done = replace(
        message,
        after=found.last,
        repositories=message.repositories + found.repositories,
        heads=message.heads + found.heads,
        begun=message.begun + len(found.missing),
        spent=message.spent + spent,
    )
    with context.finish() as work:
        for repository in found.renamed:
            work.installations.upsert_repository(repository, asked=True)
        work.outbox.send(*found.missing, *anew)
        if not ends:
            delay = max(BREATH, 3_600.0 * spent / AN_HOUR, PACE * len(anew))
            key = f"heads:{context.claimed.id}:{found.last}"
            work.outbox.send(Envelope(done, key, priority=BATCH, delay=delay, group=group_of(message.installation)))
    if found.missing:
        TALLY.add("fixwright_reconciled_total", float(len(found.missing)), what="heads")
    if ends:
        counts = {"repositories": done.repositories, "heads": done.heads, "begun": done.begun, "spent": done.spent}
        log.info("reconcile.done", extra={"provider": message.installation.provider, "what": "heads", **counts})


def _anew(context: Context, settled: Sequence[ReviewId]) -> list[Envelope]:
    """What says these verdicts again, one after the other; while something of a review waits, that says it, or comes first."""
    with context.database.read() as work:
        quiet = [review for review in settled if not work.outbox.busy(review)]
    return [
        Envelope(ShowCheck(review), f"show_check:{review}:{context.claimed.id}", priority=BATCH, delay=PACE * turn, group=review)
        for turn, review in enumerate(quiet)
    ]


def _know(context: Context, installation: Installation, seen: Sequence[SourceRepository]) -> None:
    """What was added, renamed or given back without our being told. What was added gets its first scan, as if we had been."""
    with context.database.work() as work:
        before = {source.external_id: (number, state) for number, source, state in work.installations.repositories_of(installation)}
        numbers = work.installations.upsert_repositories(seen, asked=True)
        back = [number for number, state in before.values() if state == "gone" and number in numbers.values()]
        for number in back:
            work.installations.tell_repository_state(number, "active")
        came = [numbers[external] for external in numbers if external not in before]
        if not context.provider(installation).capabilities.tells_installations:
            # Known from a delivery about something in it: that it was added nobody said.
            came = work.installations.never_scanned(numbers.values())
        work.installations.want_scans([*came, *back])
        begin_next(work, context.claimed.id)


def _look(context: Context, message: FollowHeads, host: CodeHost, page: Sequence[tuple[RepositoryId, SourceRepository]]) -> _Found:
    """As many repositories of the page as there is time for, at least one."""
    found, started, refusals = _Found(message.after), time.monotonic(), 0
    for number, repository in page:
        if found.repositories and time.monotonic() - started >= context.places.slice_seconds:
            break
        try:
            missing = list(_missing(context, message.installation, host, number, repository, found))
        except (HostForbidden, HostNotFound, HostRejected, HostGarbage) as refused:  # rejected: 451, it is blocked by law
            log.info("repository.not_let_in", extra={"repository_id": number, "code": refused.code})
            refusals += 1
            found.refused = refusals >= REFUSALS
            missing = []
        else:
            refusals = 0
        found.missing += missing
        found.repositories += 1
        found.last = number
        if found.refused:
            break
    return found


def _missing(
    context: Context, installation: Installation, host: CodeHost, number: RepositoryId, repository: SourceRepository, found: _Found
) -> Iterator[Envelope]:
    """What deliveries about one repository would have led to."""
    pulls = host.open_pull_requests(repository)
    tip = _tip(host, repository, found)
    with context.database.read() as work:
        known = work.heads.pull_requests(number, [pull.ref.number for pull in pulls])
        branch = work.heads.branch(number, repository.default_branch)
        listing = work.installations.listing(number)
    found.heads += len(pulls) + (tip is not None)
    for pull in pulls:
        newest = known.get(pull.ref.number)
        if not _is_judged(pull, newest):
            as_it_is = (pull.ref.number, pull.head, pull.base_ref, pull.draft, newest.review if newest is not None else "")
            yield _envelope(StartReview(installation, repository, pull_request=pull.ref), number, *as_it_is)
    if host.capabilities.checks_by_pipeline:
        found.settled += _settled(pulls, known)
    there = {pull.ref.number for pull in pulls}
    gone = [n for n, head in known.items() if head.is_open and n not in there]
    for closed in sorted(gone)[:CLOSED_AT_ONCE]:
        ref = PullRequestRef(repository, closed)
        event = PullRequestEvent(installation, ref, NOBODY, PullRequestAction.CLOSED, known[closed].head)
        accept = AcceptEvent(f"heads-{context.claimed.id}-{number}-{closed}", event)
        yield _envelope(accept, number, closed, known[closed].review)
    if tip is not None:
        pushed = _pushed(installation, repository, tip, branch, listing)
        if pushed is not None:
            yield _envelope(pushed, number, tip, branch.review if branch is not None else "")


def _tip(host: CodeHost, repository: SourceRepository, found: _Found) -> CommitId | None:
    """None while there is no such branch: it may be empty, or the default branch is another one by now, which the next walk looks at."""
    try:
        return host.tip(repository, repository.default_branch)
    except HostNotFound:
        now = host.describe(repository)
        if now != repository:
            found.renamed.append(now)
        return None


def _settled(pulls: Sequence[OpenPullRequest], known: Mapping[int, KnownHead]) -> Collection[ReviewId]:
    """A review of each open head that has its verdict: changes with the same head share what is shown there."""
    judged = {pull.head: known[pull.ref.number] for pull in pulls if _is_judged(pull, known.get(pull.ref.number))}
    return [newest.review for newest in judged.values() if not newest.live]


def _is_judged(pull: OpenPullRequest, known: KnownHead | None) -> bool:
    if known is None or not known.stands:
        return False
    return (known.head, known.base_ref, known.draft) == (pull.head, pull.base_ref, pull.draft)


def _pushed(
    installation: Installation, repository: SourceRepository, tip: CommitId, branch: KnownHead | None, listing: Listing
) -> Message | None:
    """What a push to the default branch leads to that nobody told us of; None when there was none."""
    if listing.commit == tip or (branch is not None and branch.stands and branch.head == tip):
        return None
    if listing.commit is not None:
        # From where the list of findings ends, or will end when the push that is being judged is done.
        before = branch.head if branch is not None and branch.stands and branch.live else listing.commit
        return StartReview(installation, repository, before=before, after=tip, ref=repository.default_branch)
    # One that was never looked at is in the queue for that; this one was empty then.
    empty = listing.scanned_at is not None and not listing.waiting and not listing.running
    return ScanRepository(installation, repository, "added") if empty else None


def _envelope(message: Message, *about: object) -> Envelope:
    """Keyed by what it is about, so that it is sent once in AGAIN_SECONDS however often it is missed: it may wait for its turn as long."""
    told = repr((message.kind, time.time() // AGAIN_SECONDS, *about)).encode("utf-8", "surrogateescape")
    return Envelope(message, f"missed:{hashlib.sha256(told).hexdigest()[:32]}", priority=BATCH)
