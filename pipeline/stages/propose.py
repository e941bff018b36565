"""ProposeFix: offer a proven patch where it is least work to take, and answer who asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, StaleWrite
from pipeline.messages import INTERACTIVE, Envelope, ProposeFix, ShowFixes
from pipeline.model.event import CommentRef
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import Fix, FixStatus, Patch, Proof
from pipeline.model.review import Review
from pipeline.model.target import PullRequestRef
from pipeline.policy import Fixes, Policy
from pipeline.reports.markdown import render_answer
from pipeline.stages.context import Context
from pipeline.stages.disclosure import UNTOLD, tells_why
from pipeline.stages.followlist import send_follow
from pipeline.stages.listedfix import kept_back
from pipeline.stages.offered import on_its_page
from pipeline.stages.opening import open_stacked
from pipeline.stages.push import push, said
from pipeline.stages.room import is_open, no_room, slot_of
from pipeline.stages.sources import CommitFiles
from pipeline.stages.together import made_again, mended_findings
from pipeline.store.work import Work
from pipeline.triage.diff import Suggestion, suggestion_of

log = logging.getLogger(__name__)

OFFERING_SECONDS = 30.0
"""Longer than a branch and a pull request take to be made as a rule; whoever dies meanwhile holds the next one up no longer."""


def propose_fix(context: Context, message: ProposeFix) -> None:
    """A suggestion when the patch is one hunk on lines that the change added; else a stacked pull request; from a fork, the patch. For what
    the default branch has, a pull request into it."""
    with context.database.work() as work:
        fix = work.fixes.get(message.fix)
        review = work.reviews.get(fix.review)
        judged = work.reviews.verdict(fix.review).judged
    if fix.status in (FixStatus.PENDING, FixStatus.RUNNING):
        raise StaleWrite(f"fix {fix.id} is still being made")
    if fix.status is FixStatus.CANCELLED:  # who called it off was answered
        with _finish(context, message, review):
            return
    again = not message.refined and message.how != "push" and fix.status is not FixStatus.PR_UPDATE_FAILED
    if fix.pull_request is not None and again and is_open(context, review, fix.pull_request):
        _answer(
            context, review, message.comment, fix, _opened(context, review, message, fix, fix.pull_request)
        )  # asked once more: nothing is made again
        with _finish(context, message, review):
            return
    findings = [found for _, found in mended_findings(fix, judged)]
    patch = _same_patch(context, review, fix, judged) if fix.status is not FixStatus.FAILED else None
    if patch is None or fix.proof is None or fix.receipt is None:
        error = fix.error or "the fixers make another patch now than the one that was proved; ask again after the next push"
        told, proof = (error, fix.proof) if tells_why(review.change) else (UNTOLD, None)
        _answer(context, review, message.comment, fix, render_answer("refused", handle=fix.handle, proof=proof, error=told))
        with _finish(context, message, review):
            return
    finding = _shown(findings)
    there = on_its_page(review, message.comment)
    if there and message.comment is not None and not is_open(context, review, message.comment.pull_request):
        word = context.capabilities(review.installation).pull_request_word
        _answer(context, review, message.comment, fix, render_answer("closed", pull_request_word=word))
        with _finish(context, message, review):
            return
    in_thread = message.comment is not None and message.comment.in_thread and not there
    suggestion = _suggestion(context, review, finding, patch) if in_thread and message.how != "push" and len(findings) == 1 else None
    if suggestion is not None:
        body = render_answer(
            "suggestion",
            handle=fix.handle,
            proof=fix.proof,
            receipt=fix.receipt,
            fix=fix.id,
            suggestion=suggestion.text,
            fence=context.capabilities(review.installation).suggestion_on(suggestion.line, suggestion.end_line),
            patch=patch,
            finding=finding,
        )
        _answer(context, review, message.comment, fix, body)
        with _finish(context, message, review):
            return
    with _alone(context, review, fix):
        why = _only_shown(context, review, patch)
        if not why and review.change.whole:
            why = kept_back(context, review, fix, judged, openly=message.how == "openly")
        if why:
            _answer(context, review, message.comment, fix, _as_patch(fix, finding, why))
            with _finish(context, message, review) as work:
                work.fixes.note(fix.id, why)
            return
        _pull_request(context, message, fix, review, findings, patch, fix.proof)


@contextmanager
def _alone(context: Context, review: Review, fix: Fix) -> Iterator[None]:
    """One after the other for the places of a finding of the list, which share a branch; others need not wait."""
    if not review.change.whole:
        yield
        return
    with context.memory.lock(slot_of(review, fix).key, OFFERING_SECONDS):
        yield


def _same_patch(context: Context, review: Review, fix: Fix, judged: Sequence[Judged]) -> Patch | None:
    return made_again(context.plugins.fixers, fix, judged, CommitFiles(context.mirror_of(review), review.change.head))


def _suggestion(context: Context, review: Review, finding: Finding, patch: Patch) -> Suggestion | None:
    """The patch as lines to put in the place of the thread's own; None when it reaches further."""
    if not context.capabilities(review.installation).suggestions or review.change.pull_request is None:
        return None
    mirror = context.mirror_of(review)
    path = finding.location.path
    added = mirror.added_lines(review.change.base, review.change.head, [path])
    return suggestion_of(patch, path, added.get(path, []))


def _pull_request(
    context: Context, message: ProposeFix, fix: Fix, review: Review, findings: Sequence[Finding], patch: Patch, proof: Proof
) -> None:
    finding = _shown(findings)
    change = review.change
    host = context.teller(review)
    if message.sender is not None and not host.permission(change.repository, message.sender).may_write:
        # It was asked when the command came; making and testing a patch takes minutes, in which rights may end.
        log.info("fix.refused", extra={"fix_id": fix.id, "person": message.sender.id})
        _answer(context, review, message.comment, fix, render_answer("permission", command="/fix"))
        with _finish(context, message, review) as work:
            work.fixes.note(fix.id, "who asked may not write here any more")
            return
    if message.how == "push":
        body, why = push(context, review, fix, finding, patch, proof)
        _answer(context, review, message.comment, fix, body)
        with _finish(context, message, review) as work:
            work.fixes.note(fix.id, why)
            return
    slot = slot_of(review, fix)
    try:
        wanted = _wanted(context, review)
        if full := no_room(context, review, slot, wanted.at_once):
            log.info("fix.no_room", extra={"fix_id": fix.id})
            _answer(context, review, message.comment, fix, _as_patch(fix, finding, full))
            with _finish(context, message, review) as work:
                work.fixes.note(fix.id, full)
            return
        opened = open_stacked(context, review, fix, findings, patch, proof, wanted)
    except (HostForbidden, HostNotFound, HostRejected) as refused:
        log.warning("fix.refused_by_host", extra={"fix_id": fix.id, "code": refused.code})
        _answer(context, review, message.comment, fix, _as_patch(fix, finding, f"the host did not take it ({said(refused)})"))
        with _finish(context, message, review) as work:
            work.proposals.give_back(slot)
            if fix.status is FixStatus.COMPLETED:
                failed = FixStatus.PR_CREATION_FAILED if fix.pull_request is None else FixStatus.PR_UPDATE_FAILED
                work.fixes.move(fix.id, FixStatus.COMPLETED, failed, error=refused.message)
        return
    _answer(context, review, message.comment, fix, _opened(context, review, message, fix, opened))
    with _finish(context, message, review) as work:
        if fix.status in (FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED):
            work.fixes.move(fix.id, fix.status, FixStatus.COMPLETED)
        work.fixes.tell(fix.id, "fix_pr_created" if fix.pull_request is None else "fix_pr_updated", f"#{opened.number}")
        if fix.error:
            work.fixes.note(fix.id, "")
        work.fixes.save_pull_request(fix.id, opened)
        work.offers.opened(fix.id, fix.repository, opened.number, slot.branch)
        work.proposals.opened(slot, opened.number)


def _shown(findings: Sequence[Finding]) -> Finding:
    """Of several the one that is named: a secret, whose patch is not shown, before others."""
    return next((one for one in findings if one.secret is not None), findings[0])


def _as_patch(fix: Fix, finding: Finding, why: str) -> str:
    return render_answer(
        "patch", handle=fix.handle, proof=fix.proof, receipt=fix.receipt, fix=fix.id, diff=fix.diff, finding=finding, error=why
    )


def _only_shown(context: Context, review: Review, patch: Patch) -> str:
    """Why this patch is for a person to apply, a clause; empty when a branch may be made of it."""
    if review.change.from_fork:
        return "the change is in a fork"
    unwritable = context.capabilities(review.installation).unwritable
    if below := next((folder for folder in unwritable if any(path.startswith(folder) for path in patch.paths)), ""):
        return f"Fixwright never writes below {below}, where a change can run code with the repository's secrets"
    if not context.host(review.installation).may_propose():
        return "Fixwright may read code here, not write it"
    return ""


@contextmanager
def _finish(context: Context, message: ProposeFix, review: Review) -> Iterator[Work]:
    """As `Context.finish`; a fix for which no comment asked is told of in the comment that lists them all, and the next one is begun after
    one that was begun by itself and came to nothing."""
    with context.finish() as work:
        yield work
        if review.change.whole:
            fix = work.fixes.get(message.fix)
            if fix.status is FixStatus.FAILED and not fix.asked_by:  # its room is free for the next
                policy = Policy.stored(work.reviews.policy(review.id))
                send_follow(work, review, policy, context.claimed.id)
        elif message.comment is None:
            shown = ShowFixes(review.id)
            work.outbox.send(Envelope(shown, f"show_fixes:{context.claimed.id}", priority=INTERACTIVE, group=context.claimed.group))


def _wanted(context: Context, review: Review) -> Fixes:
    """What the base's policy wants the pull request of a fix to carry."""
    with context.database.read() as work:
        return Policy.stored(work.reviews.policy(review.id)).fixes


def _opened(context: Context, review: Review, message: ProposeFix, fix: Fix, opened: PullRequestRef) -> str:
    sign, word = context.capabilities(review.installation).reference_sign, context.capabilities(review.installation).pull_request_word
    topic: Literal["renewed", "opened"] = "renewed" if on_its_page(review, message.comment) else "opened"
    number = opened.number
    return render_answer(
        topic, handle=fix.handle, proof=fix.proof, receipt=fix.receipt, number=number, reference_sign=sign, pull_request_word=word
    )


def _answer(context: Context, review: Review, comment: CommentRef | None, fix: Fix, body: str) -> None:
    """Tell who asked in a comment. An archived repository takes no answer: the state of the fix says it, too."""
    if comment is None:
        return
    try:
        context.teller(review).ensure_reply(comment, f"fix:{fix.id}", body)
    except (HostForbidden, HostNotFound) as silenced:
        log.warning("fix.not_answered", extra={"fix_id": fix.id, "code": silenced.code})
