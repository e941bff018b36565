"""AcceptEvent: what does a verified event mean?"""

from __future__ import annotations

import logging

from pipeline.messages import AcceptEvent
from pipeline.model.event import (
    ButtonEvent,
    CommentEvent,
    DeploymentEvent,
    Event,
    InstallationEvent,
    MemberEvent,
    MergeGroupEvent,
    PipelineEvent,
    PullRequestEvent,
    PushEvent,
    RepositoryEvent,
    RerunEvent,
    ThreadEvent,
)
from pipeline.model.target import SourceRepository
from pipeline.stages.accept.checks import button, rerun
from pipeline.stages.accept.comments import comment
from pipeline.stages.accept.deployments import deployment
from pipeline.stages.accept.installs import installation
from pipeline.stages.accept.people import member
from pipeline.stages.accept.pipelines import pipeline
from pipeline.stages.accept.pulls import pull_request
from pipeline.stages.accept.pushes import push
from pipeline.stages.accept.queue import merge_group
from pipeline.stages.accept.repositories import opened_to_all, repository
from pipeline.stages.accept.threads import thread
from pipeline.stages.context import Context
from pipeline.stages.reach import let_in, switched_off

log = logging.getLogger(__name__)


def accept_event(context: Context, message: AcceptEvent) -> None:
    """Turn an event into the messages that follow from it; an event that concerns nobody ends here."""
    event = message.event
    if isinstance(event, InstallationEvent):
        installation(context, message, event)
        return
    source = event_repository(event)
    if source is not None and not let_in(context, event.installation, source):
        log.info("event.not_let_in", extra={"kind": event.kind})
        with context.finish():
            return
    if source is not None and not isinstance(event, RepositoryEvent) and switched_off(context, event.installation, source):
        log.info("event.disabled", extra={"event_kind": event.kind})
        with context.finish():
            return
    if source is not None and not source.private and not isinstance(event, RepositoryEvent):
        opened_to_all(context, source)
    match event:
        case PullRequestEvent():
            pull_request(context, message, event)
        case PushEvent():
            push(context, message, event)
        case MergeGroupEvent():
            merge_group(context, message, event)
        case PipelineEvent():
            pipeline(context, message, event)
        case CommentEvent():
            comment(context, message, event)
        case RerunEvent():
            rerun(context, message, event)
        case ButtonEvent():
            button(context, message, event)
        case RepositoryEvent():
            repository(context, message, event)
        case ThreadEvent():
            thread(context, event)
        case MemberEvent():
            member(context, event)
        case DeploymentEvent():
            deployment(context, event)


def event_repository(event: Event) -> SourceRepository | None:
    """The repository that an event happened in; None for an installation's."""
    match event:
        case PullRequestEvent() | ThreadEvent():
            return event.pull_request.repository
        case CommentEvent():
            return event.comment.pull_request.repository
        case InstallationEvent():
            return None
        case _:
            return event.repository
