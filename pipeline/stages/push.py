"""`/fix push`: the proven patch as one commit on the branch of the change, where somebody asked for it who may write there."""

from __future__ import annotations

import logging

from pipeline.answers import render_answer
from pipeline.errors import HeadMoved, HostError, HostForbidden, HostNotFound, HostRejected
from pipeline.model.finding import Finding
from pipeline.model.fix import Fix, Patch, Proof
from pipeline.model.review import Review
from pipeline.model.target import PullRequestState
from pipeline.stages.context import Context
from pipeline.stages.opening import branch_of, commit_of

log = logging.getLogger(__name__)


def push(context: Context, review: Review, fix: Fix, finding: Finding, patch: Patch, proof: Proof) -> tuple[str, str]:
    """Put the patch on the branch of its change, once, and close the pull request that offered it before. Returns the answer, and why the
    branch took no commit of ours, a clause: the answer is the patch then. Empty when it did."""
    change, host = review.change, context.teller(review)

    def shown(why: str) -> tuple[str, str]:
        body = render_answer(
            "patch", handle=fix.handle, proof=proof, receipt=fix.receipt, fix=fix.id, diff=fix.diff, finding=finding, error=why
        )
        return body, why

    if change.pull_request is None:
        return shown("there is no branch of a change that it could be put on")
    try:
        if host.pull_request(change.pull_request).state is not PullRequestState.OPEN:
            return shown(f"this {context.capabilities(review.installation).pull_request_word} is closed")
        _, wanted = commit_of(context, review, change.head_ref, finding, patch, proof)
        made = host.ensure_commit(change.repository, wanted)
    except HeadMoved:
        return shown("the branch has newer commits than the one that it was proven on; ask again when they have been checked")
    except (HostForbidden, HostNotFound, HostRejected) as refused:
        log.warning("fix.refused_by_host", extra={"fix_id": fix.id, "code": refused.code})
        return shown(f"the branch takes no commit of Fixwright's ({said(refused)})")
    if fix.pull_request is not None:
        host.ensure_closed(fix.pull_request, f"The fix is on the branch of the change now: {made.commit}.")
        host.ensure_no_branch(change.repository, branch_of(fix, change))
    answer = render_answer(
        "pushed", handle=fix.handle, proof=proof, receipt=fix.receipt, fix=fix.id, branch=change.head_ref, commit=made.commit
    )
    log.info("fix.pushed", extra={"fix_id": fix.id})
    return answer, ""


def said(refused: HostError) -> str:
    """What a host says of its refusal, as a clause."""
    return " ".join(refused.message.split()).rstrip(".")
