"""What follows when a branch moved, or is gone."""

from __future__ import annotations

import re

from pipeline.messages import BATCH, HOLD, AcceptEvent, ScanRepository, StartReview
from pipeline.model.event import PushEvent
from pipeline.stages.accept.ending import end_reviews
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context

ZERO = re.compile(r"^0+$")


def push(context: Context, message: AcceptEvent, event: PushEvent) -> None:
    """The default branch has new commits, or some branch is gone.

    Whoever pushed: a merge queue and a bot that merges bring findings and take them away like anybody else, and we never push there.
    In a public repository nothing of it is shown (`pipeline.stages.disclosure`); the list of findings follows it all the same.
    """
    # A branch that has a pull request is judged through it; of the others only the default branch concerns anybody.
    concerns = event.ref == event.repository.default_branch
    with context.finish() as work:
        if ZERO.match(event.after):
            # A branch that was never judged leaves nothing: fixes and merge queues make and delete many.
            if work.reviews.judged_branch(event.repository, event.ref):
                end_reviews(work, work.reviews.live_of_branch(event.repository, event.ref), "The branch was deleted")
                work.reviews.mark_branch_deleted(event.repository, event.ref)
            number = work.installations.find_repository(event.repository)
            if number is not None and not concerns:
                work.findings.delete_branch(number, event.ref, event.before)
        elif concerns and ZERO.match(event.before):
            # All of it is new: also the first push to a repository that was empty when it was looked at.
            scan = ScanRepository(event.installation, event.repository, "added")
            send(work, scan, f"scan_repository:{message.delivery}", priority=BATCH)
        elif concerns:
            work.installations.upsert_repository(event.repository)
            start = StartReview(event.installation, event.repository, before=event.before, after=event.after, ref=event.ref)
            send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)
