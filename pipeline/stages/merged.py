"""Pull requests of ours that people merged: what is gone with them is resolved by them."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.model.review import Review
from pipeline.model.target import PullRequestState
from pipeline.stages.context import Context
from pipeline.store.findings import PULL


def mended_by(context: Context, review: Review, present: Collection[str]) -> dict[str, str]:
    """Which findings a merged pull request of ours has taken out of a change since it was looked at last.

    Only the host knows whether ours was merged. It is asked for those whose finding was open there and is not present any more.

    Args:
        present: fingerprints that the new head has.

    Returns:
        By fingerprint: `pull/N`. One merge explains one resolution: what came back later and is gone again, somebody else has mended.
    """
    ref = review.change.pull_request
    if ref is None:
        return {}
    with context.database.read() as work:
        repository = work.installations.find_repository(review.change.repository)
        if repository is None:
            return {}
        opened = set(work.findings.open_on(repository, f"{PULL}{ref.number}"))
        asked = []
        for proposal in work.proposals.of_change(repository, ref.number):
            if proposal.finding in opened and proposal.fingerprint not in present:
                told = {event.detail for event in work.findings.events(proposal.finding) if event.kind == "resolved_pr_merged"}
                asked += [proposal] if _name(proposal.pull_request.number) not in told else []
    host = context.host(review.installation)
    found = {}
    for proposal in asked:
        try:
            state = host.pull_request(proposal.pull_request).state
        except (HostForbidden, HostNotFound):
            continue
        if state is PullRequestState.MERGED:
            found[proposal.fingerprint] = _name(proposal.pull_request.number)
    return found


def _name(number: int) -> str:
    return f"{PULL}{number}"
