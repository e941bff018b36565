"""ShowFixes: one comment that says what became of the fixes that a button asked for, edited as they end."""

from __future__ import annotations

from pipeline.answers import render_fixes
from pipeline.messages import ShowFixes
from pipeline.stages.buttons import FIX_AT_MOST, fixable
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable

TOPIC = "fixes"


def show_fixes(context: Context, message: ShowFixes) -> None:
    """From what is stored now: whichever of several comes last tells the newest."""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
        fixes = work.fixes.of_review(review.id)
        verdict = tellable(review.change, work.reviews.verdict(review.id))
    ref = review.change.pull_request
    if ref is not None and fixes:
        capabilities = context.capabilities(review.installation)
        asked = {fix.handle for fix in fixes}
        left = [one for one in fixable(verdict, context.plugins.fixers) if one.finding.handle not in asked]
        body = render_fixes(fixes, capabilities.reference_sign, len(left) if len(fixes) >= FIX_AT_MOST else 0)
        context.teller(review).ensure_comment(ref, TOPIC, body)
    with context.finish():
        return
