"""EndCheck: the last resort for a check that is in progress and that nobody is going to finish."""

from __future__ import annotations

import logging

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.messages import EndCheck, Envelope
from pipeline.model.ids import ReviewId
from pipeline.model.target import CommitRef
from pipeline.reports.markdown import render_failed
from pipeline.stages.announce import show_check
from pipeline.stages.context import Context
from pipeline.stages.plan import check_key
from pipeline.store.work import Work

log = logging.getLogger(__name__)


def end_check(context: Context, message: EndCheck) -> None:
    """Let the check ask for action, in a few words and with nothing of what was found: no report has to be made for it, and nothing of
    the repository is in it that a host could refuse. A check that was finished meanwhile stays as it is."""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
        begun, ended = work.effects.get(f"check:{review.id}"), work.effects.get(f"check:{review.id}:end")
    if begun is not None and (ended is None or ended.state != "done"):
        check = render_failed(
            "the result could not be shown here",
            key=check_key(review.id),
            hint="Where Fixwright runs, `fixwright queue list` names the cause. Then scan again.",
        )
        try:
            show_check(context, CommitRef(review.change.repository, review.change.head), review.id, check, blank=True)
        except (HostNotFound, HostForbidden) as refused:
            # We may write nothing there (any more). Who may look again later is decided by the duty that looks for such checks.
            log.warning("check.not_ended", extra={"review_id": review.id, "code": refused.code})
    with context.finish():
        return


def send_end(work: Work, review: ReviewId, token: str) -> None:
    """Have the check of a review ended, once for each token."""
    work.outbox.send(Envelope(EndCheck(review), f"end_check:{review}:{token}", group=review))
