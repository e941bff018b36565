"""Fix runs that a caller of the API asks for: of what the default branch has, or of what a pull request brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.errors import UsageError
from pipeline.messages import INTERACTIVE, Envelope, RunFix
from pipeline.model.finding import Finding
from pipeline.model.fix import MOST_MEMBERS, Fix, FixStatus
from pipeline.model.ids import FindingId, FixId, RepositoryId
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.phrases import where
from pipeline.ports import Fixer
from pipeline.stages.fix import REFINABLE
from pipeline.stages.ladder import unasked
from pipeline.stages.listedfix import listed_run
from pipeline.store.seen import PULL
from pipeline.store.work import Work
from pipeline.wishes import Wish, understand

OVER: Final = (FixStatus.FAILED, FixStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants mended."""

    number: RepositoryId
    source: SourceRepository
    installation: Installation
    branch: str
    """The default branch, or `pull/7` for what pull request 7 brings."""
    findings: Sequence[FindingId]
    """Empty: whatever a fixer knows, the worst first."""
    instructions: str
    by: str
    """Name of who asks."""


def begin_asked(work: Work, fixers: Sequence[Fixer], asked: Asked) -> tuple[FixId, bool]:
    """The fix run of what is asked for, and whether something is to be made now. One that stands already is given again.

    Raises:
        UsageError: nothing can be mended as it is asked: there is no list yet, a finding is not open there, no fixer knows any.
    """
    whole = asked.branch == asked.source.default_branch
    fix_id, made = (_of_list if whole else _of_change)(work, fixers, asked)
    if made:
        _send(work, fix_id, 1)
    return fix_id, made


def refine_asked(work: Work, fix: Fix, instructions: str, by: str) -> None:
    """One more attempt at a run that has its patch.

    Raises:
        UsageError: it has none, or nobody here can follow the instructions.
    """
    if fix.status not in REFINABLE:
        raise UsageError(f"the fix is {fix.status}: only one that has its patch can be refined")
    before = Wish.read(fix.choice)
    understood = understand(instructions, before)
    if understood.unknown:
        raise NotUnderstood(
            "no model is configured, and without one only a few instructions can be followed",
            hint="another way; only FILE; leave FILE out; without the environment sample file",
        )
    if fix.status is FixStatus.PR_CREATION_FAILED:
        work.fixes.move(fix.id, FixStatus.PR_CREATION_FAILED, FixStatus.COMPLETED)
    attempt = work.fixes.refine(fix.id, instructions=instructions, choice=understood.wish.text(), asked_by=by)
    _send(work, fix.id, attempt)


class NotUnderstood(UsageError):
    """Instructions that only a model could follow."""


def _send(work: Work, fix: FixId, attempt: int) -> None:
    run = RunFix(fix, how="held", attempt=attempt)
    key = f"run_fix:{fix}" if attempt == 1 else f"run_fix:{fix}:{attempt}"
    work.outbox.send(Envelope(run, key, priority=INTERACTIVE, group=f"fix:{fix}"))


def _of_list(work: Work, fixers: Sequence[Fixer], asked: Asked) -> tuple[FixId, bool]:
    listing = work.installations.listing(asked.number)
    if listing.commit is None:
        raise UsageError("the default branch was not looked at yet: start a scan, and ask again when it has ended")
    listed = work.findings.listed(asked.number, asked.branch, "open")
    wanted = [one for one in listed if one.id in asked.findings] if asked.findings else listed
    places = [place for one in wanted for place in one.places]
    _must_all_be_there(asked, {one.id for one in wanted})
    first, *also = _at_most(asked, places, fixers)
    same = [place for place in places if place.fingerprint == first.fingerprint]
    choice = understand(asked.instructions).wish.text()
    wished = {"asked_by": asked.by, "instructions": asked.instructions, "choice": choice}
    return listed_run(work, asked.installation, asked.source, listing, first, same, also=also, **wished)


def _of_change(work: Work, fixers: Sequence[Fixer], asked: Asked) -> tuple[FixId, bool]:
    number = asked.branch.removeprefix(PULL)
    ref = PullRequestRef(asked.source, int(number)) if number != asked.branch and number.isdecimal() and len(number) < 10 else None
    review = work.reviews.newest(ref) if ref is not None else None
    if review is None or review.status not in (ReviewStatus.PUBLISHING, ReviewStatus.DONE):
        raise UsageError("findings are known of the default branch, and of changes (`pull/7`) that were judged")
    judged = [one.finding for one in work.reviews.verdict(review.id).judged]
    ids = {finding.fingerprint: work.findings.id_of(asked.number, finding.fingerprint) for finding in judged}
    places = [one for one in judged if not asked.findings or ids[one.fingerprint] in asked.findings]
    _must_all_be_there(asked, {one for one in (ids[finding.fingerprint] for finding in places) if one is not None})
    first, *also = _at_most(asked, places, fixers)
    several = bool(also) or len({where(one) for one in judged if one.fingerprint == first.fingerprint}) > 1
    wished = {"asked_by": asked.by, "instructions": asked.instructions, "choice": understand(asked.instructions).wish.text()}
    others = [(one.fingerprint, one.handle or "", where(one)) for one in also]
    place = where(first) if several else ""
    fix_id, made = work.fixes.create(asked.number, review.id, first.fingerprint, first.handle or "", place, also=others, **wished)
    if not made and work.fixes.get(fix_id).status in OVER:
        return work.fixes.again(fix_id, **wished), True
    return fix_id, made


def _at_most(asked: Asked, places: Sequence[Finding], fixers: Sequence[Fixer]) -> list[Finding]:
    """The places that one run mends: of what nobody named those that a fixer knows."""
    chosen = list(places) if asked.findings else [place for place in places if unasked(place, fixers)]
    if not chosen:
        raise UsageError("nothing is open there that a fixer knows")
    if asked.findings and len(chosen) > MOST_MEMBERS:
        raise UsageError(f"these findings stand in {len(chosen)} places, and one fix mends at most {MOST_MEMBERS}: ask for fewer at a time")
    return chosen[:MOST_MEMBERS]


def _must_all_be_there(asked: Asked, found: set[FindingId]) -> None:
    missing = [one for one in asked.findings if one not in found]
    if missing:
        raise UsageError(f"finding {missing[0]} is not open on {asked.branch} of this source repository")
