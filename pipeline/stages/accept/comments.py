"""What follows when somebody wrote a comment: a slash command, or nothing."""

from __future__ import annotations

import logging
import re

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.messages import HOLD, INTERACTIVE, AcceptEvent, Reply
from pipeline.model.event import CommentEvent
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Permission
from pipeline.ports import CommandCall, ReviewView
from pipeline.reports.markdown import render_answer
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.store.work import Work

log = logging.getLogger(__name__)

COMMAND = re.compile(r"^/(?P<name>[a-z]{2,20})(?:[ \t]+(?P<arguments>[^\r\n]{0,500}))?[ \t]*\r?$", re.MULTILINE)
"""A command stands at the beginning of a line; quoted text (`> /fix`) is none. Browsers end lines with CR LF."""


def comment(context: Context, message: AcceptEvent, event: CommentEvent) -> None:
    """Run the command in a comment, when its sender may."""
    found = COMMAND.search(event.body)
    command = context.plugins.commands.get(found["name"]) if found else None
    if found is None or command is None or event.sender.bot:
        with context.finish():
            return
    host = context.host(event.installation)
    permission = host.permission(event.comment.pull_request.repository, event.sender)
    allowed = permission.may_write if command.permission.may_write else permission is not Permission.NONE
    if not allowed:
        log.info("command refused", extra={"command": command.name, "permission": str(permission)})
        reply = Reply(event.installation, event.comment, command.name, render_answer("permission", command=command.usage))
        with context.finish() as work:
            send(work, reply, f"reply:{message.delivery}", priority=INTERACTIVE, group=f"accept:{message.delivery}", hold=HOLD)
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
            send(work, following, key, priority=INTERACTIVE, group=f"accept:{message.delivery}", hold=HOLD)


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
