"""Waive: a person's word that a finding may stand, checked anew when it is written down."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.answers import WaiverTopic, render_answer, render_waiver_answer
from pipeline.messages import COMMAND, Envelope, Reply, Waive
from pipeline.model.finding import BaselineState, Finding, Judged, SuppressionKind
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver, WaiverKind
from pipeline.phrases import where
from pipeline.policy import Policy
from pipeline.stages.context import Context
from pipeline.stages.give_waiver import CAN_STAND, give, take_back
from pipeline.store.work import Work
from pipeline.triage.waivers import identity, is_own, last_day, reason_fault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a waiver is not written down; the arguments of the answer."""

    topic: WaiverTopic
    last: date | None = None


def waive(context: Context, message: Waive) -> None:
    """Check the sender and what he says as things are now, write it down, and have every open change judged anew that has the finding."""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
        judged = work.reviews.verdict(review.id).judged
        policy = Policy.stored(work.reviews.policy(review.id))
    host = context.host(message.installation)
    if not host.permission(review.change.repository, message.sender).may_write:
        usage = "/rotated HANDLE" if message.suppression is SuppressionKind.ROTATED else "/waive HANDLE reason [until DATE]"
        _finish(context, message, render_answer("permission", command=usage))
        return
    finding = meant(judged, message.fingerprint, message.place)
    if finding is None:
        _finish(context, message, render_answer("gone", handle=message.handle))
        return
    if message.end:
        _take_back(context, message, review, judged, finding)
        return
    today = context.places.today()
    refusal = _refusal(context, message, review, policy, finding, today)
    if refusal is not None:
        log.info("waiver.refused", extra={"review_id": review.id, "why": refusal.topic})
        _finish(context, message, _said(message, refusal.topic, until=refusal.last))
        return
    with context.finish() as work:
        wanted = _wanted(message, review, work.installations.identify(review.change.repository), finding, policy, today)
        wanted = give(work, wanted, judged, finding, today, review, context.claimed.id)
        kind: WaiverTopic = "rotated" if wanted.kind is SuppressionKind.ROTATED else "waived"
        _reply(work, context, message, _said(message, kind, until=wanted.until, reason=wanted.reason))


def meant(judged: Sequence[Judged], fingerprint: str, place: str = "") -> Finding | None:
    """The new finding of a review that a message means; None when the review does not have it (any more)."""
    for one in judged:
        finding = one.finding
        can_stand = one.baseline is BaselineState.NEW and one.standing in CAN_STAND
        if can_stand and finding.fingerprint == fingerprint and place in ("", where(finding)):
            return finding
    return None


# --- inside -----------------------------------------------------------------------------------------------------------------------------


def _refusal(context: Context, message: Waive, review: Review, policy: Policy, finding: Finding, today: date) -> Refusal | None:
    rotated = message.suppression is SuppressionKind.ROTATED
    if rotated and finding.secret is None:
        return Refusal("not-a-secret")
    if not policy.waivers.by_author and _own(context, review, message.sender):
        return Refusal("own-rotated" if rotated else "own")
    if rotated:
        return None
    fault = reason_fault(message.reason)
    if fault:
        return Refusal("no-reason" if fault == "none" else "short-reason" if fault == "short" else "long-reason")
    last = last_day(today, policy.waivers.days)
    if message.until is not None and message.until < today:
        return Refusal("past", today)
    if message.until is not None and message.until > last:
        return Refusal("late", last)
    return None


def _own(context: Context, review: Review, sender: UserRef) -> bool:
    """True when the sender opened the pull request, pushed to it, or is known to the host as author or committer of one of its commits."""
    change = review.change
    author = change.author.id if change.author else ""
    if is_own(sender.id, author, ()):
        return True
    if change.pull_request is None:
        return False
    with context.database.read() as work:
        repository = work.installations.find_repository(change.repository)
        pushed = work.waivers.pushers(repository, change.pull_request.number) if repository is not None else frozenset()
    authors = {user.id for user in context.host(review.installation).authors(change.pull_request)}
    return is_own(sender.id, author, pushed | authors)


def _wanted(message: Waive, review: Review, repository: RepositoryId, finding: Finding, policy: Policy, today: date) -> Waiver:
    rotated = message.suppression is SuppressionKind.ROTATED
    number = review.change.pull_request.number if review.change.pull_request else None
    return Waiver(
        id="",
        repository=repository,
        kind=SuppressionKind.ROTATED if rotated else SuppressionKind.WAIVER,
        fingerprint=finding.fingerprint,
        handle=message.handle,
        reason=message.reason or ("revoked" if rotated else ""),
        person=message.sender,
        since=today,
        until=None if rotated else message.until or last_day(today, policy.waivers.days),
        keyed_hash=identity(finding)[1],
        path=finding.location.path,
        line=finding.location.line,
        pull_request=number,
    )


def _take_back(context: Context, message: Waive, review: Review, judged: Sequence[Judged], finding: Finding) -> None:
    kind: WaiverKind = SuppressionKind.ROTATED if message.suppression is SuppressionKind.ROTATED else SuppressionKind.WAIVER
    with context.finish() as work:
        repository = work.installations.identify(review.change.repository)
        ended = take_back(work, kind, repository, judged, finding, message.sender, review, context.claimed.id)
        _reply(work, context, message, _said(message, "taken-back" if ended else "not-waived"))


def _said(message: Waive, topic: WaiverTopic, *, until: date | None = None, reason: str = "") -> str:
    return render_waiver_answer(topic, handle=message.handle, place=message.place, until=until, reason=reason)


def _finish(context: Context, message: Waive, body: str) -> None:
    with context.finish() as work:
        _reply(work, context, message, body)


def _reply(work: Work, context: Context, message: Waive, body: str) -> None:
    """One answer for each line of a comment: the key of the message tells them apart."""
    if message.comment is not None:
        answer = Reply(message.installation, message.comment, context.claimed.key, body)
        work.outbox.send(Envelope(answer, f"reply:{context.claimed.id}", priority=COMMAND, group=context.claimed.group))
