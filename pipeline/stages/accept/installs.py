"""What follows when an installation was made, changed, suspended or removed.

Deliveries overtake each other, and some are lost: where it matters the host is asked how things are, and its answer counts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.errors import HostForbidden, HostNotFound, HostUnauthorized
from pipeline.messages import BATCH, AcceptEvent, Envelope, PurgeRepository, StartReview
from pipeline.model.event import InstallationEvent
from pipeline.model.ids import RepositoryId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.stages.accept.ending import cancel_reviews
from pipeline.stages.accept.resuming import resume
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.stages.sweep import begin_next
from pipeline.store.work import Work

log = logging.getLogger(__name__)

LOOKED_AFTER = 100
"""Repositories whose open pull requests are asked for at the end of a suspension; one request each."""


def installation(context: Context, message: AcceptEvent, event: InstallationEvent) -> None:
    """Know what the host lets us see, look at what came, and leave alone what went."""
    with context.database.work() as work:
        before = work.installations.known(event.installation)
        identifier = work.installations.upsert(event.installation)
    if event.action == "deleted" or (before is not None and before[1] == "deleted"):
        # An installation that is removed never comes back: another one gets another number.
        with context.finish() as work:
            work.installations.set_state(identifier, "deleted")
            for number, _, state in work.installations.repositories_of(event.installation):
                if state != "gone":
                    _remove(context, work, message, number)
        return
    context.host(event.installation).forget()
    seen = _repositories(context, event)
    back = before is not None and before[1] == "suspended"
    missed = _open_now(context, event.installation, seen) if seen and back else ()
    with context.finish() as work:
        if seen is None:
            work.installations.set_state(identifier, "suspended")
            for number, _, _ in work.installations.repositories_of(event.installation):
                cancel_reviews(work, work.reviews.live_of_repository(number))
            return
        work.installations.set_state(identifier, "active")
        known = work.installations.upsert_repositories(seen, asked=True)
        work.reviews.move_all_home(known.values(), identifier)
        _arrived(work, message, event, known)
        for removed in event.removed:
            gone = None if removed.external_id in known else work.installations.find_repository(removed)
            # One that moved to another account is seen through that one's installation by now, whatever is told first.
            if gone is not None and work.installations.repository(gone).installation == event.installation.external_id:
                _remove(context, work, message, gone)
        if back:
            for number in known.values():
                resume(work, message, event.installation, work.reviews.interrupted(number))
            for ref in missed:
                start = StartReview(event.installation, ref.repository, pull_request=ref)
                send(work, start, f"start:{message.delivery}:{ref.repository.external_id}:{ref.number}", priority=BATCH)


def _open_now(context: Context, installation: Installation, seen: Sequence[SourceRepository]) -> Sequence[PullRequestRef]:
    """Open pull requests of the repositories that were ever looked at: nothing was told of them while we were suspended."""
    with context.database.read() as work:
        worked = {source.external_id for _, source, state in work.installations.repositories_of(installation) if state == "active"}
    found: list[PullRequestRef] = []
    for source in [source for source in seen if source.external_id in worked][:LOOKED_AFTER]:
        try:
            found += [pull.ref for pull in context.host(installation).open_pull_requests(source)]
        except (HostForbidden, HostNotFound) as refused:
            log.info("repository.not_let_in", extra={"repository": source.external_id, "code": refused.code})
    return found


def _arrived(
    work: Work,
    message: AcceptEvent,
    event: InstallationEvent,
    known: dict[str, RepositoryId],
) -> None:
    """Every repository of a new installation, or those that were added to an old one: each gets its first scan when there is room."""
    came = list(known) if event.action == "created" else [added.external_id for added in event.added if added.external_id in known]
    wanted = [known[external] for external in dict.fromkeys(came)]
    gone = {number for number, _, state in work.installations.repositories_of(event.installation) if state == "gone"}
    for number in (number for number in wanted if number in gone):
        work.installations.tell_repository_state(number, "active")
        resume(work, message, event.installation, work.reviews.interrupted(number))
    work.installations.want_scans(wanted)
    begin_next(work, message.delivery)


def _remove(context: Context, work: Work, message: AcceptEvent, repository: RepositoryId) -> None:
    """A repository is no longer ours to see. What we know of it is forgotten after a while, unless it comes back."""
    cancel_reviews(work, work.reviews.live_of_repository(repository))
    work.installations.tell_repository_state(repository, "gone")
    purge = Envelope(
        PurgeRepository(repository), f"purge:{repository}:{message.delivery}", priority=BATCH, delay=context.places.purge_after
    )
    work.outbox.send(purge)


def _repositories(context: Context, event: InstallationEvent) -> Sequence[SourceRepository] | None:
    """Everything that the host lets us see now; None when it does not let us in."""
    try:
        return context.host(event.installation).repositories()
    except (HostForbidden, HostNotFound) as refused:
        code = refused.code
    except HostUnauthorized as refused:
        if event.action != "suspended":
            raise  # it may be our own key that is wrong
        code = refused.code
    log.info("installation.not_let_in", extra={"installation": event.installation.external_id, "code": code})
    return None
