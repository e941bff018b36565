"""What follows when something happened to a pull request."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.messages import HOLD, AcceptEvent, StartReview, WithdrawReview
from pipeline.model.event import PullRequestAction, PullRequestEvent
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import PullRequestState
from pipeline.stages.accept.ending import cancel_reviews
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work


def pull_request(context: Context, message: AcceptEvent, event: PullRequestEvent) -> None:
    """A change begins, moves, ends, or wants to be read.

    Only the end is decided here. Everything else is the same question: how is it now, and what was said of that already? So the order in
    which deliveries arrive means nothing (`pipeline.stages.plan`).
    """
    ended = _ended(context, event) if event.action is PullRequestAction.CLOSED else None
    with context.finish() as work:
        if ended is not None:
            _close(work, ended, context.capabilities(event.installation).pull_request_word)
        else:
            ref = event.pull_request
            repository = work.installations.upsert_repository(ref.repository)
            if event.action in (PullRequestAction.OPENED, PullRequestAction.UPDATED):
                # Names in commits can be anybody's; who pushes, the host knows. He waives nothing here (`pipeline.stages.waive`).
                work.waivers.remember_pusher(repository, ref.number, event.sender)
            if event.action is PullRequestAction.REOPENED:
                work.offers.reopened(repository, ref.number)
            asked = event.action is PullRequestAction.ASKED
            start = StartReview(event.installation, ref.repository, pull_request=ref, asked=asked)
            send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)


def _ended(context: Context, event: PullRequestEvent) -> PullRequestEvent | None:
    """The event with the host's own word on whether it was merged; None when it was opened again meanwhile."""
    try:
        state = context.host(event.installation).pull_request(event.pull_request).state
    except (HostNotFound, HostForbidden):
        return event
    return None if state is PullRequestState.OPEN else replace(event, merged=state is PullRequestState.MERGED)


def _close(work: Work, event: PullRequestEvent, word: str) -> None:
    ref = event.pull_request
    live, newest = work.reviews.live_of(ref), work.reviews.newest(ref)
    work.reviews.mark_closed(ref)
    number = work.installations.find_repository(ref.repository)
    if number is not None:
        work.offers.ended(number, ref.number, merged=event.merged)
    if newest is not None and number is not None:
        _end_findings(work, event, number, newest)
    cancel_reviews(work, live)
    for review in live or ([newest] if newest else []):
        # Also for a finished one: the check of a head that others share is theirs from now on.
        send(work, WithdrawReview(review.id, f"The {word} was closed"), f"withdraw:{review.id}:closed", group=review.id)


def _end_findings(work: Work, event: PullRequestEvent, repository: RepositoryId, newest: Review) -> None:
    """What only the pull request had is gone with it, or is the base's now."""
    number, change = event.pull_request.number, newest.change
    if not event.merged:
        work.findings.close_pull_request(repository, number, newest.id, change.head)
        return
    scanned = change.base_ref == change.repository.default_branch
    work.findings.merge_pull_request(repository, number, change.base_ref, newest.id, change.head, scanned=scanned)
