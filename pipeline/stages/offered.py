"""Whose page is it? Of a pull request of ours, the fix that it offers: whoever comments there speaks of that."""

from __future__ import annotations

from pipeline.branches import OURS
from pipeline.model.command import Mending
from pipeline.model.event import CommentRef
from pipeline.model.fix import Fix
from pipeline.model.ids import FixId
from pipeline.model.review import Review
from pipeline.model.target import PullRequestRef
from pipeline.stages.together import wanted_finding
from pipeline.store.work import Work


def fix_at(work: Work, ref: PullRequestRef) -> Fix | None:
    """The fix of a pull request of ours: what is made to take the place of its patch, else the newest run that it carries, or that was
    begun in the place of that one. None of another pull request."""
    number = work.installations.find_repository(ref.repository)
    newest = None if number is None else work.proposals.at(number, ref.number)
    if newest is None:
        return None
    fix = work.fixes.get(newest)
    while fix.replaced_by:
        fix = work.fixes.get(FixId(fix.replaced_by))
    return next(iter(work.fixes.live_beside(fix)), fix)


def mending(work: Work, ref: PullRequestRef, review: Review | None) -> Mending | None:
    """What a pull request of ours mends; None of another one.

    Args:
        review: the newest one of that pull request.
    """
    if review is not None and (review.change.from_fork or not review.change.head_ref.startswith(OURS)):
        return None  # most: nothing has to be looked for
    fix = fix_at(work, ref)
    if fix is None:
        return None
    change = work.reviews.get(fix.review).change
    verdict = work.reviews.known_verdict(fix.review)
    finding = None if verdict is None else wanted_finding(fix, verdict.judged)
    return Mending(fix, work.fixes.fingerprint(fix.id), finding, openly=change.whole and not change.repository.private)


def on_its_page(review: Review, comment: CommentRef | None) -> bool:
    """Whether a comment that asks for a fix stands on the pull request that offers it, not on that of its change."""
    change = review.change.pull_request
    return comment is not None and (change is None or change.number != comment.pull_request.number)
