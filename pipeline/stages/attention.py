"""What may be said on a line at all. A reader's attention is the dearest thing we spend."""

from __future__ import annotations

from pipeline.model.finding import Judged
from pipeline.model.review import Change, Review, Verdict
from pipeline.policy import Policy
from pipeline.policy import Speak as SpeakingRule
from pipeline.stages.ahead import may_speak
from pipeline.stages.context import Context


def candidates(context: Context, review: Review, verdict: Verdict) -> frozenset[str]:
    """Fingerprints that may get a thread: known before any fixer ran, so that the check can hold their annotations back."""
    if review.change.pull_request is None or review.change.draft:
        return frozenset()
    with context.database.read() as work:
        policy = Policy.stored(work.reviews.policy(review.id))
    return frozenset(j.finding.fingerprint for j in speakable_of(context, verdict, policy.speak))


def is_own_fix(change: Change) -> bool:
    """True for a pull request of our own: it is looked at like any other, but a fix of a fix is offered to nobody."""
    ours = change.author is not None and change.author.bot and change.head_ref.startswith("fixwright/")
    return ours and not change.from_fork


def speakable_of(context: Context, verdict: Verdict, rule: SpeakingRule) -> list[Judged]:
    """See `pipeline.stages.ahead.may_speak`, with the fixers that are installed."""
    return may_speak(context.plugins.fixers, verdict, rule)
