"""What follows when something happened to a pull request."""

from __future__ import annotations

from pipeline.messages import HOLD, AcceptEvent, Speak, StartReview, WithdrawReview
from pipeline.model.event import PullRequestAction, PullRequestEvent
from pipeline.model.review import ReviewStatus
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work


def pull_request(context: Context, message: AcceptEvent, event: PullRequestEvent) -> None:
    """A change begins, moves, ends, or wants to be read."""
    ref = event.pull_request
    with context.finish() as work:
        if event.action is PullRequestAction.CLOSED:
            live = work.reviews.live_of(ref)
            newest = work.reviews.newest(ref)
            work.reviews.mark_closed(ref)
            for review in live:
                work.reviews.move(review.id, review.status, ReviewStatus.CANCELLED)
            for review in live or ([newest] if newest else []):
                # Also for a finished one: the check of a head that others share is theirs from now on.
                send(work, WithdrawReview(review.id, "The pull request was closed"), f"withdraw:{review.id}:closed", group=review.id)
        elif event.action is PullRequestAction.READY:
            newest = work.reviews.newest(ref)
            if newest is not None and newest.status is ReviewStatus.DONE:
                send(work, Speak(newest.id), f"speak:{newest.id}:ready", group=newest.id)
            else:
                _start(work, message, event)
        elif event.action is not PullRequestAction.DRAFTED:
            _start(work, message, event)


def _start(work: Work, message: AcceptEvent, event: PullRequestEvent) -> None:
    start = StartReview(event.installation, event.pull_request.repository, pull_request=event.pull_request)
    send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)
