"""Pull requests of ours that people merged: what is gone with them is resolved by them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.model.fix import Member
from pipeline.model.review import Review
from pipeline.model.target import PullRequestState
from pipeline.stages.context import Context
from pipeline.stages.room import opened_for
from pipeline.store.proposals import Proposal
from pipeline.store.seen import PULL
from pipeline.store.work import Work


def mended_by(context: Context, review: Review, is_gone: Callable[[str], bool]) -> dict[str, str]:
    """Which findings a merged pull request of ours has taken out of a change, or out of the default branch, since it was looked at last.

    Only the host knows whether ours was merged. It is asked for those whose finding was open there and may be gone.

    Args:
        is_gone: whether a fingerprint that was there before may not be there any more.

    Returns:
        By fingerprint: `pull/N`. One merge explains one resolution: what came back later and is gone again, somebody else has mended.
    """
    ref = review.change.pull_request
    branch = review.change.head_ref if ref is None else f"{PULL}{ref.number}"
    with context.database.read() as work:
        repository = work.installations.find_repository(review.change.repository)
        if repository is None:
            return {}
        asked = [(one, member) for one in opened_for(work, repository, review) for member in one.mends if is_gone(member.fingerprint)]
        opened = set(work.findings.open_on(repository, branch)) if asked else set()
        asked = [(one, member) for one, member in asked if member.finding in opened and not _is_told(work, member, one)]
    host = context.host(review.installation)
    found = {}
    for proposal in {one.pull_request.number: one for one, _ in asked}.values():
        try:
            state = host.pull_request(proposal.pull_request).state
        except (HostForbidden, HostNotFound):
            continue
        if state is PullRequestState.MERGED:
            found.update({member.fingerprint: _name(proposal.pull_request.number) for one, member in asked if one == proposal})
    return found


def _is_told(work: Work, member: Member, proposal: Proposal) -> bool:
    events = work.findings.events(member.finding)
    return any(event.kind == "resolved_pr_merged" and event.detail == _name(proposal.pull_request.number) for event in events)


def _name(number: int) -> str:
    return f"{PULL}{number}"
