"""One check on the host, with a note of it in the store before the call: what nobody has tried yet need not be looked for."""

from __future__ import annotations

import logging

from pipeline.errors import HostForbidden
from pipeline.model.ids import ReviewId
from pipeline.model.report import Check, CheckState
from pipeline.model.target import CommitRef
from pipeline.stages.context import Context

log = logging.getLogger(__name__)


def show_check(context: Context, commit: CommitRef, review: ReviewId, check: Check, *, blank: bool = False) -> None:
    """Make or edit the check of a review.

    The first call ever for it makes it, the first one with a conclusion finishes it: both know how the check stands, and a round trip is
    saved. After a crash, and ever after, the host is asked. All calls about checks go through here, else that knowledge would be wrong.
    Nothing is done for a review of which nothing may be told there, or where the installation grants no checks; nor for a branch on which
    the host does not let us (GitLab: a protected one).

    Args:
        blank: the text says nothing of what was found, so that it may take the place of one that does, whoever reads it.
    """
    with context.database.read() as work:
        told = work.reviews.get(review)
        begun = work.effects.get(f"check:{review}")
    if not context.may_tell(told) and (begun is None or not blank):
        return
    ends = check.conclusion is not None
    step = f"check:{review}:end" if ends else f"check:{review}"
    with context.database.work() as work:
        tried = work.effects.intend(step, context.claimed.epoch) is not None
    known = None
    if not tried and not ends:
        known = CheckState()
    elif not tried and begun is not None and begun.state == "done":
        known = CheckState(begun.remote_id)
    host = context.teller(told, blank=blank)
    try:
        shown = host.ensure_check(commit, check, known)
    except HostForbidden as refused:
        if host.may_check() and (told.change.pull_request is not None or told.change.queued):
            raise
        # We may only read here, or not write where a branch is protected, which nobody waits for: what is found is the operator's to see.
        log.warning("check.not_granted", extra={"repository": commit.repository.full_name, "code": refused.code})
        return
    with context.database.work() as work:
        work.effects.done(step, shown.id)
