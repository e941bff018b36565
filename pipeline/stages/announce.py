"""One check on the host, with a note of it in the store before the call: what nobody has tried yet need not be looked for."""

from __future__ import annotations

from pipeline.model.ids import ReviewId
from pipeline.model.report import Check, CheckState
from pipeline.model.target import CommitRef, Installation
from pipeline.stages.context import Context


def show_check(context: Context, installation: Installation, commit: CommitRef, review: ReviewId, check: Check) -> None:
    """Make or edit the check of a review.

    The first call ever for it makes it, the first one with a conclusion finishes it: both know how the check stands, and a round trip is
    saved. After a crash, and ever after, the host is asked. All calls about checks go through here, else that knowledge would be wrong.
    """
    ends = check.conclusion is not None
    made, step = f"check:{review}", f"check:{review}:end" if ends else f"check:{review}"
    with context.database.work() as work:
        begun = work.effects.get(made)
        tried = work.effects.intend(step, context.claimed.epoch) is not None
    known = None
    if not tried and not ends:
        known = CheckState()
    elif not tried and begun is not None and begun.state == "done":
        known = CheckState(begun.remote_id)
    shown = context.host(installation).ensure_check(commit, check, known)
    with context.database.work() as work:
        work.effects.done(step, shown.id)
