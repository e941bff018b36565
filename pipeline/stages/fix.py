"""RequestFix and RunFix: from "somebody wants this mended" to a patch that has proven itself, or the reasons why there is none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import EngineError, SandboxBusy, SandboxUnavailable
from pipeline.messages import HOLD, INTERACTIVE, Envelope, ProposeFix, RequestFix, RunFix
from pipeline.model.event import CommentRef
from pipeline.model.finding import Finding, Judged
from pipeline.model.fix import Fix, FixStatus, Patch, Proof, ProofWord, Receipt
from pipeline.patches import diff_of
from pipeline.phrases import where
from pipeline.policy import Policy
from pipeline.receipts import Base, describe
from pipeline.stages.context import Context
from pipeline.stages.exploits import may_show
from pipeline.stages.ladder import make_patch
from pipeline.stages.outbound import leak_in
from pipeline.stages.prove import CommitFiles, prove

log = logging.getLogger(__name__)

STILL_RUNNING = 15.0
"""Seconds after which somebody who asked for a fix that was being made is answered."""


SHARED_SECONDS = 60.0
"""Whoever asks for the same once more so soon reads the answer that stands there already, or is about to."""


def request_fix(context: Context, message: RequestFix) -> None:
    """Make the fix run of a finding, once: who asks again gets the same answer again. All who ask in one place while it is being made, or
    within one minute, get one answer."""
    with context.finish() as work:
        review = work.reviews.get(message.review)
        repository = work.installations.identify(review.change.repository)
        fix, created = work.fixes.create(
            repository, review.id, message.fingerprint, message.handle, message.place, asked_by=message.sender.login
        )
        if created:
            work.outbox.send(
                Envelope(
                    RunFix(fix, message.comment, message.sender, message.how),
                    f"run_fix:{fix}",
                    priority=INTERACTIVE,
                    group=f"fix:{fix}",
                    hold=HOLD,
                )
            )
        else:
            running = work.fixes.get(fix).status in (FixStatus.PENDING, FixStatus.RUNNING)
            key = f"propose_fix:{fix}:{_asked_in(message.comment)}" + ("" if running else f":{int(work.outbox.now() // SHARED_SECONDS)}")
            delay = STILL_RUNNING if running else 0.0
            answer = ProposeFix(fix, message.comment, message.sender, message.how)
            work.outbox.send(Envelope(answer, key, priority=INTERACTIVE, delay=delay, group=f"fix:{fix}", hold=HOLD))
    context.follow = f"fix:{fix}"


def _asked_in(comment: CommentRef | None) -> str:
    """Where people see the answer: a thread, or the conversation of a pull request."""
    if comment is None:
        return ""
    return f"thread:{comment.thread}" if comment.thread else f"conversation:{comment.pull_request.number}"


def run_fix(context: Context, message: RunFix) -> None:
    """Make the patch and let the whole gate judge it, the repository's tests included."""
    with context.database.work() as work:
        fix = work.fixes.get(message.fix)
        work.fixes.start(fix.id, message.attempt)
        review = work.reviews.get(fix.review)
        policy = Policy.model_validate_json(work.reviews.policy(review.id))
        judged = work.reviews.verdict(review.id).judged
    finding = wanted_finding(fix, judged)
    mirror = context.mirror_of(review)
    files = CommitFiles(mirror, review.change.head)
    patch = make_patch(context.plugins.fixers, finding, files)
    proof: Proof | None = None
    receipt: Receipt | None = None
    error = ""
    if patch is None:
        error = "no fixer has a patch for this place"
    elif error := leak_in(context.known(review.change.repository).clean, patch, diff_of(finding, patch)):
        patch = None  # nothing of it is kept
    else:
        try:
            control = context.control()
            engines = context.engines(control)
            proof = prove(finding=finding, patch=patch, files=files, policy=policy, control=control, engines=engines)
            if proof.exploit is not None and not may_show(context.known(review.change.repository).clean, proof.exploit):
                proof = replace(proof, exploit=None)
        except SandboxBusy:
            raise  # the fix stays running, and the next attempt begins its proof anew
        except (EngineError, SandboxUnavailable) as failure:
            error = failure.message
    if patch is not None and proof is not None and proof.word in (ProofWord.VERIFIED, ProofWord.RESCANNED):
        base = Base("commit", review.change.head)
        statement = describe(finding=finding, patch=patch, base=base, proof=proof, tool=f"fixwright {context.places.version}")
        receipt = context.places.signer().sign(statement)
    _record(context, message, fix, finding, patch, proof, receipt, error)


def wanted_finding(fix: Fix, judged: Sequence[Judged]) -> Finding:
    """The finding of its review that a fix run is to mend."""
    return next(j.finding for j in judged if j.finding.handle == fix.handle and fix.place in ("", where(j.finding)))


def _record(
    context: Context,
    message: RunFix,
    fix: Fix,
    finding: Finding,
    patch: Patch | None,
    proof: Proof | None,
    receipt: Receipt | None,
    error: str,
) -> None:
    with context.finish() as work:
        diff, title = ("", "") if patch is None else (diff_of(finding, patch), patch.title)
        work.fixes.record(fix.id, diff=diff, proof=proof, receipt=receipt, title=title, base=fix.base)
        if not error and receipt is None and proof is not None:
            error = "; ".join(proof.reasons) or "the patch could not be checked"
        status = FixStatus.COMPLETED if receipt is not None else FixStatus.FAILED
        work.fixes.move(fix.id, FixStatus.RUNNING, status, error=error)
        propose = ProposeFix(fix.id, message.comment, message.sender, message.how)
        work.outbox.send(Envelope(propose, f"propose_fix:{fix.id}", priority=INTERACTIVE, group=f"fix:{fix.id}", hold=HOLD))
    log.info("fix.ended", extra={"fix_id": fix.id, "status": str(status), "word": str(proof.word) if proof else ""})
