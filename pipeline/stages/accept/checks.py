"""What follows when somebody acts on our check."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.answers import render_button_refused, render_waive_lines
from pipeline.fixanswers import render_fix_answer
from pipeline.messages import INTERACTIVE, AcceptEvent, FixAll, asked
from pipeline.model.event import ButtonEvent, RerunEvent
from pipeline.model.finding import Standing
from pipeline.model.review import Conclusion, Review, ReviewStatus, Verdict
from pipeline.policy import Policy
from pipeline.stages import buttons
from pipeline.stages.accept.sending import send
from pipeline.stages.again import start_again
from pipeline.stages.buttons import BUTTONS
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable
from pipeline.store.reviews import ReviewSummary
from pipeline.store.work import Work
from pipeline.triage.waivers import last_day

log = logging.getLogger(__name__)

REFUSED, WAIVE = "button", "waive"
"""Topics of comments."""


def rerun(context: Context, message: AcceptEvent, event: RerunEvent) -> None:
    """Judge every change again that has this head. A machine gets that once a head: two of them could go on for ever."""
    with context.finish() as work:
        for summary in work.reviews.of_head(event.repository, event.head):
            change = work.reviews.get(summary.id).change
            key = f"start:{message.delivery}:{summary.id}"
            if event.sender.bot:
                subject = change.pull_request.number if change.pull_request else change.head_ref
                key = f"start:machine:{event.repository.external_id}:{event.head}:{subject}"
            send(work, start_again(event.installation, change, message.delivery), key)


def button(context: Context, message: AcceptEvent, event: ButtonEvent) -> None:
    """Do what the button says, for whoever may write. One that this version does not have was shown by another version."""
    pressed = BUTTONS.get(event.identifier)
    with context.database.read() as work:
        reviews = [work.reviews.get(summary.id) for summary in _shown(work, event)]
        overtaken = [] if reviews else _overtaken(work, event)
    if pressed is None or not (reviews or overtaken) or event.sender.bot:
        log.info("button.not_done", extra={"identifier": event.identifier, "reviews": len(reviews)})
        with context.finish():
            return
    # The check shows the worst of all that have this head: that one is meant.
    review = (reviews or overtaken)[0]
    if not context.host(event.installation).permission(event.repository, event.sender).may_write:
        log.info("button.refused", extra={"identifier": event.identifier, "person": event.sender.id})
        _tell(context, review, REFUSED, render_button_refused(pressed.label))
        with context.finish():
            return
    if overtaken:
        _tell(context, review, REFUSED, render_fix_answer("overtaken"))
        with context.finish():
            return
    match pressed:
        case buttons.SCAN_AGAIN:
            _scan_again(context, event, reviews)
        case buttons.FIX_ALL:
            _fix_all(context, message, event, review)
        case _:
            _how_to_waive(context, review)


def _shown(work: Work, event: ButtonEvent) -> list[ReviewSummary]:
    """What stands behind the check of a head, the worst first."""
    summaries = work.reviews.of_head(event.repository, event.head)
    return sorted(summaries, key=lambda summary: -(summary.conclusion or Conclusion.SUCCESS).rank)


def _overtaken(work: Work, event: ButtonEvent) -> list[Review]:
    """Of a pull request that has another head by now, or is closed: its older check still has its buttons."""
    found = [work.reviews.get(review) for review in work.reviews.all_of_head(event.repository, event.head)]
    return [review for review in found if review.change.pull_request is not None]


def _scan_again(context: Context, event: ButtonEvent, reviews: Sequence[Review]) -> None:
    """As `/scan`: however often it is pressed, after one review there is one next."""
    with context.finish() as work:
        for review in reviews:
            send(
                work, start_again(event.installation, review.change, f"after {review.id}"), f"start:again:{review.id}", priority=INTERACTIVE
            )


def _fix_all(context: Context, message: AcceptEvent, event: ButtonEvent, review: Review) -> None:
    """As `/fix all`."""
    with context.finish() as work:
        if review.change.pull_request is not None:
            wanted = FixAll(event.installation, review.id, event.sender)
            send(work, wanted, f"fix_all:{message.delivery}", priority=asked(wanted), group=f"accept:{message.delivery}")


def _how_to_waive(context: Context, review: Review) -> None:
    """A button cannot ask for a reason: the lines to copy are given instead."""
    with context.database.read() as work:
        settled = review.status in (ReviewStatus.PUBLISHING, ReviewStatus.DONE)
        verdict = work.reviews.verdict(review.id) if settled else Verdict(Conclusion.SUCCESS)
        policy = Policy.stored(work.reviews.policy(review.id))
    blocking = tellable(review.change, verdict).standing(Standing.BLOCKS)
    if blocking:
        _tell(context, review, WAIVE, render_waive_lines(blocking, last_day(context.places.today(), policy.waivers.days)))
    with context.finish():
        return


def _tell(context: Context, review: Review, topic: str, body: str) -> None:
    """In one comment for each topic, edited in place: a button has no place for an answer."""
    if review.change.pull_request is not None:
        context.teller(review).ensure_comment(review.change.pull_request, topic, body)
