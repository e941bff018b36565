"""Which findings are attributed to a batch: what its scan type saw when the batch was settled, however the list stands later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, literal, select, update

from pipeline.model.finding import Finding
from pipeline.model.ids import FindingId, RepositoryId, ReviewId
from pipeline.model.scan import scan_type_of
from pipeline.store.tables import batch_findings, finding_states, findings, scans
from pipeline.store.transaction import Transaction

_KEY = ["batch_id", "finding_id"]


class Attributed:
    """Rows of `batch_findings`. Part of a `Work`; written in the transaction that settles a review."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def branch(self, review_id: ReviewId, repository_id: RepositoryId, branch: str) -> None:
        """Everything was looked at: what the branch has is what each batch of the review saw, as far as it is of its scan type."""
        for scan in self._scans(review_id):
            found = (
                select(literal(scan.batch_id), finding_states.c.finding_id, findings.c.severity, finding_states.c.branch)
                .select_from(finding_states.join(findings, findings.c.id == finding_states.c.finding_id))
                .where(finding_states.c.repository_id == repository_id, finding_states.c.branch == branch)
                .where(finding_states.c.status == "open", findings.c.scan_type == scan.scan_type)
            )
            columns = ["batch_id", "finding_id", "severity", "branch"]
            added = self._transaction.insert(batch_findings).from_select(columns, found)
            number = self._transaction.changed(added.on_conflict_do_nothing(index_elements=_KEY))
            self._count(scan.id, number)

    def seen(self, review_id: ReviewId, branch: str, found: Sequence[Finding], ids: Mapping[str, FindingId]) -> None:
        """A change was looked at: what it has new, or in the files that a push changed.

        Args:
            ids: ours, by fingerprint.
        """
        kinds = {ids[finding.fingerprint]: (scan_type_of(finding), int(finding.rule.severity)) for finding in found}
        for scan in self._scans(review_id):
            rows = [
                {"batch_id": scan.batch_id, "finding_id": identifier, "severity": severity, "branch": branch}
                for identifier, (scan_type, severity) in sorted(kinds.items())
                if scan_type == scan.scan_type
            ]
            self._count(scan.id, self._transaction.add_missing(batch_findings, rows, _KEY))

    def _scans(self, review_id: ReviewId) -> Sequence[Row[Any]]:
        columns = (scans.c.id, scans.c.batch_id, scans.c.scan_type)
        return self._transaction.execute(select(*columns).where(scans.c.review_id == review_id).order_by(scans.c.id)).all()

    def _count(self, scan: str, added: int) -> None:
        known = func.coalesce(scans.c.findings, 0) + added
        self._transaction.execute(update(scans).where(scans.c.id == scan).values(findings=known))
