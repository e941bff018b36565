"""Fixes of what stands in the list of a default branch: which are begun, by which policy, and when none may be offered on the host."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

from pipeline.messages import INTERACTIVE, Envelope, ProposeFix, RunFix
from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.model.fix import Fix, FixStatus, Grouping, MemberState
from pipeline.model.ids import FindingId, FixId, RepositoryId
from pipeline.model.review import Change, Conclusion, Review, Verdict
from pipeline.model.target import Installation, SourceRepository
from pipeline.phrases import where
from pipeline.policy import Policy
from pipeline.ports import Fixer
from pipeline.stages.context import Context
from pipeline.stages.ladder import unasked
from pipeline.stages.opening import branch_of
from pipeline.stages.room import is_open
from pipeline.stages.together import wanted_finding
from pipeline.store.sweeps import Listing
from pipeline.store.work import Work
from pipeline.triage.grouped import grouped

PACKAGES = "packages"
"""Among the facts of a scan of everything: the folders that are packages, as JSON."""

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
    return [places[0] for places in _unoffered(work, repository, branch, listing, fixers, passed_over, secrets=secrets)][:most]


def wanted_grouping(work: Work, listing: Listing) -> Grouping:
    """Which findings of the list are mended together, as the policy said when everything was looked at last."""
    return "none" if listing.review is None else Policy.stored(work.reviews.policy(listing.review)).fixes.by


def unoffered_together(
    work: Work,
    repository: RepositoryId,
    branch: str,
    listing: Listing,
    fixers: Sequence[Fixer],
    most: int,
    by: Grouping,
    passed_over: Collection[FindingId] = (),
    *,
    secrets: bool = True,
) -> list[tuple[Finding, ...]]:
    """What one run each is to mend when nobody names a finding, the worst first: at most so many runs. Arguments as of `unoffered`; where
    findings are put together, every place of each is among them."""
    found = _unoffered(work, repository, branch, listing, fixers, passed_over, secrets=secrets)
    places = [place for one in found for place in (one[:1] if by == "none" or one[0].secret is not None else one)]
    facts = {} if listing.review is None else work.reviews.facts(listing.review)
    packages = frozenset(json.loads(str(facts.get(PACKAGES, "[]"))))
    return grouped(places, by, packages)[:most]


def _unoffered(
    work: Work,
    repository: RepositoryId,
    branch: str,
    listing: Listing,
    fixers: Sequence[Fixer],
    passed_over: Collection[FindingId],
    *,
    secrets: bool,
) -> list[list[Finding]]:
    if listing.commit is None:
        return []
    verdict = work.reviews.known_verdict(listing.review) if listing.review is not None else None
    stands = {_place(one.finding) for one in (verdict.judged if verdict else ()) if one.standing is Standing.WAIVED}
    offered = {*passed_over}.union(*(one.findings for one in work.proposals.of_default(repository)))
    for fix in work.fixes.of_default(repository, listing.commit):
        offered |= {one.finding for one in fix.members if fix.status in OVER or one.state is MemberState.LEFT_OUT}
    found = []
    for one in work.findings.listed(repository, branch, "open"):
        places = [place for place in one.places if _place(place) not in stands and unasked(place, fixers)]
        if places and one.id not in offered and (secrets or places[0].secret is None):
            found.append(places)
    return found


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
    also: Sequence[Finding] = (),
    called: str = "",
    asked_by: str,
    openly: bool,
    priority: int = INTERACTIVE,
) -> Fix:
    """The fix run of a finding of the list, on the commit of which the list speaks; begun, or gone on with, as far as it needs that.

    Args:
        places: everything that the default branch has of this identity; each place has its own run.
        also: what the same run is to mend as well.
        called: the handle by which the run and its branch go, when that is not the finding's.
        asked_by: login of the person; empty when the policy asks.
        openly: somebody said yes to a pull request that everybody can read.
    """
    fix_id, made = listed_run(work, installation, repository, listing, finding, places, also=also, called=called, asked_by=asked_by)
    fix = work.fixes.get(fix_id)
    how: Literal["", "openly"] = "openly" if openly else ""
    if made:
        work.outbox.send(Envelope(RunFix(fix_id, how=how), f"run_fix:{fix_id}", priority=priority, group=f"fix:{fix_id}"))
    elif fix.status not in (FixStatus.PENDING, FixStatus.RUNNING):
        key = f"propose_fix:{fix_id}:{uuid.uuid4().hex}"
        work.outbox.send(Envelope(ProposeFix(fix_id, how=how), key, priority=priority, group=f"fix:{fix_id}"))
    return fix


def listed_run(
    work: Work,
    installation: Installation,
    repository: SourceRepository,
    listing: Listing,
    finding: Finding,
    places: Collection[Finding],
    *,
    also: Sequence[Finding] = (),
    called: str = "",
    asked_by: str,
    instructions: str = "",
    choice: str = "",
) -> tuple[FixId, bool]:
    """The row of such a run, and whether it is to be made now; arguments as of `begin_listed`.

    Args:
        instructions: what is wished for; `choice` is what was understood of it.
    """
    commit = listing.commit
    if commit is None:
        raise ValueError("there is no list yet")
    number = work.installations.identify(repository)
    branch = repository.default_branch
    change = Change(repository, base=commit, head=commit, policy_commit=commit, base_ref=branch, head_ref=branch, whole=True)
    named = (finding, *also) if also else tuple(replace(place, handle=finding.handle) for place in places)
    judged = tuple(Judged(place, BaselineState.NEW, Standing.WARNS) for place in named)
    key = f"fixes:{number}:{commit}:{finding.fingerprint}{_beside(also)}"
    review = work.reviews.for_fixes(key, installation, change, Verdict(Conclusion.NEUTRAL, judged))
    place = where(finding) if also or len({where(one) for one in places}) > 1 else ""
    others = [(one.fingerprint, one.handle or "", where(one)) for one in also]
    wished = {"asked_by": asked_by, "instructions": instructions, "choice": choice}
    fix_id, made = work.fixes.create(number, review, finding.fingerprint, finding.handle or "", place, also=others, called=called, **wished)
    if not made and work.fixes.get(fix_id).status in OVER:
        return work.fixes.again(fix_id, **wished), True
    return fix_id, made


def _beside(also: Sequence[Finding]) -> str:
    """What makes the review of a run of several findings another one than that of its first alone."""
    if not also:
        return ""
    named = "\0".join(f"{one.fingerprint} {where(one)}" for one in also)
    return f":{hashlib.sha256(named.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"


def kept_back(context: Context, review: Review, fix: Fix, judged: Sequence[Judged], *, openly: bool) -> str:
    """Why no pull request may be opened for findings of the list, a clause; empty when one may, or when they have one already.

    In a public repository it would tell everybody what the default branch has: a person must have said yes. Of several places of one
    finding only one is offered at a time: they share the finding's branch. And what an open one mends together with others is not offered
    a second time.
    """
    if not context.may_offer(review, openly=openly):
        return "the repository is public, and nobody said yes to telling everybody there"
    mine = {one.finding for one in fix.mends}
    with context.database.read() as work:
        others = [one for one in work.proposals.of_default(fix.repository) if one.fix != fix.id]
        runs = {one.pull_request.number: work.fixes.get(one.fix) for one in others}
        listed = set(work.findings.open_on(fix.repository, review.change.head_ref))
        mended = {one.pull_request.number: _mended(work, runs[one.pull_request.number]) for one in others if one.findings & mine}
    branch = branch_of(fix, review.change)
    sign = context.capabilities(review.installation).reference_sign
    finding = wanted_finding(fix, judged)
    same = [one.finding for one in judged if finding is not None and one.finding.fingerprint == finding.fingerprint]
    here = {where(one) for one in same if one is not finding} - ({where(finding)} if finding is not None else set())
    for one in others:
        number = one.pull_request.number
        moves = branch_of(runs[number], review.change) == branch
        lost = one.findings & listed - {member.finding for member in fix.members}
        said = ""
        if moves and lost:
            said = "mends others of the list as well" if one.findings & mine else "has the branch that it would get"
        elif not moves and one.findings & mine:
            said = "mends it together with others"
        elif moves and len(fix.members) == 1 and here and (not mended[number] or mended[number] in here):
            said = f"mends another place of it{f', {mended[number]}' if mended[number] else ''}"
        if said and is_open(context, review, one.pull_request):
            return f"{sign}{number} {said}; merge or close that one first"
    return ""


def _mended(work: Work, fix: Fix) -> str:
    """The place that a pull request mends, as it was when it was made; empty when nobody remembers."""
    verdict = work.reviews.known_verdict(fix.review)
    finding = None if verdict is None else wanted_finding(fix, verdict.judged)
    return "" if finding is None else where(finding)
