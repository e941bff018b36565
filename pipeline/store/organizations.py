"""Organizations: who owns what. An installation is in one, and its repositories with it (ARCHITECTURE, "Who owns what")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, update

from pipeline.errors import UsageError
from pipeline.model import account
from pipeline.model.ids import InstallationId, OrganizationId
from pipeline.store.columns import database_now
from pipeline.store.eventlog import EventLog
from pipeline.store.identifiers import new_id
from pipeline.store.tables import installations, organizations, repositories
from pipeline.store.transaction import Transaction

DEFAULT: Final = account.DEFAULT

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization, and how many installations are in it."""

    slug: str
    name: str
    installations: int


class Organizations:
    """Organizations. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> list[Organization]:
        """Every organization, sorted by slug."""
        joined = organizations.outerjoin(installations, installations.c.organization_id == organizations.c.id)
        counted = func.count(installations.c.id).label("number")
        statement = select(organizations.c.slug, organizations.c.name, counted).select_from(joined)
        statement = statement.group_by(organizations.c.id, organizations.c.slug, organizations.c.name).order_by(organizations.c.slug)
        return [Organization(row.slug, row.name, row.number) for row in self._transaction.execute(statement)]

    def create(self, slug: str, name: str = "") -> None:
        """Make one.

        Raises:
            UsageError: the slug is taken, or not one of 1 to 40 small letters, digits and inner hyphens.
        """
        if not _SLUG.fullmatch(slug):
            raise UsageError(f"'{slug}' cannot be a slug: 1 to 40 of a-z, 0-9 and '-', which stands inside")
        if not self._add(slug, name or slug):
            raise UsageError(f"there is an organization '{slug}' already")

    def move(self, installation: InstallationId, slug: str) -> None:
        """Put an installation into another organization. Raises UsageError when there is none with this slug."""
        found = self._transaction.execute(select(organizations.c.id).where(organizations.c.slug == slug)).scalar_one_or_none()
        if found is None:
            raise UsageError(f"there is no organization '{slug}'", hint=f"make it: fixwright organizations create {slug}")
        home = select(installations).where(installations.c.id == installation).subquery()
        theirs = (
            repositories.c.provider == home.c.provider,
            repositories.c.instance == home.c.instance,
            repositories.c.installation == home.c.external_id,
        )
        EventLog(self._transaction).move(select(repositories.c.id).where(*theirs), OrganizationId(found))
        values = {"organization_id": found, "updated_at": database_now()}
        self._transaction.execute(update(installations).where(installations.c.id == installation).values(values))

    def settle(self, *, one_each: bool) -> None:
        """Every installation that is in no organization yet joins the default one, or, with `one_each`, gets one of its own."""
        homeless = select(installations).where(installations.c.organization_id.is_(None)).order_by(installations.c.id)
        rows = self._transaction.execute(homeless).all()
        self._add(DEFAULT, "Default")
        for row in rows:
            slug = DEFAULT
            if one_each:
                slug = _slug_of(row.account or row.external_id, row.id)
                self._add(slug, row.account or slug)
            self.move(InstallationId(row.id), slug)

    def named(self, slug: str) -> account.Organization:
        """The organization with this slug. Raises UsageError when there is none."""
        row = self._transaction.execute(select(organizations).where(organizations.c.slug == slug)).one_or_none()
        if row is None:
            raise UsageError(f"there is no organization '{slug}'", hint="fixwright organizations list")
        return account.Organization(OrganizationId(row.id), row.slug, row.name, row.plan)

    def set_plan(self, slug: str, plan: str) -> None:
        """Give an organization another plan. Raises UsageError when there is none with this slug."""
        if self._transaction.changed(update(organizations).where(organizations.c.slug == slug).values(plan=plan)) != 1:
            raise UsageError(f"there is no organization '{slug}'", hint="fixwright organizations list")

    def of(self, installation: InstallationId) -> str:
        """Slug of the organization of an installation; empty while it has none."""
        joined = installations.join(organizations, installations.c.organization_id == organizations.c.id)
        statement = select(organizations.c.slug).select_from(joined).where(installations.c.id == installation)
        return str(self._transaction.execute(statement).scalar_one_or_none() or "")

    def _add(self, slug: str, name: str) -> bool:
        row = {"id": new_id(), "slug": slug, "name": name, "created_at": database_now()}
        return self._transaction.add_missing(organizations, [row], ["slug"]) == 1


def _slug_of(account: str, identifier: str) -> str:
    """The account's name as a slug, with a piece of the id: accounts of two hosts may have the same name."""
    word = re.sub(r"[^a-z0-9]+", "-", account.lower()).strip("-")[:28].strip("-") or "installation"
    return f"{word}-{identifier[-8:]}"
