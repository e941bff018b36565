"""StartReview: make the change visible on the host, read what is to be judged, and fan out its scans."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context

from pipeline.messages import HOLD, Envelope, PublishCheck, RunScan, Speak, StartReview, WithdrawReview
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.review import Change, ReviewStatus
from pipeline.model.scan import ScanType
from pipeline.model.target import CommitRef, PullRequest, PullRequestState
from pipeline.policy import Policy
from pipeline.reports.markdown import render_progress
from pipeline.stages.announce import show_check
from pipeline.stages.context import Context
from pipeline.stages.policies import ask_owner, policy_in_force
from pipeline.stages.queued import queued_change
from pipeline.store.work import Work

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How long a look at the head of a pull request may take before somebody else may look too."""


def start_review(context: Context, message: StartReview) -> None:
    """Plan one review. Running it again continues where a crash left it."""
    with ThreadPoolExecutor(2) as beside:  # people wait for the check, and all this for the network
        owner = beside.submit(copy_context().run, ask_owner, context, message.installation, message.repository)
        _start_review(context, message, beside, owner)


def _start_review(context: Context, message: StartReview, beside: ThreadPoolExecutor, owner: Future[None]) -> None:
    with _alone(context, message):
        change = _change(context, message)
        if change is None:
            with context.finish():
                return
        with context.database.work() as work:
            key = review_key(change, message.again)
            identifier, _ = work.reviews.create(key, message.installation, change, status=ReviewStatus.PLANNED)
            _supersede(work, identifier, change)
            review = work.reviews.get(identifier)
            if review.status is ReviewStatus.PLANNED:
                work.reviews.set_draft(identifier, change.draft)
        if review.status is not ReviewStatus.PLANNED:
            _known(context, review.id, change, asked=message.asked)
            return
    progress, commit = render_progress(key=check_key(review.id)), CommitRef(change.repository, change.head)
    shown = beside.submit(copy_context().run, show_check, context, commit, review.id, progress)
    mirror = context.mirror_of(review)
    shown.result()
    owner.result()
    in_force = policy_in_force(context, review, mirror)
    policy = in_force.effective.policy
    with context.finish() as work:
        in_force.save(work, review)
        for number, scan_type in enumerate(_scans(context, policy)):
            scan = work.reviews.add_batch(review.id, scan_type, change.head, required=scan_type in policy.engines.scans)
            # This worker does the first one itself; the others are for whoever is free.
            hold = 0.0 if number else HOLD
            work.outbox.send(Envelope(RunScan(scan, review.id), f"run_scan:{scan}", group=review.id, hold=hold))
        work.reviews.move(review.id, ReviewStatus.PLANNED, ReviewStatus.SCANNING)
    context.follow = review.id


def _known(context: Context, identifier: ReviewId, change: Change, *, asked: bool) -> None:
    """The change was judged, or is being judged: what may be new is that it is no draft any more, or open again."""
    with context.finish() as work:
        ready = work.reviews.set_draft(identifier, change.draft) and not change.draft
        review = work.reviews.get(identifier)
        if change.pull_request is not None:
            repository = work.installations.identify(change.repository)
            work.findings.reopen_pull_request(repository, change.pull_request.number, identifier, change.head)
        settled = review.status in (ReviewStatus.DONE, ReviewStatus.FAILED)
        # It was closed meanwhile, and the others spoke without it.
        spoken_without = settled and len(work.reviews.of_head(change.repository, change.head)) > 1
        tell = ready and review.status is ReviewStatus.DONE
        if spoken_without or tell or (asked and settled):
            publish = Envelope(PublishCheck(identifier), f"publish:{identifier}:{context.claimed.id}", group=identifier, hold=HOLD)
            work.outbox.send(publish)
        if tell:
            # What was found while it was a draft is told now; nothing is looked at again. What gets a thread is no annotation any more.
            work.outbox.send(Envelope(Speak(identifier), f"speak:{identifier}:{context.claimed.id}", group=identifier, hold=HOLD))
    context.follow = identifier


def _alone(context: Context, message: StartReview) -> AbstractContextManager[None]:
    """From the look at the head to the review of it nobody else does the same: a slow look must not supersede what a later one saw."""
    if message.pull_request is None:
        return nullcontext()
    repository = message.repository
    name = f"start:{repository.provider}:{repository.instance}:{repository.external_id}:{message.pull_request.number}"
    return context.memory.lock(name, LOOK_SECONDS)


def review_key(change: Change, again: str = "") -> str:
    """What makes a review the same review: the change, where it goes to, and who asked again."""
    repository = change.repository
    number = change.pull_request.number if change.pull_request else f"push {change.head_ref}"
    parts = (
        repository.provider,
        repository.instance,
        repository.external_id,
        str(number),
        change.base_ref,
        change.base,
        change.head,
        again,
    )
    return "review:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


def check_key(review: ReviewId) -> str:
    """Key of the check of a review on the host."""
    return f"fixwright:{review}"


def _change(context: Context, message: StartReview) -> Change | None:
    if message.queued:
        return queued_change(context, message)
    if message.pull_request is None:
        if message.after is None:
            return None
        base = message.before or message.after
        return Change(
            repository=message.repository,
            base=base,
            head=message.after,
            policy_commit=base,
            base_ref=message.ref,
            head_ref=message.ref,
        )
    host = context.host(message.installation)
    host.prepare(message.repository)
    pull_request: PullRequest = host.pull_request(message.pull_request)
    if pull_request.state is not PullRequestState.OPEN:
        return None
    return Change(
        repository=pull_request.ref.repository,
        base=pull_request.merge_base,
        head=pull_request.head,
        policy_commit=pull_request.base,
        base_ref=pull_request.base_ref,
        head_ref=pull_request.head_ref,
        pull_request=pull_request.ref,
        author=pull_request.author,
        commits=pull_request.commits,
        draft=pull_request.draft,
        from_fork=pull_request.from_fork,
        title=pull_request.title,
    )


def _supersede(work: Work, newest: ReviewId, change: Change) -> None:
    """End every other live review of the same pull request; the host is told by a message of its own."""
    if change.pull_request is None:
        return
    for old in work.reviews.live_of(change.pull_request):
        if old.id == newest:
            continue
        work.reviews.move(old.id, old.status, ReviewStatus.CANCELLED, superseded_by=change.head)
        title = f"Superseded by {CommitId(change.head)[:7]}"
        work.outbox.send(Envelope(WithdrawReview(old.id, title), f"withdraw:{old.id}:superseded", group=old.id))


def _scans(context: Context, policy: Policy) -> list[ScanType]:
    available = [scan_type for scan_type in context.plugins.scanners if scan_type not in policy.engines.scans]
    return [*policy.engines.scans, *available]
