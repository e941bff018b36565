"""What follows when a repository was renamed, moved, archived, removed, or changed its visibility."""

from __future__ import annotations

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.messages import BATCH, AcceptEvent, Envelope, PurgeRepository, WithdrawReview
from pipeline.model.event import RepositoryAction, RepositoryEvent
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Conclusion
from pipeline.model.target import SourceRepository
from pipeline.stages.accept.ending import cancel_reviews
from pipeline.stages.accept.resuming import resume
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work

HIDDEN = 200
"""Newest checks of a branch that are rewritten when its repository becomes public."""


def repository(context: Context, message: AcceptEvent, event: RepositoryEvent) -> None:
    """Know how it is now; stop where nothing can be shown any more."""
    seen = _as_it_is(context, event)
    now = seen or event.repository
    with context.finish() as work:
        known = work.installations.find_repository(now)
        if known is None and seen is None:
            return  # a host may tell of more than it shows us (the hook of a whole server): it was never ours
        was_private = known is None or work.installations.repository(known).private
        number = work.installations.upsert_repository(now, asked=seen is not None)
        if seen is not None:
            # It may have moved here from another account, and be said to be gone there already.
            work.reviews.move_home(number, work.installations.upsert(event.installation))
            if work.installations.repository_state(number) == "gone":
                work.installations.tell_repository_state(number, "active")
        action = event.action
        if action is RepositoryAction.CHANGED and seen is not None:
            action = _found(seen, archived=work.installations.repository_state(number) == "archived", private=was_private)
        match action:
            case RepositoryAction.DELETED:
                cancel_reviews(work, work.reviews.live_of_repository(number))
                work.installations.tell_repository_state(number, "gone")
                purge = PurgeRepository(number)
                key = f"purge:{number}:{message.delivery}"
                work.outbox.send(Envelope(purge, key, priority=BATCH, delay=context.places.purge_after))
            case RepositoryAction.ARCHIVED:
                # Nothing can be written to it, not even the end of a check.
                cancel_reviews(work, work.reviews.live_of_repository(number))
                work.installations.tell_repository_state(number, "archived")
            case RepositoryAction.UNARCHIVED:
                work.installations.tell_repository_state(number, "active")
                resume(work, message, event.installation, work.reviews.interrupted(number))
            case RepositoryAction.PUBLICIZED if not now.private:
                _hide(work, number)


def opened_to_all(context: Context, repository: SourceRepository) -> None:
    """An event says that a repository is public that we know as private: not every host tells of that itself, or to every webhook."""
    with context.database.work() as work:
        number = work.installations.find_repository(repository)
        if number is not None and work.installations.repository(number).private:
            work.installations.upsert_repository(repository)
            _hide(work, number)


def _as_it_is(context: Context, event: RepositoryEvent) -> SourceRepository | None:
    """The host's word of now: deliveries overtake each other, and names may be told in the wrong order. None when it is not ours to see."""
    if event.action is RepositoryAction.DELETED:
        return None
    try:
        return context.host(event.installation).describe(event.repository)
    except (HostForbidden, HostNotFound):
        return None


def _found(now: SourceRepository, *, archived: bool, private: bool) -> RepositoryAction:
    """What changed, where the host does not say it (GitLab's `project_update`): how it is now against how it was."""
    if now.archived:
        return RepositoryAction.CHANGED if archived else RepositoryAction.ARCHIVED
    if archived:
        return RepositoryAction.UNARCHIVED
    return RepositoryAction.PUBLICIZED if private and not now.private else RepositoryAction.CHANGED


def _hide(work: Work, repository: RepositoryId) -> None:
    """Everybody reads the checks from now on: what they say of the default branch would be a disclosure."""
    pushed = [r for r in work.reviews.live_of_repository(repository) if r.change.pull_request is None and not r.change.queued]
    live = [r for r in pushed if not r.change.whole]  # a scan of everything is shown to nobody anyway
    cancel_reviews(work, live)
    for review in work.reviews.of_branches(repository, HIDDEN):
        if not review.change.queued and not review.change.whole:
            hidden = WithdrawReview(review.id, "Not shown: this repository is public", Conclusion.NEUTRAL, hide=True)
            send(work, hidden, f"withdraw:{review.id}:public", group=review.id)
