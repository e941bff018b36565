"""Repositories as the operator sees them: by name, with what may be done there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, and_, false, func, or_, select, update

from pipeline.model.ids import RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.tables import finding_states, installations, organizations, repositories, reviews
from pipeline.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Known:
    """One repository that we know."""

    id: RepositoryId
    provider: str
    instance: str
    name: str
    """`owner/name`."""
    private: bool
    state: str
    """active, disabled (by the operator), archived, gone."""
    account: str
    """Of its installation; empty when that is not known."""
    installation_state: str
    organization: str
    findings: int
    """Those that are open on its default branch: what only a pull request has is not the repository's yet."""
    scanned_at: float | None
    """When its default branch was looked at as a whole last."""


class Repositories:
    """Repositories. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> list[Known]:
        """Every one, sorted by provider, instance and name."""
        return [_known(row) for row in self._transaction.execute(_selected())]

    def get(self, identifier: RepositoryId) -> Known:
        """One of them. Raises StaleWrite when there is none."""
        row = self._transaction.one(_selected().where(repositories.c.id == identifier), f"there is no repository {identifier}")
        return _known(row)

    def has_branch(self, identifier: RepositoryId, branch: str) -> bool:
        """True for a branch that had a finding, and for one that a review was of or for; `pull/7` is pull request 7."""
        seen = select(finding_states.c.branch).where(finding_states.c.repository_id == identifier, finding_states.c.branch == branch)
        number = branch.removeprefix("pull/")
        of = reviews.c.pull_request == int(number) if number != branch and number.isdecimal() and len(number) < 10 else false()
        for_it = reviews.c.change.contains(json.dumps(branch), autoescape=True)
        reviewed = select(reviews.c.id).where(reviews.c.repository_id == identifier, or_(reviews.c.head_ref == branch, of, for_it))
        return any(self._transaction.execute(statement.limit(1)).first() is not None for statement in (seen, reviewed))

    def set_state(self, identifier: RepositoryId, state: Literal["active", "disabled"]) -> None:
        """The operator decides whether anything is done there."""
        values = {"state": state, "switched_off": state == "disabled", "updated_at": database_now()}
        self._transaction.execute(update(repositories).where(repositories.c.id == identifier).values(values))


def _known(row: Row[Any]) -> Known:
    return Known(
        id=RepositoryId(row.id),
        provider=row.provider,
        instance=row.instance,
        name=row.full_name,
        private=row.private,
        state=row.state,
        account=row.account or "",
        installation_state=row.installation_state or "",
        organization=row.organization or "",
        findings=row.findings,
        scanned_at=row.scanned_at,
    )


def _selected() -> Select[Any]:
    home = and_(
        installations.c.provider == repositories.c.provider,
        installations.c.instance == repositories.c.instance,
        installations.c.external_id == repositories.c.installation,
    )
    joined = repositories.outerjoin(installations, home).outerjoin(organizations, installations.c.organization_id == organizations.c.id)
    here = finding_states.c.repository_id == repositories.c.id, finding_states.c.branch == repositories.c.default_branch
    counted = select(func.count()).select_from(finding_states).where(*here, finding_states.c.status == "open").scalar_subquery()
    columns = (
        *(repositories.c[name] for name in ("id", "provider", "instance", "full_name", "private", "state", "scanned_at")),
        installations.c.account,
        installations.c.state.label("installation_state"),
        organizations.c.slug.label("organization"),
        counted.label("findings"),
    )
    order = (repositories.c.provider, repositories.c.instance, repositories.c.full_name, repositories.c.id)
    return select(*columns).select_from(joined).order_by(*order)
