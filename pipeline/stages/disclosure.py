"""What may be told where others read it: the one rule, and the one place that everything passes which is shown of a review.

What the default branch of a public repository has is a disclosure: whoever reads it can use it before it is mended. So

- a review of everything (`Change.whole`) is never shown on a host;
- a pull request that mends what the default branch has tells of it, too: in a public repository it needs a person's yes (`may_offer`);
- what a push brought to a branch is shown on its commit only while the repository is private, which the host is asked at that moment:
  it may have been published while we scanned, and the event may still be on its way;
- a pull request brings what its base does not have. Its base may be an old branch, or an old commit with newer ones copied upon it, and
  then that is what the default branch has: of such findings nothing is said in a public repository but that there are some
  (`Judged.listed`). They block all the same. While there is no list of the default branch yet, nobody can tell them apart: then of a
  change into another branch no finding is told of at all (`Verdict.unlisted`), and it is judged again when the list was made;
- a pull request, and the merge queue's commit made of pull requests, speaks of its own findings, wherever it is; in a public repository
  of nothing else: how many older findings its files have, how many it mends and how many could not be looked at again are left out, as
  whoever opens pull requests of one line each would learn from the numbers which lines those are;
- its secrets are told to the members of the repository alone where the host has comments for them (`openly`), everybody else reads how
  many there are.

Whoever wants to show something asks `Context.teller` for the host: the one of `Context.host` refuses. Held by
`tests/stages/test_public_repository.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.model.report import Check
from pipeline.model.review import Change, Verdict
from pipeline.model.target import SourceRepository
from pipeline.ports import Capabilities
from pipeline.triage.baseline import identity

WITHHELD = "What the default branch has too is not shown in a public repository; who runs Fixwright lists it with fixwright findings list."

UNTOLD = "none passed the gate; who runs Fixwright reads why with fixwright fix status"
"""In the place of the reasons; see `tells_why`."""

UNLISTED = "What this change brings is not shown yet: it waits for the first scan of the default branch, which may have it too."


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


def may_offer(change: Change, ask: Callable[[], SourceRepository], *, openly: bool) -> bool:
    """True when a pull request may be opened that mends what the default branch has; `ask` as of `may_tell`.

    Args:
        openly: a person said yes to telling everybody who may read the repository.
    """
    return change.whole and (openly or (change.repository.private and ask().private))


def tells_why(change: Change) -> bool:
    """Whether it may be said on the pull request of a fix why another patch was refused. The reasons name what else there is: in a public
    repository that would tell of the default branch, and whoever runs Fixwright reads them in the state of the fix."""
    return change.repository.private or not change.whole


def tellable(change: Change, verdict: Verdict) -> Verdict:
    """The verdict as it may be shown: in a public repository without everything that tells of the base."""
    if change.repository.private:
        return verdict
    new = tuple(judged for judged in verdict.judged if judged.baseline is BaselineState.NEW)
    own = tuple(judged for judged in new if not judged.listed)
    withheld = any(judged.listed and judged.standing is not Standing.COUNTED for judged in new)
    notes = (UNLISTED if verdict.unlisted else WITHHELD, *verdict.notes) if withheld else verdict.notes
    return replace(verdict, judged=own, older=0, notes=notes, withheld=withheld)


def openly(change: Change, verdict: Verdict, capabilities: Capabilities) -> Verdict:
    """The verdict as everybody may read it: in a public repository of a host that has comments for members (`internal_comments`), without
    its secrets. Where they stand and of what kind they are is no help to anybody who cannot revoke them, but to who looks for them."""
    if change.repository.private or not capabilities.internal_comments:
        return verdict
    own = tuple(judged for judged in verdict.judged if judged.finding.secret is None)
    return replace(verdict, judged=own, confided=len(confided(verdict)))


def confided(verdict: Verdict) -> tuple[Judged, ...]:
    """The secrets of a change that block or warn, the worst first: what a comment for members lists."""
    listed = (*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS))
    return tuple(judged for judged in listed if judged.finding.secret is not None)


def for_anybody(verdict: Verdict) -> Verdict:
    """The verdict of a change as a report may say it that anybody can read: its own findings in code, and how many secrets it has. As
    `tellable` and `openly` together, for a run that knows no host."""
    own = tuple(j for j in verdict.judged if j.baseline is BaselineState.NEW and j.finding.secret is None)
    return replace(verdict, judged=own, older=0, confided=len(confided(verdict)))


def needs_list(change: Change) -> bool:
    """True for a change into another branch of a public repository than the default one: only the list tells what it brings from what the
    default branch has."""
    judged = change.pull_request is not None or change.queued
    return judged and not change.repository.private and change.base_ref != change.repository.default_branch


def mark_unlisted(verdict: Verdict) -> Verdict:
    """The verdict on a change of which nobody can say yet what of it the default branch has: all of it may be."""
    judged = tuple(replace(one, listed=one.baseline is BaselineState.NEW) for one in verdict.judged)
    return replace(verdict, judged=judged, unlisted=True)


def mark_listed(verdict: Verdict, unchanged: Iterable[Finding], listed: Iterable[Finding]) -> Verdict:
    """The verdict on a pull request with a mark at every new finding that the default branch has at the same place.

    Args:
        unchanged: what the base has as well. Of two copies in one file of which the default branch has one, the other is the change's own.
        listed: what the default branch has.
    """
    there = Counter((identity(f), f.location.path) for f in listed) - Counter((identity(f), f.location.path) for f in unchanged)
    judged = []
    for one in verdict.judged:
        key = identity(one.finding), one.finding.location.path
        known = one.baseline is BaselineState.NEW and there[key] > 0
        there[key] -= known
        judged.append(replace(one, listed=known))
    return replace(verdict, judged=tuple(judged))


def retractable(change: Change, check: Check) -> Check:
    """The check of a push without annotations. A private repository may become public, and then the check must not say any more what it
    says: its text can be written anew, while no host lets us take an annotation away."""
    return check if change.pull_request is not None or change.queued else replace(check, annotations=())
