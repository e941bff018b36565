"""Judge a change once more."""

from __future__ import annotations

from pipeline.messages import StartReview
from pipeline.model.review import Change
from pipeline.model.target import Installation


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
