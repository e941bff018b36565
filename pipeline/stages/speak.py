"""Speak: open threads for what may be said on its line, resolve those whose finding is gone, keep the sticky comment true.

A reader's attention is the dearest thing we spend. A thread is opened only for a secret, for a finding whose fix has passed
the gate, or for one of a rule that was measured well enough (`pipeline.triage.precision`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.errors import HostRejected
from pipeline.messages import Envelope, StartReview
from pipeline.messages import Speak as SpeakMessage
from pipeline.model.finding import BaselineState, Judged, Standing
from pipeline.model.ids import CommitId
from pipeline.model.report import Report, Thread, ThreadRef
from pipeline.model.review import Review, ReviewStatus, Verdict
from pipeline.model.target import PullRequestRef, PullRequestState
from pipeline.policy import Policy
from pipeline.ports import CodeHost
from pipeline.reports.markdown import render_comment, render_waived
from pipeline.stages.ahead import AHEAD_SECONDS, Offer, offers_ahead, threads_ahead
from pipeline.stages.attention import candidates, is_own_fix, speakable_of, voices_near
from pipeline.stages.context import Context
from pipeline.stages.note import report_of, shown, write_note
from pipeline.stages.prove import CommitFiles
from pipeline.stages.publish import publish_head
from pipeline.stages.threads import Threads, remember
from pipeline.triage.diff import Added

log = logging.getLogger(__name__)

BUSY_ATTEMPTS = 3
"""While no program can be started nothing is said, so often; then without what could not be checked: a person waits to read it."""


def speak(context: Context, message: SpeakMessage) -> None:
    """Bring the threads and the sticky comment of a pull request to what its newest review says."""
    review = context.wanted(message.review, ReviewStatus.DONE, ReviewStatus.FAILED)
    ref = review.change.pull_request
    if ref is None:
        with context.finish():
            return
    host = context.teller(review)
    current = host.pull_request(ref)
    there = current.head == review.change.head and current.state is PullRequestState.OPEN
    if not there or current.draft or review.status is ReviewStatus.FAILED:
        if there and not host.capabilities.check_pages:
            _note_alone(context, host, ref, review)
        with context.finish() as work:
            if current.draft and work.reviews.set_draft(review.id, True):
                # It became a draft again, and may be ready again by the time we say so: who looks next tells it then.
                look = StartReview(review.installation, ref.repository, pull_request=ref)
                work.outbox.send(Envelope(look, f"start:draft:{context.claimed.id}", group=review.id))
        return
    _speak(context, host, ref, review)


def _note_alone(context: Context, host: CodeHost, ref: PullRequestRef, review: Review) -> None:
    """Nobody is to be told on a line of a draft, or of a review that came to nothing. What the check would say on its page stands in the
    comment all the same."""
    with context.database.work() as work:
        whole = work.reviews.verdict(review.id)
        report = report_of(context, work, review, shown(review, whole, host.capabilities))
        known = Threads.read(work, ref)
    listed = _listed(report.verdict)
    write_note(host, ref, review, whole, report, frozenset(known.resolved_by) & {j.finding.fingerprint for j in listed})


def _speak(context: Context, host: CodeHost, ref: PullRequestRef, review: Review) -> None:
    capabilities = host.capabilities
    with context.database.work() as work:
        whole = work.reviews.verdict(review.id)
        policy = Policy.stored(work.reviews.policy(review.id))
        standing = Threads.read(work, ref)
        report = report_of(context, work, review, shown(review, whole, capabilities))
    verdict = report.verdict
    voices = voices_near(context, review, verdict)
    speakable = speakable_of(context, verdict, policy.speak, voices)
    added = _added(context, review, speakable)
    offers = _offers(context, review, policy, speakable, added) if speakable and not is_own_fix(review.change) else {}
    wanted = threads_ahead(speakable, report, offers, voices, added, capabilities)
    live = frozenset(j.finding.fingerprint for j in whole.judged if j.baseline is not BaselineState.FIXED)
    most = min(capabilities.threads, policy.speak.threads)
    threads = standing.change(standing.within(wanted, live, most), live, verdict, review.change.head)
    waived = _waived(report)
    threads = [waived.get(thread.fingerprint, thread) for thread in threads]
    # Where a check has no page, the comment says all that, and nothing is said twice.
    introduction = render_comment(report, capabilities) if capabilities.check_pages else ""
    placed = _placed(host, ref, review.change.head, threads, introduction)
    if placed is None:
        log.info("speak.overtaken", extra={"review_id": review.id})
        with context.finish():
            return
    opened = frozenset(t.fingerprint for t in placed if not t.outside) & {j.finding.fingerprint for j in _listed(verdict)}
    write_note(host, ref, review, whole, report, opened)
    if opened != candidates(context, review, verdict):
        publish_head(context, review.installation, review.change.repository, review.change.head, opened)
    with context.finish() as work:
        remember(work, ref, threads, placed)


def _placed(
    host: CodeHost, ref: PullRequestRef, head: CommitId, threads: Sequence[Thread], introduction: str
) -> Sequence[ThreadRef] | None:
    """What the host made of our threads; None when somebody pushed over the commit meanwhile: the review of the new one speaks then."""
    try:
        return host.ensure_threads(ref, head, threads, introduction) if threads else ()
    except HostRejected:
        if host.pull_request(ref).head == head:
            raise
        return None


def _listed(verdict: Verdict) -> tuple[Judged, ...]:
    return (*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS))


def _waived(report: Report) -> dict[str, Thread]:
    """Of findings that somebody let stand, by fingerprint: the thread says who, and is resolved. One that is open elsewhere stays so."""
    verdict = report.verdict
    open_ones = {j.finding.fingerprint for j in _listed(verdict)}
    return {
        j.finding.fingerprint: Thread(j.finding.fingerprint, "", 1, 1, render_waived(j), resolved=True)
        for j in reversed(verdict.standing(Standing.WAIVED))
        if j.finding.fingerprint not in open_ones
    }


def _offers(context: Context, review: Review, policy: Policy, speakable: Sequence[Judged], added: Added) -> dict[str, Offer]:
    """Patches that passed the gate ahead of speaking; nothing of the repository is executed for them."""
    return offers_ahead(
        speakable,
        fixers=context.plugins.fixers,
        files=CommitFiles(context.mirror_of(review), review.change.head),
        policy=policy,
        engines=context.engines(context.control(review.id), AHEAD_SECONDS),
        added=added,
        clean=context.known(review.change.repository).clean,
        wait_for_room=context.claimed.attempts < BUSY_ATTEMPTS,
    )


def _added(context: Context, review: Review, speakable: Sequence[Judged]) -> Added:
    """Lines that the change added to the files of these findings."""
    paths = sorted({judged.finding.location.path for judged in speakable})
    return context.mirror_of(review).added_lines(review.change.base, review.change.head, paths) if paths else {}
