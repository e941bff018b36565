"""What follows when a branch moved, or is gone."""

from __future__ import annotations

import re

from pipeline.messages import HOLD, AcceptEvent, StartReview
from pipeline.model.event import PushEvent
from pipeline.stages.accept.ending import end_reviews
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context

ZERO = re.compile(r"^0+$")


def push(context: Context, message: AcceptEvent, event: PushEvent) -> None:
    """The default branch has new commits, or some branch is gone."""
    # A branch that has a pull request is judged through it; of the others only the default branch concerns anybody.
    concerns = event.ref == event.repository.default_branch and not ZERO.match(event.after) and not event.sender.bot
    # Of a public repository everybody reads the check: what the default branch has would be disclosed there before it is mended.
    concerns = concerns and event.repository.private
    with context.finish() as work:
        if ZERO.match(event.after):
            # A branch that was never judged leaves nothing: fixes and merge queues make and delete many.
            if work.reviews.judged_branch(event.repository, event.ref):
                end_reviews(work, work.reviews.live_of_branch(event.repository, event.ref), "The branch was deleted")
                work.reviews.mark_branch_deleted(event.repository, event.ref)
        elif concerns:
            before = None if ZERO.match(event.before) else event.before
            start = StartReview(event.installation, event.repository, before=before, after=event.after, ref=event.ref)
            send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)
