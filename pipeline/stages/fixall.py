"""FixAll: a fix for each open finding that a fixer knows; what `/fix all` and the button of a check do."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fixanswers import FixTopic, render_fix_answer
from pipeline.messages import COMMAND, Envelope, FixAll, Reply, RequestFix, ShowFixes
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import FixStatus
from pipeline.model.review import Review, ReviewStatus
from pipeline.phrases import where
from pipeline.stages.buttons import FIX_AT_MOST, fixable
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable
from pipeline.stages.together import is_undecided
from pipeline.store.work import Work

BUTTON = "button"
"""Topic of the comment that answers a button which can do nothing."""


def fix_all(context: Context, message: FixAll) -> None:
    """The worst first, at most so many at a time; what was asked for before is there already, unless it was called off or came to
    nothing by chance, and the rest is gone on with."""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
        why: FixTopic | None = _why_not(work, review)
        wanted = [] if why else fixable(tellable(review.change, work.reviews.verdict(review.id)), context.plugins.fixers)
        asked = [one for one in work.fixes.of_review(review.id) if one.status is not FixStatus.CANCELLED and not is_undecided(one)]
        begun = {(str(fix.handle), fix.place) for fix in asked}
    if not why and not wanted:
        why = "no-fixer"
    pull_request = review.change.pull_request
    if why and message.comment is None and pull_request is not None:
        context.teller(review).ensure_comment(pull_request, BUTTON, render_fix_answer(why))
    places = [] if why else _all(wanted)
    left = [(finding, place) for finding, place in places if (str(finding.handle), place) not in begun]
    before = {(str(finding.handle), place) for finding, place in places} & begun
    names = tuple(dict.fromkeys(place or finding.handle or "" for finding, place in left[:FIX_AT_MOST]))
    rest = max(0, len(left) - FIX_AT_MOST)
    with context.finish() as work:
        if message.comment is not None:
            body = render_fix_answer(why or "fix-all", handles=names, number=len(names), left=rest, before=len(before))
            reply = Reply(message.installation, message.comment, "fix", body)
            work.outbox.send(Envelope(reply, f"reply:fix_all:{context.claimed.id}", priority=COMMAND, group=context.claimed.group))
        if why or pull_request is None:
            return
        for number, (finding, place) in enumerate(left[:FIX_AT_MOST]):
            request = RequestFix(message.installation, review.id, finding.fingerprint, finding.handle or "", message.sender, place=place)
            key = f"request_fix:{context.claimed.id}:{number}"
            work.outbox.send(Envelope(request, key, priority=COMMAND, group=context.claimed.group))
        shown = ShowFixes(review.id)
        work.outbox.send(Envelope(shown, f"show_fixes:{context.claimed.id}", priority=COMMAND, group=context.claimed.group))


def _why_not(work: Work, review: Review) -> FixTopic | None:
    pull_request = review.change.pull_request
    newest = work.reviews.newest(pull_request) if pull_request is not None else None
    if newest is not None and newest.id != review.id and newest.change.head != review.change.head:
        return "overtaken"
    if review.status not in (ReviewStatus.PUBLISHING, ReviewStatus.DONE):
        return "not-finished"
    return None


def _all(wanted: Sequence[Judged]) -> list[tuple[Finding, str]]:
    """Each with its place when its identity has several."""
    several = {one.finding.fingerprint for one in wanted if _places(wanted, one) > 1}
    return [(one.finding, where(one.finding) if one.finding.fingerprint in several else "") for one in wanted]


def _places(found: Sequence[Judged], of: Judged) -> int:
    return len({where(one.finding) for one in found if one.finding.fingerprint == of.finding.fingerprint})
