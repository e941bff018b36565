"""AcceptEvent: what does a verified event mean?"""

from __future__ import annotations

import logging
import re

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.messages import HOLD, INTERACTIVE, NORMAL, AcceptEvent, Envelope, Message, Reply, Speak, StartReview, WithdrawReview
from pipeline.model.event import CommentEvent, InstallationEvent, PullRequestAction, PullRequestEvent, PushEvent, RerunEvent
from pipeline.model.review import ReviewStatus
from pipeline.ports import CommandCall, ReviewView
from pipeline.reports.markdown import render_answer
from pipeline.stages.context import Context
from pipeline.store.work import Work

log = logging.getLogger(__name__)

COMMAND = re.compile(r"^/(?P<name>[a-z]{2,20})(?:[ \t]+(?P<arguments>[^\r\n]{0,500}))?[ \t]*\r?$", re.MULTILINE)
"""A command stands at the beginning of a line; quoted text (`> /fix`) is none. Browsers end lines with CR LF."""

ZERO = re.compile(r"^0+$")


def accept_event(context: Context, message: AcceptEvent) -> None:
    """Turn an event into the messages that follow from it; an event that concerns nobody ends here."""
    event = message.event
    with context.database.work() as work:
        work.installations.upsert(event.installation)
    match event:
        case PullRequestEvent():
            _pull_request(context, message, event)
        case PushEvent():
            _push(context, message, event)
        case CommentEvent():
            _comment(context, message, event)
        case RerunEvent():
            _rerun(context, message, event)
        case InstallationEvent():
            with context.finish() as work:
                for repository in event.added:
                    work.installations.upsert_repository(repository)


def _pull_request(context: Context, message: AcceptEvent, event: PullRequestEvent) -> None:
    ref = event.pull_request
    with context.finish() as work:
        if event.action is PullRequestAction.CLOSED:
            live = work.reviews.live_of(ref)
            newest = work.reviews.newest(ref)
            work.reviews.mark_closed(ref)
            for review in live:
                work.reviews.move(review.id, review.status, ReviewStatus.CANCELLED)
            for review in live or ([newest] if newest else []):
                # Also for a finished one: the check of a head that others share is theirs from now on.
                _send(work, WithdrawReview(review.id, "The pull request was closed"), f"withdraw:{review.id}:closed", group=review.id)
        elif event.action is PullRequestAction.READY:
            newest = work.reviews.newest(ref)
            if newest is not None and newest.status is ReviewStatus.DONE:
                _send(work, Speak(newest.id), f"speak:{newest.id}:ready", group=newest.id)
            else:
                _start(work, message, event)
        elif event.action is not PullRequestAction.DRAFTED:
            _start(work, message, event)


def _start(work: Work, message: AcceptEvent, event: PullRequestEvent) -> None:
    start = StartReview(event.installation, event.pull_request.repository, pull_request=event.pull_request)
    _send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)


def _push(context: Context, message: AcceptEvent, event: PushEvent) -> None:
    # A branch that has a pull request is judged through it; of the others only the default branch concerns anybody.
    concerns = event.ref == event.repository.default_branch and not ZERO.match(event.after) and not event.sender.bot
    # Of a public repository everybody reads the check: what the default branch has would be disclosed there before it is mended.
    concerns = concerns and event.repository.private
    with context.finish() as work:
        if concerns:
            before = None if ZERO.match(event.before) else event.before
            start = StartReview(event.installation, event.repository, before=before, after=event.after, ref=event.ref)
            _send(work, start, f"start:{message.delivery}", group=f"accept:{message.delivery}", hold=HOLD)


def _rerun(context: Context, message: AcceptEvent, event: RerunEvent) -> None:
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
            _send(work, start, f"start:{message.delivery}:{summary.id}")


def _comment(context: Context, message: AcceptEvent, event: CommentEvent) -> None:
    found = COMMAND.search(event.body)
    command = context.plugins.commands.get(found["name"]) if found else None
    if found is None or command is None or event.sender.bot:
        with context.finish():
            return
    host = context.host(event.installation)
    permission = host.permission(event.comment.pull_request.repository, event.sender)
    allowed = permission.may_write if command.permission.may_write else permission is not permission.NONE
    if not allowed:
        log.info("command refused", extra={"command": command.name, "permission": str(permission)})
        reply = Reply(event.installation, event.comment, command.name, render_answer("permission", command=command.usage))
        with context.finish() as work:
            _send(work, reply, f"reply:{message.delivery}", priority=INTERACTIVE, group=f"accept:{message.delivery}", hold=HOLD)
        return
    try:
        host.acknowledge(event.comment)
    except (HostForbidden, HostNotFound, HostRejected) as error:
        log.info("command not acknowledged", extra={"command": command.name, "code": error.code})
    with context.finish() as work:
        view, marker = _view(work, event)
        call = CommandCall(
            name=command.name,
            arguments=(found["arguments"] or "").strip(),
            sender=event.sender,
            comment=event.comment,
            installation=event.installation,
            finding_marker=marker,
        )
        for number, following in enumerate(command.run(call, view)):
            key = f"{following.kind}:{message.delivery}:{number}"
            _send(work, following, key, priority=INTERACTIVE, group=f"accept:{message.delivery}", hold=HOLD)


def _view(work: Work, event: CommentEvent) -> tuple[ReviewView, str]:
    """The newest review as a command may see it, and the fingerprint of the thread in which the comment stands."""
    ref = event.comment.pull_request
    review = work.reviews.newest(ref)
    if review is None:
        return ReviewView(None), event.finding_marker
    marker = event.finding_marker
    if not marker and event.comment.thread:
        marker = work.effects.fingerprint_of_thread(ref, event.comment.thread)
    settled = review.status in (ReviewStatus.PUBLISHING, ReviewStatus.DONE)
    judged = work.reviews.verdict(review.id).judged if settled else ()
    return ReviewView(review.id, settled, judged), marker


def _send(work: Work, message: Message, key: str, *, priority: int = NORMAL, group: str = "", hold: float = 0.0) -> None:
    work.outbox.send(Envelope(message, key, priority=priority, group=group, hold=hold))
