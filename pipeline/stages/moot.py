"""Pull requests of ours that nobody needs any more: their finding is gone otherwise, or the change that they are for has ended."""

from __future__ import annotations

import logging

from pipeline.branches import OURS
from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.model.finding import BaselineState
from pipeline.model.fix import Fix
from pipeline.model.review import Conclusion, Review
from pipeline.model.target import PullRequestRef, PullRequestState
from pipeline.stages.context import Context
from pipeline.stages.opening import branch_of
from pipeline.stages.room import opened_for
from pipeline.store.proposals import Proposal
from pipeline.store.work import Work

log = logging.getLogger(__name__)

CLOSING_SECONDS = 30.0
"""Longer than it takes as a rule; whoever dies meanwhile holds the next one up no longer."""

JUDGED = (Conclusion.SUCCESS, Conclusion.NEUTRAL, Conclusion.FAILURE)


def close_ended(context: Context, review: Review) -> None:
    """The change of a review is closed or merged: close what was opened onto its branch. One that is open again is left alone."""
    ref = review.change.pull_request
    proposals = _of(context, review)
    left = _left(context, review)
    if ref is None or not (proposals or left):
        return
    word = context.capabilities(review.installation).pull_request_word
    try:
        state = context.host(review.installation).pull_request(ref).state
    except (HostForbidden, HostNotFound):
        return
    if state is not PullRequestState.OPEN:
        ended = "merged" if state is PullRequestState.MERGED else "closed"
        _close(context, review, proposals, f"The {word} that this is for was {ended}, so this one is closed.")
        _remove(context, review, left)


def close_gone(context: Context, review: Review) -> None:
    """The newest commit of a change was looked at whole: close what mends a finding that it does not have any more. After a push to the
    default branch the list of its findings says that."""
    if review.change.pull_request is None:
        _close_unlisted(context, review)
        return
    with context.database.read() as work:
        verdict = work.reviews.verdict(review.id)
    if verdict.incomplete or verdict.conclusion not in JUDGED:
        return
    there = {judged.finding.fingerprint for judged in verdict.judged if judged.baseline is not BaselineState.FIXED}
    moot = [proposal for proposal in _of(context, review) if not any(one.fingerprint in there for one in proposal.mends)]
    _close(context, review, moot, f"{review.change.head} does not bring the finding any more, so this one is closed.")
    _remove(context, review, [fix for fix in _left(context, review) if not any(one.fingerprint in there for one in fix.mends)])


def _close_unlisted(context: Context, review: Review) -> None:
    proposals = _of(context, review)
    if not proposals:
        return
    branch, repository = review.change.head_ref, review.change.repository
    with context.database.read() as work:
        number = work.installations.find_repository(repository)
        listed = set() if number is None else set(work.findings.open_on(number, branch))
    moot = [one for one in proposals if not one.findings & listed]
    if moot:  # most of them have ended long ago
        try:
            standing = {pull.ref.number for pull in context.host(review.installation).open_pull_requests(repository)}
        except (HostForbidden, HostNotFound):
            return
        with context.database.read() as work:
            moot = [one for one in moot if one.pull_request.number in standing or _begun(work, one.pull_request)]
    _close(context, review, moot, f"`{branch}` does not have the finding any more, so this one is closed.")


def _of(context: Context, review: Review) -> list[Proposal]:
    with context.database.read() as work:
        number = work.installations.find_repository(review.change.repository)
        return [] if number is None else opened_for(work, number, review)


def _left(context: Context, review: Review) -> list[Fix]:
    """Fixes of the change of which a branch may stand without a pull request: the host did not say what became of that."""
    ref = review.change.pull_request
    with context.database.read() as work:
        number = work.installations.find_repository(review.change.repository)
        return [] if number is None or ref is None else work.fixes.unopened(number, ref.number)


def _remove(context: Context, review: Review, left: list[Fix]) -> None:
    """Nothing stays behind of what could not be opened."""
    for fix in left:
        try:
            context.host(review.installation).ensure_no_branch(review.change.repository, branch_of(fix, review.change))
        except (HostForbidden, HostNotFound, HostRejected) as refused:
            log.warning("fix.not_closed", extra={"fix_id": fix.id, "code": refused.code})


def _close(context: Context, review: Review, proposals: list[Proposal], why: str) -> None:
    for proposal in proposals:
        try:
            # What follows a check and what follows the list may come to the same end at once: one word is enough.
            with context.memory.lock(_key(proposal.pull_request), CLOSING_SECONDS):
                _close_one(context, review, proposal.pull_request, why)
        except (HostForbidden, HostNotFound, HostRejected) as refused:
            log.warning("fix.not_closed", extra={"fix_id": proposal.fix, "code": refused.code})


def _close_one(context: Context, review: Review, ref: PullRequestRef, why: str) -> None:
    """Whatever ended it: its branch has nothing more to offer. What people added to that branch stays (`ensure_no_branch`). That we are
    about to close it is written down first: whoever goes on after a crash finds it closed, and its branch still there."""
    host = context.host(review.installation)
    now = host.pull_request(ref)
    with context.database.work() as work:
        ours = _begun(work, ref) and now.state is PullRequestState.CLOSED
        if now.state is PullRequestState.OPEN:
            work.effects.intend(_key(ref), context.claimed.epoch)
            ours = True
    host.ensure_closed(ref, why)
    if ours and now.head_ref.startswith(OURS) and not now.from_fork:
        host.ensure_no_branch(ref.repository, now.head_ref)
    if ours:
        with context.database.work() as work:
            work.effects.done(_key(ref), str(ref.number))


def _key(ref: PullRequestRef) -> str:
    source = ref.repository
    return f"close:{source.provider}:{source.instance}:{source.external_id}:{ref.number}"


def _begun(work: Work, ref: PullRequestRef) -> bool:
    """True when we began to close it and nobody knows how far that went."""
    effect = work.effects.get(_key(ref))
    return effect is not None and effect.state == "intended"
