"""What follows when a merge queue made a commit, or threw it away."""

from __future__ import annotations

from pipeline.messages import HOLD, AcceptEvent, StartReview
from pipeline.model.event import MergeGroupEvent
from pipeline.stages.accept.ending import end_reviews
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work


def merge_group(context: Context, message: AcceptEvent, event: MergeGroupEvent) -> None:
    """Judge the queue's commit as what would become the branch's tip; nothing of a group that is gone is left in progress."""
    with context.finish() as work:
        judge_group(work, message, event)


def judge_group(work: Work, message: AcceptEvent, event: MergeGroupEvent) -> None:
    """The same as a part of what else an event means."""
    if event.destroyed:
        live = [r for r in work.reviews.live_of_branch(event.repository, event.head_ref) if r.change.head == event.head]
        end_reviews(work, live, "The merge queue dropped this group")
        if not work.reviews.live_of_branch(event.repository, event.head_ref):
            work.reviews.mark_branch_deleted(event.repository, event.head_ref)
        return
    start = StartReview(
        event.installation,
        event.repository,
        before=event.base,
        after=event.head,
        ref=event.head_ref,
        base_ref=event.base_ref,
        queued=True,
    )
    send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)
