"""Pull requests that offer fixes, as far as it matters what becomes of the change that they are for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from pipeline.model.ids import FindingId, FixId, RepositoryId
from pipeline.model.target import PullRequestRef
from pipeline.store.fixes import PULL_REQUEST
from pipeline.store.tables import fixes, reviews
from pipeline.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Proposal:
    """One pull request of ours."""

    fix: FixId
    fingerprint: str
    """Of the finding that it mends."""
    finding: FindingId
    pull_request: PullRequestRef


class Proposals:
    """Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def of_change(self, repository: RepositoryId, pull_request: int) -> list[Proposal]:
        """Those that were opened for a change, whatever became of them, each once with the newest fix that it carries."""
        statement = (
            select(fixes.c.id, fixes.c.fingerprint, fixes.c.finding_id, fixes.c.pull_request)
            .join(reviews, fixes.c.review_id == reviews.c.id)
            .where(reviews.c.repository_id == repository, reviews.c.pull_request == pull_request, fixes.c.pull_request.is_not(None))
            .order_by(fixes.c.id)
        )
        found = {}
        for row in self._transaction.execute(statement):
            ref = PULL_REQUEST.load(row.pull_request)
            fingerprint = str(row.fingerprint).partition(" ")[0]
            found[ref.number] = Proposal(FixId(row.id), fingerprint, FindingId(row.finding_id), ref)
        return list(found.values())
