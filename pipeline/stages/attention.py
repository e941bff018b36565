"""What may be said on a line at all. A reader's attention is the dearest thing we spend."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.finding import Judged
from pipeline.model.review import Change, Review, Verdict
from pipeline.policy import Policy
from pipeline.policy import Speak as SpeakingRule
from pipeline.stages.ahead import listed_of, may_speak, voices_of
from pipeline.stages.context import Context
from pipeline.triage.precision import Voice


def candidates(context: Context, review: Review, verdict: Verdict) -> frozenset[str]:
    """Fingerprints that may get a thread: known before any fixer ran, so that the check can hold their annotations back."""
    if review.change.pull_request is None or review.change.draft:
        return frozenset()
    with context.database.read() as work:
        policy = Policy.stored(work.reviews.policy(review.id))
    return frozenset(j.finding.fingerprint for j in speakable_of(context, verdict, policy.speak, voices_near(context, review, verdict)))


def is_own_fix(change: Change) -> bool:
    """True for a pull request of our own: it is looked at like any other, but a fix of a fix is offered to nobody."""
    ours = change.author is not None and change.author.bot and change.head_ref.startswith("fixwright/")
    return ours and not change.from_fork


def voices_near(context: Context, review: Review, verdict: Verdict) -> dict[str, Voice]:
    """See `pipeline.stages.ahead.voices_of`, in the organization of a review."""
    rules = {j.finding.rule.id for j in listed_of(verdict)}
    if not rules:
        return {}
    with context.database.read() as work:
        here = work.rule_outcomes.near(review.installation, rules)
    return voices_of(verdict, here)


def speakable_of(context: Context, verdict: Verdict, rule: SpeakingRule, voices: Mapping[str, Voice]) -> list[Judged]:
    """See `pipeline.stages.ahead.may_speak`, with the fixers that are installed."""
    return may_speak(context.plugins.fixers, verdict, rule, voices)
