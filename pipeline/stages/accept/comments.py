"""What follows when somebody wrote a comment: slash commands, or nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.messages import HOLD, INTERACTIVE, AcceptEvent, Message, Reply, StartReview
from pipeline.model.event import CommentEvent
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.target import Permission
from pipeline.ports import Command, CommandCall, ReviewView, Situation
from pipeline.reports.markdown import render_answer
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable
from pipeline.store.work import Work

log = logging.getLogger(__name__)

COMMAND = re.compile(r"^/(?P<name>[A-Za-z]{2,20})(?:[ \t]++(?P<arguments>[^\r\n]*+))?\r?$", re.MULTILINE)
"""A command stands at the beginning of a line; quoted text (`> /fix`) is none. Browsers end lines with CR LF. Nothing is tried twice, so
that no comment takes long to read."""

FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}+|~{3,}+)[^\n]*+\n.*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*\r?$|\Z)", re.MULTILINE | re.DOTALL)
"""A block of code quotes as well (CommonMark 0.31, section 4.5)."""

AT_MOST = 5
"""Commands of one comment that are done."""

ARGUMENTS = 4_000
"""Characters of a line that a command is handed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comment that looks like a command."""

    name: str
    """Lower case: phones begin lines with capitals."""
    arguments: str
    command: Command | None
    """None when there is no such command, but one that is nearly called so."""


def comment(context: Context, message: AcceptEvent, event: CommentEvent) -> None:
    """Do the commands in a comment in their order, those that its sender may give."""
    lines = [] if event.sender.bot else parse_lines(event.body, context.plugins.commands)
    if not lines:
        with context.finish():
            return
    host = context.host(event.installation)
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
        view, marker = view_of(work, event, context.plugins.commands)
        following = [made for line in allowed for made in _run(context, event, line, view, marker)]
        if refused:
            following.append(_say(event, refused[0].name, render_answer("permission", command=refused[0].usage)))
        if len(lines) > AT_MOST:
            following.append(_say(event, "limit", render_answer("too-many", number=AT_MOST)))
        _send(work, message, _with_one_answer(following))


def parse_lines(body: str, commands: Mapping[str, Command]) -> list[Line]:
    """The lines of a comment that are commands of ours, or nearly; in their order."""
    found = []
    for match in COMMAND.finditer(FENCE.sub("", body)):
        name = match["name"].lower()
        command = commands.get(name)
        if command is not None or any(is_near(name, known) for known in commands):
            found.append(Line(name, (match["arguments"] or "").strip()[:ARGUMENTS], command))
    return found


def is_near(typed: str, known: str) -> bool:
    """True when one letter is missing, too many, wrong, or two neighbours changed places. Very short words are near to everything."""
    if typed == known or len(known) < 3 or abs(len(typed) - len(known)) > 1:
        return False
    same = next((n for n, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b), min(len(typed), len(known)))
    left, right = typed[same:], known[same:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right or left == right[1:] or left[1:] == right[1:] or swapped


def may(permission: Permission, command: Command) -> bool:
    """Whether somebody with this permission may give the command."""
    return permission.may_write if command.permission.may_write else permission is not Permission.NONE


def view_of(work: Work, event: CommentEvent, commands: Mapping[str, Command]) -> tuple[ReviewView, str]:
    """The newest review as a command may see it, and the fingerprint of the thread in which the comment stands."""
    ref = event.comment.pull_request
    review = work.reviews.newest(ref)
    known = tuple((command.usage, command.about) for command in commands.values())
    if review is None:
        return ReviewView(None, commands=known), event.finding_marker
    marker = event.finding_marker
    if not marker and event.comment.thread:
        marker = work.effects.fingerprint_of_thread(ref, event.comment.thread)
    settled = review.status in (ReviewStatus.PUBLISHING, ReviewStatus.DONE)
    judged_before = settled or review.status is ReviewStatus.FAILED
    verdict = tellable(review.change, work.reviews.verdict(review.id)) if judged_before else None
    judged = verdict.judged if verdict is not None and settled else ()
    return ReviewView(review.id, settled, judged, _situation(work, review), verdict, known), marker


def _situation(work: Work, review: Review) -> Situation:
    progress = work.outbox.progress(review.id)
    return Situation(
        head=review.change.head,
        status=review.status,
        seconds=work.reviews.age(review.id),
        ahead=progress.ahead,
        error=progress.error,
    )


def _run(context: Context, event: CommentEvent, line: Line, view: ReviewView, marker: str) -> Iterable[Message]:
    if line.command is None:
        usages = tuple(command.usage for command in context.plugins.commands.values())
        return (_say(event, "unknown", render_answer("unknown-command", asked=f"/{line.name}", commands=usages)),)
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


def _send(work: Work, message: AcceptEvent, following: Iterable[Message]) -> None:
    for number, one in enumerate(following):
        key = f"{one.kind}:{message.delivery}:{number}"
        if isinstance(one, StartReview) and one.again:
            # However many ask for it, by a command or by the button: after one review there is one next.
            key = f"start:again:{one.again.removeprefix('after ')}"
        send(work, one, key, priority=INTERACTIVE, group=f"accept:{message.delivery}", hold=HOLD)
