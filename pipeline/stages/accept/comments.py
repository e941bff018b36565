"""What follows when somebody wrote a comment: slash commands, or nothing."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Mapping

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.messages import HOLD, AcceptEvent, Message, Reply, StartReview, asked
from pipeline.model.command import CommandCall, Situation
from pipeline.model.event import CommentEvent
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.target import Permission
from pipeline.ports import Capabilities, Command, ReviewView
from pipeline.reports.markdown import render_answer
from pipeline.stages.accept.lines import Line, as_typed, parse_lines
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable
from pipeline.stages.offered import mending
from pipeline.store.deliveries import AHEAD_SECONDS, COMMAND_SECONDS
from pipeline.store.work import Work

log = logging.getLogger(__name__)

AT_MOST = 5
"""Commands of one comment that are done."""


def comment(context: Context, message: AcceptEvent, event: CommentEvent) -> None:
    """Do the commands in a comment in their order, those that its sender may give."""
    lines = [] if event.sender.bot else parse_lines(event.body, context.plugins.commands, context.places.mentions)
    if not lines:
        with context.finish():
            return
    host = context.host(event.installation)
    if not _counts(context, event, host.written(event)):
        with context.finish():
            return
    permission = host.permission(event.comment.pull_request.repository, event.sender)
    # Of a word that is nobody's of ours only somebody is told who could have meant it; other bots have commands too.
    lines = [line for line in lines if line.command is not None or permission.may_write]
    allowed = [line for line in lines[:AT_MOST] if line.command is None or may(permission, line.command)]
    refused = [line.command for line in lines[:AT_MOST] if line.command is not None and line not in allowed]
    if refused:
        log.info("command.refused", extra={"command": refused[0].name, "permission": str(permission)})
    if any(line.command is not None for line in allowed):
        try:
            host.acknowledge(event.comment)
        except (HostForbidden, HostNotFound, HostRejected) as error:
            log.info("command.not_acknowledged", extra={"comment": event.comment.id, "code": error.code})
    with context.finish() as work:
        # Claimed only now that the host has confirmed it: what somebody made up beforehand keeps nobody's command away.
        source = event.comment.pull_request.repository
        if not work.deliveries.claim_command(source.provider, source.instance, _once(event)):
            return
        view, marker = view_of(work, event, context.plugins.commands, host.capabilities)
        following = [made for line in allowed for made in _run(event, line, view, marker)]
        if refused:
            following.append(_say(event, refused[0].name, render_answer("permission", command=_usage(refused[0], host.capabilities))))
        if len(lines) > AT_MOST:
            following.append(_say(event, "limit", render_answer("too-many", number=AT_MOST)))
        _send(work, message, _with_one_answer(following))


def _counts(context: Context, event: CommentEvent, written: float | None) -> bool:
    """Whether what was written then (see `CodeHost.written`) is done; if not, why is logged."""
    said, now = {"comment": event.comment.id, "number": event.comment.pull_request.number}, context.database.now()
    if written is None:
        log.warning("command.not_confirmed", extra=said)
    elif written < now - COMMAND_SECONDS:
        log.warning("command.too_old", extra=said)
    elif now + AHEAD_SECONDS < written < math.inf:
        log.warning("command.dated_ahead", extra=said)
    else:
        return True
    return False


def may(permission: Permission, command: Command) -> bool:
    """Whether somebody with this permission may give the command."""
    return permission.may_write if command.permission.may_write else permission is not Permission.NONE


def _usage(command: Command, capabilities: Capabilities) -> str:
    return as_typed(command.usage, capabilities.taken_commands)


def view_of(work: Work, event: CommentEvent, commands: Mapping[str, Command], capabilities: Capabilities) -> tuple[ReviewView, str]:
    """The newest review as a command may see it, and the fingerprint of the thread in which the comment stands."""
    ref = event.comment.pull_request
    review = work.reviews.newest(ref)
    known = tuple((_usage(command, capabilities), command.about) for command in commands.values())
    if review is None:
        return ReviewView(None, commands=known, capabilities=capabilities, mends=mending(work, ref, None)), event.finding_marker
    marker = event.finding_marker
    if not marker and event.comment.thread:
        marker = work.effects.fingerprint_of_thread(ref, event.comment.thread)
    settled = review.status in (ReviewStatus.PUBLISHING, ReviewStatus.DONE)
    judged_before = settled or review.status is ReviewStatus.FAILED
    verdict = tellable(review.change, work.reviews.verdict(review.id)) if judged_before else None
    judged = verdict.judged if verdict is not None and settled else ()
    mends = mending(work, ref, review)
    return ReviewView(review.id, settled, judged, _situation(work, review), verdict, known, capabilities, mends), marker


def _situation(work: Work, review: Review) -> Situation:
    progress = work.outbox.progress(review.id)
    return Situation(
        head=review.change.head,
        status=review.status,
        seconds=work.reviews.age(review.id),
        ahead=progress.ahead,
        error=progress.error,
    )


def _run(event: CommentEvent, line: Line, view: ReviewView, marker: str) -> Iterable[Message]:
    if line.command is None:
        usages = tuple(usage for usage, _ in view.commands)
        return (_say(event, "unknown", render_answer("unknown-command", asked=line.typed, commands=usages)),)
    call = CommandCall(
        name=line.command.name,
        arguments=line.arguments,
        sender=event.sender,
        comment=event.comment,
        installation=event.installation,
        finding_marker=marker,
    )
    return line.command.run(call, view)


def _say(event: CommentEvent, topic: str, body: str) -> Reply:
    return Reply(event.installation, event.comment, topic, body)


def _with_one_answer(following: list[Message]) -> list[Message]:
    """What can be answered at once is one answer: each of them is a mail to everybody who reads along."""
    replies = [message for message in following if isinstance(message, Reply)]
    if len(replies) < 2:
        return following
    bodies = list(dict.fromkeys(reply.body for reply in replies))
    first = Reply(replies[0].installation, replies[0].comment, "commands", "\n\n".join(bodies))
    return [*(message for message in following if not isinstance(message, Reply)), first]


def _once(event: CommentEvent) -> str:
    """What is the same however often, and under whatever ids, a host tells of a comment. The text is a part of it: an edited one is another
    command."""
    ref = event.comment.pull_request
    place = "line" if event.comment.in_thread else "talk"  # GitHub numbers them apart
    parts = (ref.repository.external_id, str(ref.number), place, event.comment.id, event.body)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]


def _send(work: Work, message: AcceptEvent, following: Iterable[Message]) -> None:
    for number, one in enumerate(following):
        key = f"{one.kind}:{message.delivery}:{number}"
        if isinstance(one, StartReview) and one.again:
            # However many ask for it, by a command or by the button: after one review there is one next.
            key = f"start:again:{one.again.removeprefix('after ')}"
        send(work, one, key, priority=asked(one), group=f"accept:{message.delivery}", hold=HOLD)
