"""How work goes on that was interrupted because a host did not let us in for a while."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages import AcceptEvent, StartReview, WithdrawReview
from pipeline.model.review import Change, Review
from pipeline.model.target import Installation
from pipeline.stages.accept.sending import send
from pipeline.store.work import Work


def again(installation: Installation, change: Change, again: str = "") -> StartReview:
    """The message that judges a change once more; of a pull request, how it is by then.

    Args:
        again: unique text for a fresh run of the same commits; empty for one that may find its verdict.
    """
    if change.pull_request is not None:
        return StartReview(installation, change.repository, pull_request=change.pull_request, again=again)
    return StartReview(
        installation,
        change.repository,
        before=change.base,
        after=change.head,
        ref=change.head_ref,
        again=again,
        queued=change.queued,
        base_ref=change.base_ref if change.queued else "",
    )


def resume(work: Work, message: AcceptEvent, installation: Installation, interrupted: Sequence[Review]) -> None:
    """Begin again what was interrupted. Its old check ends too, for a head that has moved meanwhile."""
    for review in interrupted:
        if review.change.whole:
            continue  # told to nobody, and repeated by its schedule
        send(work, WithdrawReview(review.id, "Interrupted"), f"withdraw:{review.id}:interrupted", group=review.id)
        send(work, again(installation, review.change), f"start:{message.delivery}:{review.id}")
