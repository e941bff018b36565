"""Room for one more pull request of a fix: a repository has only so many of ours open at a time."""

from __future__ import annotations

from pipeline.errors import HostForbidden, HostNotFound, HostUnavailable
from pipeline.model.fix import Fix
from pipeline.model.ids import RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import PullRequestRef, PullRequestState
from pipeline.stages.context import Context
from pipeline.stages.opening import branch_of
from pipeline.store.proposals import Proposal, Slot
from pipeline.store.work import Work

OPEN_AT_MOST = 3
"""Pull requests of fixes that are open in a repository because people asked for them. Each wants a person to read it."""

NEW_SECONDS = 600.0
"""What was opened so lately may not be in the host's list yet, and is asked for by its number."""


def slot_of(review: Review, fix: Fix) -> Slot:
    """Where the pull request of a fix is counted."""
    return Slot(fix.repository, review.change.repository, branch_of(fix, review.change))


def no_room(context: Context, review: Review, slot: Slot, by_itself: int = 0) -> str:
    """Take the room for the pull request of a fix; its own that is open already needs none. Returns why there is none, a clause, or nothing
    when it is taken. Raises HostForbidden or HostNotFound when the host does not say what is open.

    Args:
        by_itself: so many may be open that nobody asked for (policy, `fixes.open`): the room for the others lies beside them.
    """
    at_most = OPEN_AT_MOST + by_itself
    source, host = review.change.repository, context.teller(review)
    with context.database.read() as work:
        looked_at = work.outbox.now()
        ours, lately = work.proposals.numbers(slot.repository), work.proposals.lately(slot, NEW_SECONDS)
        own = _own(work, review, slot)
    listed = {pull.ref.number for pull in host.open_pull_requests(source)} if ours else set()
    standing = ours & listed
    standing |= {number for number in lately - listed if _may_be_open(context, review, PullRequestRef(source, number))}
    with context.database.work() as work:
        taken, others = work.proposals.reserve(slot, standing, own, looked_at, at_most)
    if taken:
        return ""
    capabilities = context.capabilities(review.installation)
    named = ", ".join(f"{capabilities.reference_sign}{number}" for number in others)
    open_now = f"{at_most} {capabilities.pull_request_word}s of Fixwright's are open or being opened here"
    return f"{open_now}{f' ({named})' if named else ''}, and more are not opened at a time; ask again when one is merged or closed"


def _own(work: Work, review: Review, slot: Slot) -> set[int]:
    """Pull requests that have this branch, whichever commit of the change they were made for."""
    opened = opened_for(work, slot.repository, review)
    return {one.pull_request.number for one in opened if branch_of(work.fixes.get(one.fix), review.change) == slot.branch}


def opened_for(work: Work, repository: RepositoryId, review: Review) -> list[Proposal]:
    """The pull requests of ours that were opened for the change of a review, or for what the default branch has; none for another push."""
    change = review.change
    if change.pull_request is not None:
        return work.proposals.of_change(repository, change.pull_request.number)
    listed = change.whole or (not change.queued and change.head_ref == change.repository.default_branch)
    return work.proposals.of_default(repository) if listed else []


def _may_be_open(context: Context, review: Review, ref: PullRequestRef) -> bool:
    try:
        return is_open(context, review, ref)
    except HostUnavailable:  # so GitLab says of one that it has not prepared yet
        return True


def is_open(context: Context, review: Review, ref: PullRequestRef) -> bool:
    """Whether the pull request of a fix can still be merged."""
    try:
        return context.teller(review).pull_request(ref).state is PullRequestState.OPEN
    except (HostForbidden, HostNotFound):
        return False
