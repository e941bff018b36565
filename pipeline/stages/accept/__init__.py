"""AcceptEvent: what does a verified event mean?"""

from __future__ import annotations

from pipeline.messages import AcceptEvent
from pipeline.model.event import (
    ButtonEvent,
    CommentEvent,
    InstallationEvent,
    MemberEvent,
    MergeGroupEvent,
    PullRequestEvent,
    PushEvent,
    RepositoryEvent,
    RerunEvent,
    ThreadEvent,
)
from pipeline.stages.accept.checks import rerun
from pipeline.stages.accept.comments import comment
from pipeline.stages.accept.installs import installation
from pipeline.stages.accept.pulls import pull_request
from pipeline.stages.accept.pushes import push
from pipeline.stages.context import Context


def accept_event(context: Context, message: AcceptEvent) -> None:
    """Turn an event into the messages that follow from it; an event that concerns nobody ends here."""
    event = message.event
    with context.database.work() as work:
        work.installations.upsert(event.installation)
    match event:
        case PullRequestEvent():
            pull_request(context, message, event)
        case PushEvent():
            push(context, message, event)
        case CommentEvent():
            comment(context, message, event)
        case RerunEvent():
            rerun(context, message, event)
        case InstallationEvent():
            installation(context, event)
        case ButtonEvent() | MergeGroupEvent() | RepositoryEvent() | ThreadEvent() | MemberEvent():
            with context.finish():
                return
