"""How work goes on that was interrupted because a host did not let us in for a while."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages import AcceptEvent, WithdrawReview
from pipeline.model.review import Review
from pipeline.model.target import Installation
from pipeline.stages.accept.sending import send
from pipeline.stages.again import start_again
from pipeline.store.work import Work


def resume(work: Work, message: AcceptEvent, installation: Installation, interrupted: Sequence[Review]) -> None:
    """Begin again what was interrupted. Its old check ends too, for a head that has moved meanwhile."""
    for review in interrupted:
        if review.change.whole:
            continue  # told to nobody, and repeated by its schedule
        send(work, WithdrawReview(review.id, "Interrupted"), f"withdraw:{review.id}:interrupted", group=review.id)
        send(work, start_again(installation, review.change), f"start:{message.delivery}:{review.id}")
