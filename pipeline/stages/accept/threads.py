"""What follows when somebody resolved a conversation, or opened it again."""

from __future__ import annotations

from pipeline.model.event import ThreadEvent
from pipeline.stages.context import Context


def thread(context: Context, event: ThreadEvent) -> None:
    """Remember who did it. What a person resolved stays resolved while its finding is unchanged; what we resolved is ours to reopen."""
    with context.finish() as work:
        if not event.resolved:
            work.effects.thread_resolved(event.pull_request, event.thread, "")
        else:
            work.effects.thread_resolved(event.pull_request, event.thread, "us" if event.sender.bot else "person")
