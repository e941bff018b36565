"""PublishCheck, WithdrawReview, Reply: what the host shows of a review, each effect keyed so that twice is once."""

from __future__ import annotations

import logging

from pipeline.errors import HostForbidden, HostNotFound, StoreUnavailable
from pipeline.messages import HOLD, Envelope, PublishCheck, Reply, Speak, WithdrawReview
from pipeline.model.ids import CommitId
from pipeline.model.review import Conclusion, ReviewStatus
from pipeline.model.target import CommitRef, Installation, SourceRepository
from pipeline.reports.markdown import render_check, render_withdrawn
from pipeline.stages.announce import show_check
from pipeline.stages.attention import candidates
from pipeline.stages.buttons import buttons
from pipeline.stages.context import Context
from pipeline.stages.disclosure import retractable
from pipeline.stages.moot import close_ended, close_gone
from pipeline.stages.note import report_of, shown
from pipeline.stages.plan import check_key

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""Longer than a check takes to write. A host that is slower than that is why each turn has a number."""
TURNS = 5
UNSETTLED = (ReviewStatus.PLANNED, ReviewStatus.SCANNING, ReviewStatus.SETTLING)


def publish_check(context: Context, message: PublishCheck) -> None:
    """Finish the check of a settled (or given up) review, then let it speak. One that was published before is shown again."""
    review = context.wanted(message.review, ReviewStatus.PUBLISHING, ReviewStatus.FAILED, ReviewStatus.DONE)
    publish_head(context, review.installation, review.change.repository, review.change.head)
    close_gone(context, review)
    needs_note = review.change.pull_request is not None and not context.capabilities(review.installation).check_pages
    with context.finish() as work:
        if review.status is ReviewStatus.PUBLISHING:
            work.reviews.move(review.id, ReviewStatus.PUBLISHING, ReviewStatus.DONE)
            # Read after the move: whoever marks it ready meanwhile either waits for us and sees it done, or is seen here.
            change = work.reviews.get(review.id).change
            speaks = change.pull_request is not None and (needs_note or not change.draft)
        else:
            speaks = needs_note and review.status is ReviewStatus.FAILED
        if speaks:
            work.outbox.send(Envelope(Speak(review.id), f"speak:{review.id}", group=review.id, hold=HOLD))


def publish_head(
    context: Context,
    installation: Installation,
    repository: SourceRepository,
    head: CommitId,
    threaded: frozenset[str] | None = None,
) -> None:
    """Show on a commit the worst verdict of all open changes that have it as their head.

    While one of them is not settled yet none is finished: the last to settle finishes all. A second pull request with the same head
    and a lax base can so never turn the first one green. Checks of reviews that ended say the same: hosts look at the newest check,
    whichever that is.

    Args:
        threaded: fingerprints that have a thread, once that is known; before, those that may get one are held back from annotations.
    """
    for _ in range(TURNS):
        if _publish_head(context, installation, repository, head, threaded):
            return
    raise StoreUnavailable(f"the check of {head[:7]} was written by others {TURNS} times while we wrote it")


def _publish_head(
    context: Context, installation: Installation, repository: SourceRepository, head: CommitId, threaded: frozenset[str] | None
) -> bool:
    """One turn; False when somebody else began a newer one meanwhile: our lock ran out in a call that took too long, and that call may
    have covered what he wrote. Then it is looked at again, and whoever looks last leaves what is true."""
    name = lock_of(repository, head)
    capabilities = context.capabilities(installation)

    def overtaken() -> bool:
        with context.database.read() as work:
            newest = work.effects.get(name)
        return newest is None or newest.epoch != turn

    with context.database.read() as work:
        known = [work.reviews.get(summary.id) for summary in work.reviews.of_head(repository, head)]
    for one in known:
        context.may_tell(one)  # asks the host, which no transaction should wait for; the answer is kept
    with context.memory.lock(name, LOCK_SECONDS):
        with context.database.work() as work:
            summaries = [s for s in work.reviews.of_head(repository, head) if context.may_tell(work.reviews.get(s.id))]
            if not summaries or any(summary.status in UNSETTLED for summary in summaries):
                return True
            turn = work.effects.next(name)
            worst = max(summaries, key=lambda summary: (summary.conclusion or Conclusion.SUCCESS).rank)
            review = work.reviews.get(worst.id)
            report = report_of(context, work, review, shown(review, work.reviews.verdict(worst.id), capabilities))
            everyone = work.reviews.all_of_head(repository, head)
        held = candidates(context, review, report.verdict) if threaded is None else threaded
        actions = buttons(review.change, report.verdict, context.plugins.fixers, context.host(installation).may_propose)
        for one_of in everyone:
            check = render_check(report, capabilities, key=check_key(one_of), threaded=held, actions=actions)
            show_check(context, CommitRef(repository, head), one_of, retractable(review.change, check))
            if overtaken():
                return False
    return True


def lock_of(repository: SourceRepository, head: CommitId) -> str:
    """The name of the lock under which the check of a commit is written, and of the count of its turns."""
    return f"check:{repository.provider}:{repository.instance}:{repository.external_id}:{head}"


def withdraw_review(context: Context, message: WithdrawReview) -> None:
    """End the check of a review that has no verdict of its own, unless its head is judged through another change too; with its change end
    the pull requests of ours that are for it."""
    withdraw(context, message)
    with context.database.read() as work:
        review = work.reviews.get(message.review)
    close_ended(context, review)
    with context.finish():
        return


def withdraw(context: Context, message: WithdrawReview) -> None:
    """The same as a part of another message."""
    with context.database.work() as work:
        review = work.reviews.get(message.review)
        others = [s for s in work.reviews.of_head(review.change.repository, review.change.head) if s.id != review.id]
    if others and not message.hide:
        publish_head(context, review.installation, review.change.repository, review.change.head)
    elif review.status is ReviewStatus.CANCELLED or message.hide:
        check = render_withdrawn(message.title, key=check_key(review.id), conclusion=message.conclusion)
        commit = CommitRef(review.change.repository, review.change.head)
        try:
            show_check(context, commit, review.id, check, blank=True)
        except (HostNotFound, HostForbidden) as gone:
            log.info("check.nothing_to_withdraw", extra={"review_id": review.id, "code": gone.code})


def reply(context: Context, message: Reply) -> None:
    """Answer a comment."""
    context.host(message.installation).ensure_reply(message.comment, message.topic, message.body)
    with context.finish():
        return
