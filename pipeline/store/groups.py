"""What the API calls repositories: one source repository by itself, or several that people put together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, update

from pipeline.errors import StaleWrite
from pipeline.model.ids import OrganizationId, RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import installations, repositories, repository_groups
from pipeline.store.transaction import Transaction

MOST_SOURCES: Final = 100
"""How many source repositories one repository of the API has: each is a range of its own in whatever is listed of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source repository of a group."""

    id: RepositoryId
    provider: str
    instance: str
    full_name: str
    default_branch: str
    clone_url: str
    active: bool
    """False when nothing is done there: archived, switched off, or its installation is suspended."""


@dataclass(frozen=True, slots=True)
class Group:
    """A repository of the API. Moments are seconds since 1970."""

    id: str
    name: str
    description: str
    sources: tuple[Source, ...]
    """Sorted by provider, instance and name. Those that are gone are left out."""
    archived: bool
    created_at: float
    updated_at: float
    single: bool
    """True for a source repository by itself: it has that one's id."""

    @property
    def members(self) -> tuple[RepositoryId, ...]:
        """Our ids of its source repositories."""
        return tuple(source.id for source in self.sources)


class Groups:
    """Repositories of the API. Part of a `Work`. Nothing here tells of another organization's."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, organization: OrganizationId, identifier: str) -> Group | None:
        """One of them; None when the organization has no such one."""
        if not _is_id(identifier):
            return None
        made = select(repository_groups).where(repository_groups.c.id == identifier, repository_groups.c.organization_id == organization)
        row = self._transaction.execute(made).one_or_none()
        members = self._sources(organization, [identifier]).get(identifier, [])
        if row is not None:
            return _group(row, members)
        return _single(members[0]) if members else None

    def page(
        self, organization: OrganizationId, *, archived: bool, limit: int, skip: int = 0, after: str = ""
    ) -> tuple[list[Group], bool, int]:
        """A page, in the order in which they were added.

        Args:
            archived: with those that are.
            after: the id behind which the page begins.

        Returns:
            The groups, whether something follows, and how many there are in all.
        """
        made = select(repository_groups.c.id).where(repository_groups.c.organization_id == organization)
        singles = select(repositories.c.id).select_from(homes()).where(own(organization), repositories.c.group_id == repositories.c.id)
        if not archived:
            made, singles = made.where(repository_groups.c.archived_at.is_(None)), singles.where(alive())
        total = sum(
            int(self._transaction.execute(select(func.count()).select_from(one.subquery())).scalar_one()) for one in (made, singles)
        )
        most = skip + limit + 1
        ids: list[str] = []
        for statement, column in ((made, repository_groups.c.id), (singles, repositories.c.id)):
            ids += self._transaction.execute(statement.where(column > after).order_by(column).limit(most)).scalars()
        chosen = sorted(ids)[skip : skip + limit]
        members = self._sources(organization, chosen)
        rows = {row.id: row for row in self._transaction.execute(select(repository_groups).where(repository_groups.c.id.in_(chosen))).all()}
        groups = [_group(rows[one], members.get(one, [])) if one in rows else _single(members[one][0]) for one in chosen]
        return groups, len(ids) > skip + limit, total

    def create(self, organization: OrganizationId, name: str, description: str, members: Sequence[RepositoryId]) -> str:
        """Put source repositories together.

        Raises:
            StaleWrite: one of them is not the organization's, or belongs to another group already.
        """
        row = {"id": new_id(), "organization_id": organization, "name": name, "description": description}
        self._transaction.add(repository_groups, [{**row, "created_at": database_now(), "updated_at": database_now()}])
        self._join(organization, str(row["id"]), members)
        return str(row["id"])

    def change(
        self,
        organization: OrganizationId,
        identifier: str,
        *,
        name: str | None = None,
        description: str | None = None,
        archived: bool | None = None,
        members: Sequence[RepositoryId] | None = None,
    ) -> None:
        """Change what people put together; None leaves a thing as it is. Who is not among `members` is one by itself again.

        Raises:
            StaleWrite: there is no such group, or see `create`.
        """
        values: dict[str, Any] = {"updated_at": database_now()}
        values |= {key: value for key, value in (("name", name), ("description", description)) if value is not None}
        if archived is not None:
            values["archived_at"] = database_now() if archived else None
        mine = update(repository_groups).where(repository_groups.c.id == identifier, repository_groups.c.organization_id == organization)
        if self._transaction.changed(mine.values(values)) != 1:
            raise StaleWrite("there is no such repository that was put together")
        if members is not None:
            left = update(repositories).where(repositories.c.group_id == identifier, repositories.c.id.not_in(members))
            self._transaction.execute(left.values(group_id=repositories.c.id))
            self._join(organization, identifier, members)

    def _join(self, organization: OrganizationId, identifier: str, members: Sequence[RepositoryId]) -> None:
        wanted = sorted(set(members))
        if len(wanted) > MOST_SOURCES:
            raise StaleWrite(f"{len(wanted)} source repositories are too many for one repository: {MOST_SOURCES} at most")
        mine = select(repositories.c.id).select_from(homes()).where(own(organization), repositories.c.id.in_(wanted))
        free = mine.where(repositories.c.group_id.in_([identifier, repositories.c.id]))
        if set(self._transaction.execute(mine).scalars()) != set(wanted):
            raise StaleWrite("one of the source repositories is not here")
        if set(self._transaction.execute(free).scalars()) != set(wanted):
            raise StaleWrite("one of the source repositories belongs to another repository already")
        self._transaction.execute(update(repositories).where(repositories.c.id.in_(wanted)).values(group_id=identifier))

    def named(self, organization: OrganizationId, name: str) -> list[Group]:
        """Those that people put together and called so; archived ones are left out."""
        wanted = select(repository_groups).where(repository_groups.c.organization_id == organization, repository_groups.c.name == name)
        return self._made(organization, wanted)

    def made(self, organization: OrganizationId) -> list[Group]:
        """Everything that people put together, in the order in which they did; archived ones are left out."""
        return self._made(organization, select(repository_groups).where(repository_groups.c.organization_id == organization))

    def _made(self, organization: OrganizationId, wanted: Select[Any]) -> list[Group]:
        rows = self._transaction.execute(wanted.where(repository_groups.c.archived_at.is_(None)).order_by(repository_groups.c.id)).all()
        members = self._sources(organization, [row.id for row in rows])
        return [_group(row, members.get(row.id, [])) for row in rows]

    def sources(self, organization: OrganizationId, full_name: str, provider: str) -> list[Source]:
        """The source repositories that are called so; of several instances, several."""
        named = select(repositories.c.id).select_from(homes()).where(own(organization), repositories.c.full_name == full_name)
        ids = list(self._transaction.execute(named.where(repositories.c.provider == provider)).scalars())
        rows = self._transaction.execute(_selected().where(repositories.c.id.in_(ids)))
        return [_source(row) for row in rows]

    def _sources(self, organization: OrganizationId, groups: Collection[str]) -> dict[str, list[Row[Any]]]:
        order = (repositories.c.provider, repositories.c.instance, repositories.c.full_name, repositories.c.id)
        found: dict[str, list[Row[Any]]] = {}
        for row in self._transaction.execute(_selected().where(own(organization), repositories.c.group_id.in_(groups)).order_by(*order)):
            found.setdefault(row.group_id, []).append(row)
        return found


def _is_id(text: str) -> bool:
    return len(text) <= 64 and text.isascii() and text.isalnum()


def homes() -> Any:  # the join's type has no name that a caller could use
    """Source repositories with their installations."""
    home = and_(
        installations.c.provider == repositories.c.provider,
        installations.c.instance == repositories.c.instance,
        installations.c.external_id == repositories.c.installation,
    )
    return repositories.join(installations, home)


def _selected() -> Select[Any]:
    columns = [repositories.c[name] for name in ("id", "provider", "instance", "full_name", "default_branch", "clone_url", "group_id")]
    moments = (repositories.c.created_at, repositories.c.updated_at, alive().label("alive"))
    return select(*columns, *moments).select_from(homes())


def own(organization: OrganizationId) -> ColumnElement[bool]:
    """Those of an organization that are still there."""
    here = and_(repositories.c.state != "gone", installations.c.state != "deleted")
    return and_(installations.c.organization_id == organization, here)


def alive() -> ColumnElement[bool]:
    """Those in which something is done: neither archived nor switched off, and their installation is not suspended."""
    return and_(repositories.c.state == "active", installations.c.state == "active")


def _source(row: Row[Any]) -> Source:
    plain = (row.provider, row.instance, row.full_name, row.default_branch, row.clone_url)
    return Source(RepositoryId(row.id), *plain, active=bool(row.alive))


def _single(row: Row[Any]) -> Group:
    source = _source(row)
    return Group(row.id, row.full_name, "", (source,), not source.active, row.created_at, row.updated_at, single=True)


def _group(row: Row[Any], members: Sequence[Row[Any]]) -> Group:
    sources = tuple(_source(one) for one in members)
    archived = row.archived_at is not None
    return Group(row.id, row.name, row.description, sources, archived, row.created_at, row.updated_at, single=False)
