"""What follows when somebody resolved a conversation, or opened it again."""

from __future__ import annotations

from pipeline.model.event import ThreadEvent
from pipeline.stages.context import Context


def thread(context: Context, event: ThreadEvent) -> None:
    """Remember who did it. What somebody else resolved stays resolved while its finding is unchanged; what we resolved is ours to reopen.

    That we did it is written down by whoever speaks for us, right after he did it: a machine that does it is us only where that stands.
    Another one counts as a person, or we would open the thread again against it for ever.
    """
    with context.finish() as work:
        if not event.resolved:
            work.effects.thread_resolved(event.pull_request, event.thread, "")
        else:
            work.effects.thread_resolved(event.pull_request, event.thread, "person", unless_us=event.sender.bot)
