"""Give a waiver and take it back: what a person's word does to the store and to the changes that it concerns, whoever heard it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pipeline.model.finding import BaselineState, Finding, Judged, Standing, SuppressionKind
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver, WaiverKind
from pipeline.stages.again import judge_again
from pipeline.store.work import Work
from pipeline.triage.waivers import cover, identity

CAN_STAND = (Standing.BLOCKS, Standing.WARNS, Standing.WAIVED)
"""Of what can be waived: what nobody is shown needs no waiver."""


def give(work: Work, wanted: Waiver, judged: Sequence[Judged], finding: Finding, today: date, review: Review, token: str) -> Waiver:
    """Write a waiver down and have what it concerns judged anew. The same word of the same person twice is once; a newer one replaces it.

    Args:
        judged: of the review in which it was given.
        token: makes the messages that follow unique.

    Returns:
        The waiver that holds now.
    """
    # The lock of the repository: a review that is being settled right now either sees this waiver, or is seen by `concerned`.
    work.findings.handles(wanted.repository)
    known = [w for w in work.waivers.of_repository(wanted.repository) if w.kind is wanted.kind]
    covering = cover(known, new_findings(judged), today)(finding)
    path, line = (covering.path, covering.line) if covering else (wanted.path, wanted.line)
    branch, commit = branch_of(review), review.change.head
    for old in known:
        if (old.fingerprint, old.keyed_hash, old.path, old.line) != (wanted.fingerprint, wanted.keyed_hash, path, line):
            continue
        if old.person.id != wanted.person.id or (not old.person.id and old.person.login != wanted.person.login):
            continue
        if (old.reason, old.until) == (wanted.reason, wanted.until):
            return old
        work.waivers.end(old, by=wanted.person, review=review.id, branch=branch, commit=commit, detail="replaced by a newer word")
    made = replace(wanted, path=path, line=line)
    work.waivers.add(made, review=review.id, branch=branch, commit=commit)
    judge_again(work, made.repository, made.fingerprint, made.keyed_hash, token)
    return made


def take_back(
    work: Work,
    kind: WaiverKind,
    repository: RepositoryId,
    judged: Sequence[Judged],
    finding: Finding,
    by: UserRef,
    review: Review,
    token: str,
) -> bool:
    """End every word of that kind about a finding, whoever gave it; False when there was none."""
    work.findings.handles(repository)
    known = [w for w in work.waivers.of_repository(repository) if w.kind is kind]
    # As on the day on which the oldest of them held: expired ones are taken back too.
    covering = cover(known, new_findings(judged), date.min)(finding)
    if covering is None:
        return False
    anchor = (covering.fingerprint, covering.keyed_hash, covering.path, covering.line)
    ended = False
    for old in known:
        same = covering.keyed_hash and old.keyed_hash == covering.keyed_hash and kind is SuppressionKind.ROTATED
        if same or (old.fingerprint, old.keyed_hash, old.path, old.line) == anchor:
            ended |= work.waivers.end(old, by=by, review=review.id, branch=branch_of(review), commit=review.change.head)
    judge_again(work, repository, *identity(finding), token)
    return ended


def new_findings(judged: Sequence[Judged]) -> list[Finding]:
    """Those that a waiver can cover."""
    return [one.finding for one in judged if one.baseline is BaselineState.NEW]


def branch_of(review: Review) -> str:
    """Name of the branch in the history of a finding; a fork's branch may be called like one of ours."""
    change = review.change
    return f"pull/{change.pull_request.number}" if change.pull_request else change.head_ref
