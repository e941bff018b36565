"""How a review ends that nobody wants any more."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages import WithdrawReview
from pipeline.model.review import Review, ReviewStatus
from pipeline.stages.accept.sending import send
from pipeline.store.work import Work


def cancel_reviews(work: Work, reviews: Sequence[Review]) -> None:
    """End live reviews where nothing can be said about it: the host does not let us in."""
    for review in reviews:
        work.reviews.move(review.id, review.status, ReviewStatus.CANCELLED)
        if review.change.whole:
            work.installations.free_slot(work.installations.identify(review.change.repository))


def end_reviews(work: Work, reviews: Sequence[Review], title: str) -> None:
    """End live reviews, and let their checks say why."""
    cancel_reviews(work, reviews)
    for review in reviews:
        send(work, WithdrawReview(review.id, title), f"withdraw:{review.id}:ended", group=review.id)
