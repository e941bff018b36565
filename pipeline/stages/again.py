"""Judge a change once more: from what its scans found, or afresh."""

from __future__ import annotations

from pipeline.messages import INTERACTIVE, Envelope, SettleReview, StartReview
from pipeline.model.ids import RepositoryId, ReviewId
from pipeline.model.review import Change, ReviewStatus
from pipeline.model.target import Installation
from pipeline.store.work import Work


def start_again(installation: Installation, change: Change, again: str = "") -> StartReview:
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


def judge_again(work: Work, repository: RepositoryId, fingerprint: str, keyed_hash: str, token: str, priority: int = INTERACTIVE) -> int:
    """Have the newest review of every open change judged anew that has the finding; how many those are.

    Args:
        token: makes the messages unique.
    """
    return sum(settle_again(work, review, token, priority) for review in work.waivers.concerned(repository, fingerprint, keyed_hash))


def settle_again(work: Work, review: ReviewId, token: str, priority: int = INTERACTIVE) -> bool:
    """Have a review judged anew from what its scans found. False when it has no verdict yet: it will see for itself."""
    known = work.reviews.get(review)
    if known.status not in (ReviewStatus.PUBLISHING, ReviewStatus.DONE) or known.change.whole:
        return False
    work.outbox.send(Envelope(SettleReview(review, again=True), f"settle_again:{review}:{token}", priority=priority, group=review))
    return True
