"""How many findings stand how on each branch, kept with them in one transaction: a summary of a million reads some hundred rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, select, update

from pipeline.model.finding import Severity
from pipeline.model.ids import OrganizationId, RepositoryId
from pipeline.store.listing import PublicStatus
from pipeline.store.tables import finding_counts, installations, repositories
from pipeline.store.transaction import Transaction, chunks


class Kind(NamedTuple):
    """What is counted together."""

    branch: str
    rule_id: str
    shown: str
    severity: int


class FindingCounts:
    """Rows of `finding_counts`. Part of a `Work`. Who changes them holds the lock of the repository."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def move(self, repository: RepositoryId, left: Iterable[Kind], came: Iterable[Kind]) -> None:
        """Some findings stood so and stand so now; a new one has left nothing."""
        changed = Counter(came)
        changed.subtract(Counter(left))
        rows = [{"repository_id": repository, **kind._asdict(), "count": count} for kind, count in sorted(changed.items()) if count]
        statement = self._transaction.insert(finding_counts)
        sums = {"count": finding_counts.c.count + statement.excluded.count}
        statement = statement.on_conflict_do_update(index_elements=_KEY, set_=sums)
        for chunk in chunks(rows):
            self._transaction.connection.execute(statement, chunk)
        if changed:
            newer = update(repositories).where(repositories.c.id == repository)
            self._transaction.execute(newer.values(findings_version=repositories.c.findings_version + 1))

    def standing(
        self, organization: OrganizationId, members: Sequence[RepositoryId] | None = None
    ) -> dict[tuple[Severity, PublicStatus], int]:
        """How many findings the default branches of an organization have, by severity and status.

        Args:
            members: of these source repositories alone.
        """
        counted = self._listed(organization, members, finding_counts.c.severity, finding_counts.c.shown)
        return {(Severity(row.severity), row.shown): int(row.total) for row in self._transaction.execute(counted) if row.total}

    def rules(self, organization: OrganizationId, members: Sequence[RepositoryId] | None = None) -> dict[tuple[str, PublicStatus], int]:
        """Likewise by rule and status."""
        counted = self._listed(organization, members, finding_counts.c.rule_id, finding_counts.c.shown)
        return {(row.rule_id, row.shown): int(row.total) for row in self._transaction.execute(counted) if row.total}

    def _listed(self, organization: OrganizationId, members: Sequence[RepositoryId] | None, *by: Any) -> Select[Any]:
        home = and_(
            installations.c.provider == repositories.c.provider,
            installations.c.instance == repositories.c.instance,
            installations.c.external_id == repositories.c.installation,
        )
        here = and_(finding_counts.c.repository_id == repositories.c.id, finding_counts.c.branch == repositories.c.default_branch)
        joined = installations.join(repositories, home).join(finding_counts, here)
        statement = select(*by, func.sum(finding_counts.c.count).label("total")).select_from(joined).group_by(*by)
        statement = statement.where(
            installations.c.organization_id == organization, installations.c.state != "deleted", repositories.c.state != "gone"
        )
        return statement if members is None else statement.where(repositories.c.id.in_(members))


_KEY = ["repository_id", "branch", "rule_id", "shown", "severity"]
