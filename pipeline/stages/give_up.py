"""What is done when a message cannot be done: nothing stays in progress for ever, and nothing turns green by accident."""

from __future__ import annotations

import logging

from pipeline.answers import render_answer
from pipeline.errors import Blame, CommitMissing, FixwrightError, ObjectsRefused
from pipeline.lifecycle import REVIEW
from pipeline.messages import (
    BATCH,
    INTERACTIVE,
    Envelope,
    FixAll,
    Message,
    ProposeFix,
    PublishCheck,
    PurgeRepository,
    Reply,
    RequestFix,
    RunFix,
    RunScan,
    ScanRepository,
    SettleReview,
    ShowFixes,
    StartReview,
    Waive,
    WithdrawReview,
)
from pipeline.model.fix import FixStatus
from pipeline.model.ids import ReviewId
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.scan import Coverage, ScanStatus
from pipeline.policy import Policy
from pipeline.stages.asked import give_up_asked
from pipeline.stages.endcheck import send_end
from pipeline.stages.fix import nothing_better
from pipeline.stages.sweep import DAY, abandon, make_room
from pipeline.store.identifiers import new_id
from pipeline.store.work import Work
from pipeline.triage.baseline import Compared
from pipeline.triage.gate import ScanFailure, decide_verdict

log = logging.getLogger(__name__)


def give_up(work: Work, message: Message, error: FixwrightError) -> None:
    """Record what follows from a dead message, in the transaction that makes it dead: its review ends as "could not check", its fix as
    failed. Where that cannot be recorded the message is dead all the same, so that one such message does not stop all others;
    but what the database says itself (busy, away) passes through, and undoes all of it."""
    try:
        with work.apart():
            _give_up(work, message, error)
    except (FixwrightError, ValueError) as failure:
        log.error("message.ending_lost", extra={"kind": message.kind, "code": error.code, "error": str(failure)})


def _give_up(work: Work, message: Message, error: FixwrightError) -> None:
    match message:
        case SettleReview(again=True):
            # The verdict that stands was true when it was given; whoever asks again gets another try.
            log.error("review.not_judged_anew", extra={"review_id": message.review, "code": error.code})
        case RunScan() | SettleReview():
            fail_review(work, message.review, error)
        case ScanRepository() if message.scan is not None:
            give_up_asked(work, message, ScanStatus.FAILED, error.message, new_id())
        case ScanRepository():
            number = work.installations.find_repository(message.repository)
            if number is not None:
                under_way = work.reviews.live_whole(number)
                if under_way is not None:
                    work.reviews.move(under_way.id, under_way.status, ReviewStatus.FAILED)
                abandon(work, number, error, under_way.id if under_way else new_id())
        case StartReview():
            for review in _planned(work, message):
                fail_review(work, review, error)
        case RunFix():
            fix = work.fixes.get(message.fix)
            if fix.status in (FixStatus.PENDING, FixStatus.RUNNING):
                work.fixes.fail(fix.id, error.message)
                if work.fixes.get(fix.id).status is FixStatus.COMPLETED:
                    nothing_better(work, message, fix, error.message)
                    return
                told = Envelope(ProposeFix(fix.id, message.comment), f"propose_fix:{fix.id}:{new_id()}", group=f"fix:{fix.id}")
                work.outbox.send(told)
        case PublishCheck() | WithdrawReview():
            _not_shown(work, message.review)
        case Waive() | RequestFix() | FixAll():
            _answer(work, message, error)
        case ProposeFix():
            _not_offered(work, message, error)
        case PurgeRepository():
            # Who removed a repository wants it forgotten, whatever it is that fails.
            work.outbox.send(Envelope(message, f"purge:{message.repository}:{new_id()}", priority=BATCH, delay=DAY))
        case _:
            # Nobody waits for it, or it is found again: by a sweep, and what a ShowCheck would have said by the next walk over open heads.
            pass


def _not_shown(work: Work, identifier: ReviewId) -> None:
    """The check of a review could not be written: a simpler one is tried, which only asks for action."""
    review = work.reviews.get(identifier)
    if not REVIEW.terminal(review.status):
        work.reviews.move(identifier, review.status, ReviewStatus.FAILED)
    send_end(work, identifier, new_id())


def _not_offered(work: Work, message: ProposeFix, error: FixwrightError) -> None:
    """The state of the fix says it; who asked in a comment is told, and who asked in none sees it in the comment that lists them."""
    fix = work.fixes.get(message.fix)
    if fix.status is FixStatus.COMPLETED:
        failed = FixStatus.PR_CREATION_FAILED if fix.pull_request is None else FixStatus.PR_UPDATE_FAILED
        work.fixes.move(fix.id, FixStatus.COMPLETED, failed, error=error.message)
    if message.comment is None and not work.reviews.get(fix.review).change.whole:
        work.outbox.send(Envelope(ShowFixes(fix.review), f"show_fixes:{new_id()}", priority=INTERACTIVE))
    _answer(work, message, error)


def _answer(work: Work, message: Waive | RequestFix | FixAll | ProposeFix, error: FixwrightError) -> None:
    """Tell who asked in a comment that nothing comes of it."""
    review = work.fixes.get(message.fix).review if isinstance(message, ProposeFix) else message.review
    if message.comment is not None:
        body = render_answer("given-up", error=error.message)
        reply = Reply(work.reviews.get(review).installation, message.comment, f"given-up:{message.kind}", body)
        work.outbox.send(Envelope(reply, f"reply:given-up:{new_id()}", priority=INTERACTIVE))


def fail_review(work: Work, identifier: ReviewId, error: FixwrightError) -> None:
    """End a live review without a verdict of the engines; its check says why."""
    review = work.reviews.get(identifier)
    if REVIEW.terminal(review.status):
        return
    blame: Blame = "change" if isinstance(error, CommitMissing | ObjectsRefused) else "us"
    failure = ScanFailure(None, "", error.message, blame)
    nothing = Compared((), (), (), ())
    stored = work.reviews.policy(identifier)
    policy = Policy.stored(stored) if stored else Policy()
    work.reviews.save_verdict(
        identifier, decide_verdict(policy=policy, compared=nothing, coverage=Coverage(), added={}, failures=[failure])
    )
    asked = work.asked.of_review(identifier)
    work.reviews.move(identifier, review.status, ReviewStatus.FAILED, why=error.message)
    if asked is not None:
        make_room(work, asked.source, identifier)
        return
    if review.change.whole:
        abandon(work, work.installations.identify(review.change.repository), error, identifier)
        return
    if _is_listed(review):
        # The list of findings misses this push now.
        work.installations.want_scan(work.installations.identify(review.change.repository))
    work.outbox.send(Envelope(PublishCheck(identifier), f"publish:{identifier}:failed", group=identifier))


def _is_listed(review: Review) -> bool:
    change = review.change
    return change.pull_request is None and not change.queued and change.head_ref == change.repository.default_branch


def _planned(work: Work, message: StartReview) -> list[ReviewId]:
    if message.pull_request is not None:
        return [review.id for review in work.reviews.live_of(message.pull_request) if review.status is ReviewStatus.PLANNED]
    return work.reviews.planned_of(message.repository, message.after) if message.after else []
