"""Decide: what a person says of a finding through the API, and whether a gate is lifted by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipeline.errors import UsageError
from pipeline.model.finding import BaselineState, Finding, Judged, SuppressionKind
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver
from pipeline.policy import Policy
from pipeline.stages.again import judge_again
from pipeline.stages.give_waiver import CAN_STAND, give
from pipeline.store.listing import Listed
from pipeline.store.work import Work
from pipeline.triage.waivers import identity, last_day, reason_fault

BY_KEY = "key:"
"""How the number of who waives begins when it is a key: no host has such numbers."""


def lift(work: Work, listed: Listed, person: UserRef, reason: str, until: date | None, today: date, token: str) -> Waiver:
    """Let a finding stand in the name of a key, wherever it is or comes to be, as `/waive` does.

    Args:
        reason: empty: that it was said through the API is reason enough.
        until: None: as long as the policy allows.
        token: makes the messages that follow unique.

    Raises:
        UsageError: the reason says too little, or the last day is not one that the policy allows.
    """
    said = reason.strip() or f"set to {listed.status} through the API"
    if reason_fault(said):
        raise UsageError("a waiver needs a reason of 8 to 500 characters that somebody else can judge")
    judged_in = _judged(work, listed.repository, listed.finding.fingerprint)
    policy = _policy(work, listed.repository, judged_in[0] if judged_in else None)
    last = last_day(today, policy.waivers.days)
    if until is not None and not today <= until <= last:
        raise UsageError(f"the last day lies between {today.isoformat()} and {last.isoformat()}: the policy says how long one may hold")
    finding = judged_in[2] if judged_in else listed.finding
    number = judged_in[0].change.pull_request.number if judged_in and judged_in[0].change.pull_request else None
    wanted = Waiver(
        id="",
        repository=listed.repository,
        kind=SuppressionKind.WAIVER,
        fingerprint=finding.fingerprint,
        handle=listed.finding.handle or "",
        reason=said,
        person=person,
        since=today,
        until=until or last,
        keyed_hash=identity(finding)[1],
        path=finding.location.path,
        line=finding.location.line,
        pull_request=number,
    )
    if judged_in:
        review, judged, _ = judged_in
        return give(work, wanted, judged, finding, today, review, token)
    # No open change has it: it holds for those that will.
    work.findings.handles(listed.repository)
    take_back(work, listed, person, token)
    work.waivers.add(wanted, review=None, branch=listed.branch, commit=listed.commit)
    return wanted


def take_back(work: Work, listed: Listed, person: UserRef, token: str) -> bool:
    """End what keys let stand of a finding; what people said on the code host stays. False when there was none."""
    ended = False
    for old in work.waivers.of_repository(listed.repository):
        if old.fingerprint == listed.finding.fingerprint and old.person.id.startswith(BY_KEY):
            ended |= work.waivers.end(old, by=person, review=None, branch=listed.branch, commit=listed.commit)
    if ended:
        judge_again(work, listed.repository, *identity(listed.finding), token)
    return ended


def lifted(work: Work, listed: Listed, today: date) -> bool:
    """Whether somebody's word lets it stand today."""
    mine = [one for one in work.waivers.of_repository(listed.repository) if one.fingerprint == listed.finding.fingerprint]
    return any(not one.expired(today) for one in mine)


def _judged(work: Work, repository: RepositoryId, fingerprint: str) -> tuple[Review, Sequence[Judged], Finding] | None:
    """The newest review of an open change that has it as something new."""
    for identifier in reversed(work.waivers.concerned(repository, fingerprint)):
        review = work.reviews.get(identifier)
        if identifier not in work.waivers.judged_subjects(repository):
            continue
        judged = work.reviews.verdict(identifier).judged
        for one in judged:
            if one.finding.fingerprint == fingerprint and one.standing in CAN_STAND and one.baseline is BaselineState.NEW:
                return review, judged, one.finding
    return None


def _policy(work: Work, repository: RepositoryId, review: Review | None) -> Policy:
    if review is not None:
        return Policy.stored(work.reviews.policy(review.id))
    known = work.policies.last_good(repository)
    return Policy.stored(known[0]) if known is not None else Policy()
