"""What may be told where others read it: the one rule, and the one place that everything passes which is shown of a review.

What the default branch of a public repository has is a disclosure: whoever reads it can use it before it is mended. So

- a review of everything (`Change.whole`) is never shown on a host;
- what a push brought to a branch is shown on its commit only while the repository is private, which the host is asked at that moment:
  it may have been published while we scanned, and the event may still be on its way;
- a pull request, and the merge queue's commit made of pull requests, speaks of its own findings, wherever it is; in a public repository
  of nothing else: how many older findings its files have, how many it mends and how many could not be looked at again are left out, as
  whoever opens pull requests of one line each would learn from the numbers which lines those are.

Whoever wants to show something asks `Context.teller` for the host: the one of `Context.host` refuses. Held by
`tests/stages/test_public_repository.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.model.finding import BaselineState
from pipeline.model.report import Check
from pipeline.model.review import Change, Verdict
from pipeline.model.target import SourceRepository


def may_tell(change: Change, ask: Callable[[], SourceRepository]) -> bool:
    """True when anything may be shown on the host of what was found in `change`.

    Args:
        ask: asks the host how the repository is now; only called when that decides.
    """
    if change.whole:
        return False
    if change.pull_request is not None or change.queued:
        return True
    return change.repository.private and ask().private


def tellable(change: Change, verdict: Verdict) -> Verdict:
    """The verdict as it may be shown: in a public repository without everything that tells of the base."""
    if change.repository.private:
        return verdict
    own = tuple(judged for judged in verdict.judged if judged.baseline is BaselineState.NEW)
    return replace(verdict, judged=own, older=0)


def retractable(change: Change, check: Check) -> Check:
    """The check of a push without annotations. A private repository may become public, and then the check must not say any more what it
    says: its text can be written anew, while no host lets us take an annotation away."""
    return check if change.pull_request is not None or change.queued else replace(check, annotations=())
