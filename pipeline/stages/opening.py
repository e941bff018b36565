"""The branch and the pull request of a fix: one of each for a finding of a change, however often it is asked for and pushed to."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.leaks import clean
from pipeline.model.finding import Finding
from pipeline.model.fix import BranchCommit, Fix, Patch, Proof, PullRequestDraft
from pipeline.model.review import Change, Review
from pipeline.model.target import CommitRef, PullRequestRef
from pipeline.policy import Fixes
from pipeline.ports import CodeHost
from pipeline.reports.markdown import render_commit_message, render_fix_title, render_pull_request_body
from pipeline.stages.context import Context
from pipeline.stages.conventions import style_of
from pipeline.stages.disclosure import tells_why
from pipeline.stages.exploits import with_exploit_tests
from pipeline.stages.together import left_out

log = logging.getLogger(__name__)


def branch_of(fix: Fix, change: Change) -> str:
    """The branch of a fix: it says which finding of which change it mends, and not which commit, so that it moves with the change. What
    the default branch has gets one branch a finding, wherever its places are by now."""
    if fix.branch:
        return fix.branch
    if change.whole:
        return f"fixwright/{fix.handle.lower()}"
    # Two places may share a line number, in two files.
    place = f"-{hashlib.sha256(fix.place.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}" if fix.place else ""
    of = str(change.pull_request.number) if change.pull_request is not None else change.head[:8]
    return f"fixwright/{fix.handle.lower()}{place}-{of}"


def commit_of(context: Context, review: Review, branch: str, finding: Finding, patch: Patch, proof: Proof) -> tuple[str, BranchCommit]:
    """The title and the commit of a patch on the newest commit of a change, as its people write them."""
    style = style_of(context, review)
    title = render_fix_title(finding, patch, style)
    message = render_commit_message(title, patch)
    return title, BranchCommit(review.change.head, branch, message, with_exploit_tests(patch, proof), style.sign_off)


def open_stacked(
    context: Context, review: Review, fix: Fix, findings: Sequence[Finding], patch: Patch, proof: Proof, wanted: Fixes
) -> PullRequestRef:
    """The pull request of a fix onto the branch of its change, or onto the default branch, opened or brought up to date. Raises
    HostForbidden, HostNotFound or HostRejected when the host does not take it; then no branch stays behind."""
    change, host = review.change, context.teller(review)
    branch = branch_of(fix, change)
    limits = context.capabilities(review.installation)
    finding, *also = findings
    with context.database.read() as work:
        asked = work.offers.get(fix.id)
    above = f"{clean(asked.body)[: limits.max_body // 2]}\n\n---\n\n" if asked.body else ""
    limits = replace(limits, max_body=limits.max_body - len(above.encode("utf-8", "replace")))
    body = above + render_pull_request_body(
        finding,
        patch,
        proof,
        fix.receipt,
        capabilities=limits,
        stacked=not change.whole,
        also=also,
        left_out=left_out(fix.members) if tells_why(change) else (),
        fix=fix.id,
    )
    title, wanted_commit = commit_of(context, review, branch, finding, patch, proof)
    title = clean(asked.title) or title
    commit = host.ensure_branch(change.repository, wanted_commit)
    draft = PullRequestDraft(
        change=change,
        branch=branch,
        base_ref=change.head_ref,
        head=commit,
        title=title,
        body=body,
        labels=wanted.labels,
        reviewers=wanted.reviewers,
    )
    try:
        return host.ensure_pull_request(draft)
    except (HostForbidden, HostNotFound, HostRejected):
        _leave_no_orphan(host, branch, commit)
        raise


def _leave_no_orphan(host: CodeHost, branch: str, commit: CommitRef) -> None:
    """Remove the branch of a pull request that could not be made. One that stands and was not edited keeps its branch."""
    try:
        if not any(pull.head == commit.commit for pull in host.open_pull_requests(commit.repository)):
            host.ensure_no_branch(commit.repository, branch)
    except (HostForbidden, HostNotFound, HostRejected) as refused:  # what cannot be removed is no reason to answer nobody
        log.warning("fix.branch_left", extra={"branch": branch, "code": refused.code})
