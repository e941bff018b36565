"""What is said of a review beside its check: the one comment that is edited in place.

Where a check has a page, the comment is a line for what may not speak anywhere else. Where it has none (`Capabilities.check_pages`), the
comment is that page: it stands there as soon as there is something to read that the check's title does not say, for drafts and for
reviews that were given up, too.
"""

from __future__ import annotations

import logging

from pipeline.errors import HostForbidden
from pipeline.model.finding import Standing
from pipeline.model.report import Report
from pipeline.model.review import Review, Verdict
from pipeline.model.target import PullRequestRef
from pipeline.ports import Capabilities, CodeHost
from pipeline.reports.markdown import render_comment, render_confided
from pipeline.stages.context import Context
from pipeline.stages.disclosure import confided, openly, tellable
from pipeline.store.work import Work

log = logging.getLogger(__name__)

SUMMARY, SECRETS = "summary", "secrets"
"""Topics of the comments: for everybody, and for the members of the repository alone."""


def shown(review: Review, verdict: Verdict, capabilities: Capabilities) -> Verdict:
    """The verdict as everybody may read it on the host."""
    return openly(review.change, tellable(review.change, verdict), capabilities)


def report_of(context: Context, work: Work, review: Review, verdict: Verdict) -> Report:
    """The facts of a settled review, with the verdict as it is to be shown."""
    times = work.reviews.times(review.id)
    return Report(
        verdict=verdict,
        head=review.change.head,
        base=review.change.base,
        seconds=0.0 if times.settled is None else max(0.0, times.settled - times.created),
        tool_version=context.places.version,
        policy_source=work.reviews.policy_source(review.id),
    )


def write_note(host: CodeHost, ref: PullRequestRef, review: Review, whole: Verdict, report: Report, threaded: frozenset[str]) -> None:
    """Make, edit or take back the comment, and the one for members.

    Args:
        whole: the verdict before anything was left out of it.
        threaded: fingerprints that have a thread on their line.
    """
    limits = host.capabilities
    wanted = _is_listed(report.verdict) and not threaded if limits.check_pages else _is_worth_a_page(report.verdict)
    host.ensure_comment(ref, SUMMARY, render_comment(report, limits, threaded=threaded) if wanted else "")
    if limits.internal_comments and not review.change.repository.private:
        told = confided(tellable(review.change, whole))
        try:
            host.ensure_comment(ref, SECRETS, render_confided(told, report, limits) if told else "", internal=True)
        except HostForbidden as refused:
            # Who runs Fixwright lists them; nothing is told to everybody instead.
            log.warning("comment.not_internal", extra={"review_id": review.id, "code": refused.code})


def _is_listed(verdict: Verdict) -> bool:
    return bool(verdict.standing(Standing.BLOCKS) or verdict.standing(Standing.WARNS))


def _is_worth_a_page(verdict: Verdict) -> bool:
    """Clean and complete is no comment at all."""
    said = verdict.incomplete or verdict.withheld or verdict.confided or verdict.remarks or verdict.edits_policy
    return bool(said) or _is_listed(verdict)
