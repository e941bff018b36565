"""FollowList: what becomes of the pull requests for what a default branch has when its list has moved on.

Those whose finding is gone are closed. One that collides with what was pushed is made anew on the commit of the list, and moves there; one
that does not is left alone. Then as many are begun as the policy wants open, in private repositories only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import CommitMissing, HostForbidden, HostNotFound
from pipeline.messages import BATCH, Envelope, FollowList
from pipeline.model.finding import Finding
from pipeline.model.fix import Fix
from pipeline.model.ids import CommitId, RepositoryId
from pipeline.model.review import Review
from pipeline.policy import Fixes, Policy
from pipeline.stages.context import Context
from pipeline.stages.listedfix import begin_listed, unoffered_together
from pipeline.stages.moot import close_gone
from pipeline.stages.policies import policy_in_force
from pipeline.stages.sources import CommitFiles
from pipeline.stages.together import made_again, mended_findings
from pipeline.store.fixes import Tried
from pipeline.store.work import Work
from pipeline.triage.overlap import collide

log = logging.getLogger(__name__)

DAY = 86_400.0
TRIED_SECONDS = 30 * DAY
"""What no patch passed for is not tried again by itself before."""

TRIES_A_DAY = 10
"""Fixes that are begun for a repository in one day without anybody asking: each puts its tests through the gate."""


def send_follow(work: Work, review: Review, policy: Policy, token: str) -> None:
    """Send the message that follows a list which moved on, where anything can come of it.

    Args:
        token: makes it another one than those before.
    """
    repository = work.installations.identify(review.change.repository)
    if (policy.fixes.at_once and review.change.repository.private) or work.proposals.of_default(repository):
        work.outbox.send(Envelope(FollowList(review.id), f"follow_list:{review.id}:{token}", priority=BATCH))


def follow_list(context: Context, message: FollowList) -> None:
    """Close, make anew, begin. Done once more it finds nothing left to do."""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
        number = work.installations.identify(review.change.repository)
        current = work.installations.listing(number).commit == review.change.head
    if not current:  # whoever brought it further follows it
        with context.finish():
            return
    close_gone(context, review)
    standing = _standing(context, review, number)
    colliding = [fix for fix in standing if _collides(context, fix, review.change.head)]
    wanted = _wanted(context, review)
    with context.finish() as work:
        work.findings.handles(number)  # a lock: two who count at once would begin too many
        tried = work.fixes.tried(number, TRIED_SECONDS)
        for fix in colliding:
            _make_anew(work, review, fix, tried)
        _begin(context, work, review, wanted, len(standing), tried)


def _wanted(context: Context, review: Review) -> Fixes:
    """What the policy of the newest commit wants open: whoever takes the word back is heard with that very push."""
    change = review.change
    if not change.repository.private or not context.host(review.installation).may_propose():
        return Fixes()
    newest = replace(review, change=replace(change, policy_commit=change.head))
    return policy_in_force(context, newest, context.mirror_of(newest)).effective.policy.fixes


def _standing(context: Context, review: Review, number: RepositoryId) -> list[Fix]:
    """The newest fix of every pull request that is open."""
    with context.database.read() as work:
        proposals = work.proposals.of_default(number)
    if not proposals:
        return []
    try:
        listed = {pull.ref.number for pull in context.host(review.installation).open_pull_requests(review.change.repository)}
    except (HostForbidden, HostNotFound):
        return []
    with context.database.read() as work:
        return [work.fixes.get(one.fix) for one in proposals if one.pull_request.number in listed]


def _collides(context: Context, fix: Fix, commit: CommitId) -> bool:
    """Whether the patch of a fix could not be merged any more. Where the patch cannot be made again nobody can say."""
    if not fix.base or fix.base == commit:
        return False
    with context.database.read() as work:
        review, verdict = work.reviews.get(fix.review), work.reviews.known_verdict(fix.review)
    if verdict is None:
        return False
    try:
        mirror = context.mirror_of(review)
    except CommitMissing:  # somebody pushed with force: what it was made on is gone
        return True
    mirror.fetch([(commit, 1)])
    before, now = CommitFiles(mirror, review.change.head), CommitFiles(mirror, commit)
    patch = made_again(context.plugins.fixers, fix, verdict.judged, before)
    return patch is not None and any(
        edit.before is not None and edit.after is not None and collide(edit.before, edit.after, now.read(edit.path)) for edit in patch.edits
    )


def _make_anew(work: Work, review: Review, fix: Fix, tried: Sequence[Tried]) -> None:
    """The fix of a pull request on the commit of the list, unless that is under way, or came to nothing today."""
    mine = {one.finding for one in fix.mends}
    since = [one for one in tried if one.finding in mine and one.fix > fix.id]
    if any(one.live or (one.over and one.age < DAY) for one in since):
        return
    repository, branch = review.change.repository, review.change.repository.default_branch
    listing = work.installations.listing(fix.repository)
    listed = {one.id: one.places for one in work.findings.listed(fix.repository, branch, "open") if one.id in mine}
    verdict = work.reviews.known_verdict(fix.review)
    if verdict is None:
        return
    places = {old.fingerprint: listed.get(member.finding, ()) for member, old in mended_findings(fix, verdict.judged)}
    there: list[Finding] = []
    for _, old in mended_findings(fix, verdict.judged):
        left = [one for one in places[old.fingerprint] if one not in there]
        place = _nearest(old, left) or next(iter(left if len(fix.mends) > 1 else ()), None)
        there += [] if place is None else [place]
    if there:
        begin_listed(
            work,
            review.installation,
            repository,
            listing,
            there[0],
            places[there[0].fingerprint],
            also=there[1:],
            called=fix.handle,
            asked_by=fix.asked_by,
            openly=bool(fix.asked_by),
            priority=BATCH,
        )
        log.info("fix.made_anew", extra={"fix_id": fix.id})


def _nearest(old: Finding, places: Sequence[Finding]) -> Finding | None:
    """Where a place of then is by now; None when its file does not have it any more."""
    same = [place for place in places if place.location.path == old.location.path]
    return min(same, key=lambda place: abs(place.location.line - old.location.line), default=None)


def _begin(context: Context, work: Work, review: Review, wanted: Fixes, standing: int, tried: Sequence[Tried]) -> None:
    """As many as there is room for, the worst first.

    Args:
        standing: how many are open.
    """
    change = review.change
    number = work.installations.identify(change.repository)
    listing = work.installations.listing(number)
    live = {one.finding for one in tried if one.live}
    today = len({one.fix for one in tried if one.by_itself and one.age < DAY})
    room = min(wanted.at_once - standing - len({one.fix for one in tried if one.live}), TRIES_A_DAY - today)
    if room <= 0 or not listing.made:
        return
    passed_over = live | {one.finding for one in tried if one.over}
    fixers = context.plugins.fixers
    for finding, *also in unoffered_together(work, number, change.head_ref, listing, fixers, room, wanted.by, passed_over):
        places = work.findings.places_of(number, change.head_ref, [finding.fingerprint])
        begin_listed(
            work,
            review.installation,
            change.repository,
            listing,
            finding,
            places,
            also=also,
            asked_by="",
            openly=False,
            priority=BATCH,
        )
        log.info("fix.begun_by_itself", extra={"review_id": review.id})
