"""What may be said on a line at all. A reader's attention is the dearest thing we spend."""

from __future__ import annotations

from pipeline.model.finding import Judged, Standing
from pipeline.model.review import Review, Verdict
from pipeline.stages.context import Context


def candidates(context: Context, review: Review, verdict: Verdict) -> frozenset[str]:
    """Fingerprints that may get a thread: known before any fixer ran, so that the check can hold their annotations back."""
    if review.change.pull_request is None or review.change.draft:
        return frozenset()
    return frozenset(j.finding.fingerprint for j in speakable_of(context, verdict))


def speakable_of(context: Context, verdict: Verdict) -> list[Judged]:
    """New findings on added lines that are a secret, or that some fixer answers: the worst first, as the verdict has them."""
    listed = [*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS)]
    return [j for j in listed if j.in_diff and (j.finding.secret is not None or _fixable(context, j))]


def _fixable(context: Context, judged: Judged) -> bool:
    return any(fixer.answers(judged.finding.rule.id) for fixer in context.plugins.fixers)
