"""ShowCheck: what is said of a head, said once more where the host has a new place for it."""

from __future__ import annotations

import logging

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.messages import ShowCheck, WithdrawReview
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.target import CommitRef
from pipeline.reports.markdown import render_progress
from pipeline.stages.announce import show_check
from pipeline.stages.context import Context
from pipeline.stages.plan import check_key
from pipeline.stages.publish import LOCK_SECONDS, UNSETTLED, lock_of, publish_head, withdraw

log = logging.getLogger(__name__)


def show_check_again(context: Context, message: ShowCheck) -> None:
    """Show the verdict of a head, or that it is being looked at. Where that stands already, the host's `ensure_check` writes nothing.

    What the host refuses there (a role that we lost in one repository, a commit that is gone) is told to the operator and left: the review
    has its verdict, and a host with many pipelines would make as many dead letters.
    """
    with context.database.read() as work:
        review = work.reviews.get(message.review)
    try:
        if not _shown_in_progress(context, review):
            publish_head(context, review.installation, review.change.repository, review.change.head)
    except (HostForbidden, HostNotFound, HostRejected) as refused:
        log.warning("check.not_shown_anew", extra={"review_id": review.id, "code": refused.code, "error": refused.message})
    with context.finish():
        return


def _shown_in_progress(context: Context, review: Review) -> bool:
    """Show that a head is being looked at, while it is. False when there is a verdict to be shown.

    Under the lock of whoever publishes: what is settled meanwhile is published after us. That lock is not for ever, so we look again, and
    never leave a check in progress for a review that has ended.
    """
    change = review.change
    with context.memory.lock(lock_of(change.repository, change.head), LOCK_SECONDS):
        live = _live(context, review)
        if live is None:
            return False
        show_check(context, CommitRef(change.repository, change.head), live.id, render_progress(key=check_key(live.id)))
    with context.database.read() as work:
        now = work.reviews.get(live.id)
    if now.status is ReviewStatus.CANCELLED:
        log.info("check.ended_meanwhile", extra={"review_id": live.id})
        withdraw(context, WithdrawReview(live.id, f"Superseded by {now.superseded_by[:7]}" if now.superseded_by else "Interrupted"))
    return now.status in (*UNSETTLED, ReviewStatus.CANCELLED)


def _live(context: Context, review: Review) -> Review | None:
    """A review of the head without a verdict, its own or that of another change: while there is one, nobody's verdict is shown."""
    with context.database.read() as work:
        for summary in work.reviews.of_head(review.change.repository, review.change.head):
            if summary.status in UNSETTLED:
                return work.reviews.get(summary.id)
    return None
