"""Fixes of what stands in the list of a default branch: which are begun, by which policy, and when none may be offered on the host."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

from pipeline.messages import INTERACTIVE, Envelope, ProposeFix, RunFix
from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.model.fix import Fix, FixStatus
from pipeline.model.ids import FindingId, RepositoryId
from pipeline.model.review import Change, Conclusion, Review, Verdict
from pipeline.model.target import Installation, SourceRepository
from pipeline.phrases import where
from pipeline.ports import Fixer
from pipeline.stages.context import Context
from pipeline.stages.ladder import unasked
from pipeline.stages.room import is_open
from pipeline.stages.together import wanted_finding
from pipeline.store.proposals import Proposal
from pipeline.store.sweeps import Listing
from pipeline.store.work import Work

OVER = (FixStatus.FAILED, FixStatus.CANCELLED)


def unoffered(
    work: Work,
    repository: RepositoryId,
    branch: str,
    listing: Listing,
    fixers: Sequence[Fixer],
    most: int,
    passed_over: Collection[FindingId] = (),
    *,
    secrets: bool = True,
) -> list[Finding]:
    """What is mended when nobody names a finding, the worst first: each at its first place, at most so many.

    Left out is what somebody lets stand, what is a guess or has no fixer, what a pull request was opened for before, whatever became of
    it, and what was tried in vain on this commit.

    Args:
        secrets: False where everybody would read where they stand: who wants one mended there names it, and has it revoked before.
    """
    if listing.commit is None:
        return []
    verdict = work.reviews.known_verdict(listing.review) if listing.review is not None else None
    stands = {_place(one.finding) for one in (verdict.judged if verdict else ()) if one.standing is Standing.WAIVED}
    offered = {*passed_over} | {one.finding for one in work.proposals.of_default(repository)}
    offered |= {fix.finding for fix in work.fixes.of_default(repository, listing.commit) if fix.status in OVER}
    found = []
    for one in work.findings.listed(repository, branch, "open"):
        places = [place for place in one.places if _place(place) not in stands and unasked(place, fixers)]
        if places and one.id not in offered and (secrets or places[0].secret is None):
            found.append(places[0])
    return found[:most]


def _place(finding: Finding) -> tuple[str, str, int]:
    return finding.fingerprint, finding.location.path, finding.location.line


def begin_listed(
    work: Work,
    installation: Installation,
    repository: SourceRepository,
    listing: Listing,
    finding: Finding,
    places: Collection[Finding],
    *,
    asked_by: str,
    openly: bool,
    priority: int = INTERACTIVE,
) -> Fix:
    """The fix run of a finding of the list, on the commit of which the list speaks; begun, or gone on with, as far as it needs that.

    Args:
        places: everything that the default branch has of this identity; each place has its own run.
        asked_by: login of the person; empty when the policy asks.
        openly: somebody said yes to a pull request that everybody can read.
    """
    commit = listing.commit
    if commit is None:
        raise ValueError("there is no list yet")
    number = work.installations.identify(repository)
    branch = repository.default_branch
    change = Change(repository, base=commit, head=commit, policy_commit=commit, base_ref=branch, head_ref=branch, whole=True)
    named = (replace(place, handle=finding.handle) for place in places)
    judged = tuple(Judged(place, BaselineState.NEW, Standing.WARNS) for place in named)
    key = f"fixes:{number}:{commit}:{finding.fingerprint}"
    review = work.reviews.for_fixes(key, installation, change, Verdict(Conclusion.NEUTRAL, judged))
    place = where(finding) if len({where(one) for one in places}) > 1 else ""
    fix_id, made = work.fixes.create(number, review, finding.fingerprint, finding.handle or "", place, asked_by=asked_by)
    fix = work.fixes.get(fix_id)
    if not made and fix.status in OVER:
        fix_id, made = work.fixes.again(fix_id, asked_by=asked_by), True
        fix = work.fixes.get(fix_id)
    how: Literal["", "openly"] = "openly" if openly else ""
    if made:
        work.outbox.send(Envelope(RunFix(fix_id, how=how), f"run_fix:{fix_id}", priority=priority, group=f"fix:{fix_id}"))
    elif fix.status not in (FixStatus.PENDING, FixStatus.RUNNING):
        key = f"propose_fix:{fix_id}:{uuid.uuid4().hex}"
        work.outbox.send(Envelope(ProposeFix(fix_id, how=how), key, priority=priority, group=f"fix:{fix_id}"))
    return fix


def kept_back(context: Context, review: Review, fix: Fix, judged: Sequence[Judged], *, openly: bool) -> str:
    """Why no pull request may be opened for a finding of the list, a clause; empty when one may, or when it has one already.

    In a public repository it would tell everybody what the default branch has: a person must have said yes. And of several places of one
    finding only one is offered at a time: they share the finding's branch.
    """
    if not context.may_offer(review, openly=openly):
        return "the repository is public, and nobody said yes to telling everybody there"
    finding = wanted_finding(fix, judged)
    mine = [one.finding for one in judged if one.finding.fingerprint == finding.fingerprint]
    with context.database.read() as work:
        others = [one for one in work.proposals.of_default(fix.repository) if one.finding == fix.finding and one.fix != fix.id]
        mended = {one.pull_request.number: _mended(work, one) for one in others}
    here = {where(one) for one in mine} - {where(finding)}
    for one in others:
        at = mended[one.pull_request.number]
        if here and (at in here or not at) and is_open(context, review, one.pull_request):
            sign = context.capabilities(review.installation).reference_sign
            return f"{sign}{one.pull_request.number} mends another place of it{f', {at}' if at else ''}; merge or close that one first"
    return ""


def _mended(work: Work, proposal: Proposal) -> str:
    """The place that a pull request mends, as it was when it was made; empty when nobody remembers."""
    fix = work.fixes.get(proposal.fix)
    verdict = work.reviews.known_verdict(fix.review)
    return "" if verdict is None else where(wanted_finding(fix, verdict.judged))
