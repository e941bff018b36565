"""What an operator does with a message that was given up: another try that is one, or an end that leaves nothing in progress."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import InternalFault, StaleWrite
from pipeline.lifecycle import REVIEW
from pipeline.messages import (
    BATCH,
    INTERACTIVE,
    EndCheck,
    Envelope,
    Message,
    PublishCheck,
    RunFix,
    RunScan,
    ScanRepository,
    SettleReview,
    StartReview,
    WithdrawReview,
)
from pipeline.model.fix import FixStatus
from pipeline.model.review import Review, ReviewStatus
from pipeline.stages.again import start_again
from pipeline.stages.endcheck import send_end
from pipeline.stages.give_up import fail_review
from pipeline.store.letters import DeadMessage
from pipeline.store.work import Work


def retry(work: Work, letter: DeadMessage, token: str) -> bool:
    """Try a given-up message again, from the start. False when it is not to be had any more, what it was about neither, or when this
    version cannot read it.

    A review that ended as "could not check" is over, and what carried it would find nothing to do: the same change is judged anew, with
    a check of its own, and the old check shows that verdict too. So with a repository's whole scan and with a fix.

    Args:
        token: makes the new run another one than those before.
    """
    if letter.message is None:
        return False
    try:
        instead = _instead(work, letter.message, token)
    except StaleWrite:  # what it was about was forgotten since (retention)
        return False
    if instead is None:
        return work.outbox.revive(letter.id)
    if not work.outbox.bury(letter.id):
        return False
    work.outbox.send(instead)
    return True


def drop(work: Work, letter: DeadMessage) -> bool:
    """Forget a given-up message. False when there is none. Whatever review it was to carry ends, and its check with it."""
    if not work.outbox.bury(letter.id):
        return False
    try:
        carried = _carried(work, letter.message)
    except StaleWrite:  # forgotten since (retention), and its check long ended
        return True
    for review in carried:
        if REVIEW.terminal(review.status):
            send_end(work, review.id, letter.id)  # does nothing to a check that has ended
        else:
            fail_review(work, review.id, InternalFault("it was given up"))
    return True


def _instead(work: Work, message: Message, token: str) -> Envelope | None:
    """The message that really tries again; None when that one can."""
    match message:
        case StartReview():
            failed = any(review.status is ReviewStatus.FAILED for review in _started(work, message))
            return Envelope(replace(message, again=token), f"start:again:{token}") if failed else None
        case RunScan() | PublishCheck() | EndCheck() | SettleReview(again=False):
            review = work.reviews.get(message.review)
            if review.status is not ReviewStatus.FAILED:
                return None
            if work.asked.of_review(review.id) is not None:
                return None  # its batch is over, and whoever asked for it was told so
            if review.change.whole:
                whole = ScanRepository(review.installation, review.change.repository, "asked")
                return Envelope(whole, f"scan_repository:again:{token}", priority=BATCH)
            return Envelope(start_again(review.installation, review.change, token), f"start:again:{token}")
        case RunFix():
            if work.fixes.get(message.fix).status is not FixStatus.FAILED:
                return None
            fix = work.fixes.again(message.fix)
            return Envelope(replace(message, fix=fix, attempt=1), f"run_fix:{fix}", priority=INTERACTIVE, group=f"fix:{fix}")
        case _:
            return None


def _carried(work: Work, message: Message | None) -> list[Review]:
    match message:
        case StartReview():
            return _started(work, message)
        case RunScan() | PublishCheck() | WithdrawReview() | SettleReview(again=False):
            return [work.reviews.get(message.review)]
        case _:
            return []


def _started(work: Work, message: StartReview) -> list[Review]:
    """The reviews that a message has begun: of a pull request the newest, of a push those of its commit."""
    if message.pull_request is not None:
        newest = work.reviews.newest(message.pull_request)
        return [] if newest is None else [newest]
    if not message.after:
        return []
    found = [work.reviews.get(review) for review in work.reviews.all_of_head(message.repository, message.after)]
    return [review for review in found if review.change.pull_request is None]
