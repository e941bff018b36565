"""What follows when somebody acts on our check."""

from __future__ import annotations

from pipeline.messages import AcceptEvent, StartReview
from pipeline.model.event import RerunEvent
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context


def rerun(context: Context, message: AcceptEvent, event: RerunEvent) -> None:
    """Judge every change again that has this head."""
    with context.finish() as work:
        for summary in work.reviews.of_head(event.repository, event.head):
            change = work.reviews.get(summary.id).change
            before, after = (change.base, change.head) if change.pull_request is None else (None, None)
            start = StartReview(
                event.installation,
                event.repository,
                pull_request=change.pull_request,
                before=before,
                after=after,
                ref=change.head_ref,
                again=message.delivery,
            )
            send(work, start, f"start:{message.delivery}:{summary.id}")
