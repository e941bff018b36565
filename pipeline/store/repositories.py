"""Repositories as the operator sees them: by name, with what may be done there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, func, select, update

from pipeline.errors import UsageError
from pipeline.model.ids import RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.tables import findings, installations, organizations, repositories
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
    """Identities that were ever seen."""
    scanned_at: float | None
    """When its default branch was looked at as a whole last."""


class Repositories:
    """Repositories. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> list[Known]:
        """Every one, sorted by provider, instance and name."""
        return self._known(_selected())

    def named(self, name: str, provider: str = "") -> Known:
        """The repository with this name, `owner/name` in any case.

        Raises:
            UsageError: there is none, or there are several (on several hosts).
        """
        statement = _selected().where(func.lower(repositories.c.full_name) == name.lower())
        found = self._known(statement.where(repositories.c.provider == provider) if provider else statement)
        if not found:
            raise UsageError(f"there is no repository '{name}' here", hint="fixwright repositories list")
        if len(found) > 1:
            where = ", ".join(f"{known.provider} {known.instance}".strip() for known in found)
            raise UsageError(f"'{name}' is on several hosts: {where}", hint="say which: --provider NAME")
        return found[0]

    def set_state(self, identifier: RepositoryId, state: Literal["active", "disabled"]) -> None:
        """The operator decides whether anything is done there."""
        values = {"state": state, "updated_at": database_now()}
        self._transaction.execute(update(repositories).where(repositories.c.id == identifier).values(values))

    def _known(self, statement: Select[Any]) -> list[Known]:
        return [
            Known(
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
            for row in self._transaction.execute(statement)
        ]


def _selected() -> Select[Any]:
    home = and_(
        installations.c.provider == repositories.c.provider,
        installations.c.instance == repositories.c.instance,
        installations.c.external_id == repositories.c.installation,
    )
    joined = repositories.outerjoin(installations, home).outerjoin(organizations, installations.c.organization_id == organizations.c.id)
    counted = select(func.count()).select_from(findings).where(findings.c.repository_id == repositories.c.id).scalar_subquery()
    columns = (
        *(repositories.c[name] for name in ("id", "provider", "instance", "full_name", "private", "state", "scanned_at")),
        installations.c.account,
        installations.c.state.label("installation_state"),
        organizations.c.slug.label("organization"),
        counted.label("findings"),
    )
    order = (repositories.c.provider, repositories.c.instance, repositories.c.full_name, repositories.c.id)
    return select(*columns).select_from(joined).order_by(*order)
