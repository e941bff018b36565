"""Installations and source repositories: known by what the host never changes, its own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, and_, case, select, update

from pipeline.model.ids import InstallationId, RepositoryId
from pipeline.model.target import Installation, SourceRepository
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.identity import to_installation, to_repository
from pipeline.store.sweeps import Sweeps
from pipeline.store.tables import installations, repositories
from pipeline.store.transaction import Transaction, chunks

InstallationState = Literal["active", "suspended", "deleted"]
RepositoryState = Literal["active", "disabled", "archived", "gone"]
"""`disabled` is the operator's word, and what a host tells never takes it back."""

_IDENTITY = ["provider", "instance", "external_id"]


class Installations(Sweeps):
    """Installations and repositories. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def upsert(self, installation: Installation) -> InstallationId:
        """Know an installation, with its newest account name; `installation.id` is not looked at. Returns our id of it."""
        row = {
            "id": new_id(),
            "provider": installation.provider,
            "instance": installation.instance,
            "external_id": installation.external_id,
            "account": installation.account,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        statement = self._transaction.insert(installations).values(row)
        newer = {"account": statement.excluded.account, "updated_at": statement.excluded.updated_at}
        found = statement.on_conflict_do_update(index_elements=_IDENTITY, set_=newer).returning(installations.c.id)
        return InstallationId(self._transaction.execute(found).scalar_one())

    def get(self, identifier: InstallationId) -> Installation:
        """An installation by our id. Raises StaleWrite when there is none."""
        statement = select(installations).where(installations.c.id == identifier)
        return to_installation(self._transaction.one(statement, f"there is no installation {identifier}")._mapping)

    def all(self) -> list[tuple[Installation, InstallationState]]:
        """Every installation with its state, sorted by provider and account."""
        statement = select(installations).order_by(installations.c.provider, installations.c.account, installations.c.id)
        return [(to_installation(row._mapping), row.state) for row in self._transaction.execute(statement)]

    def known(self, installation: Installation) -> tuple[Installation, InstallationState] | None:
        """How we know an installation, by the host's number of it; None when we never saw it."""
        statement = select(installations).where(
            installations.c.provider == installation.provider,
            installations.c.instance == installation.instance,
            installations.c.external_id == installation.external_id,
        )
        row = self._transaction.execute(statement).one_or_none()
        return None if row is None else (to_installation(row._mapping), row.state)

    def set_state(self, identifier: InstallationId, state: InstallationState) -> None:
        """The host suspended, removed or restored it."""
        values = {"state": state, "updated_at": database_now()}
        self._transaction.execute(update(installations).where(installations.c.id == identifier).values(values))

    def upsert_repository(self, repository: SourceRepository, *, asked: bool = False) -> RepositoryId:
        """Know a source repository, with its newest name and address; after a change of its default branch its list of findings is made
        anew.

        Args:
            asked: the host was asked just now, and this is its answer. A payload may be late: one that says that it is public is believed
                at once, but what was public is private again by the host's own answer only.

        Returns:
            Our id of it.
        """
        return self.upsert_repositories([repository], asked=asked)[repository.external_id]

    def identify(self, repository: SourceRepository) -> RepositoryId:
        """Our id of a source repository that something in work is about: made when there is none, and nothing of a known one is changed.

        What is in work was told of some time ago, and its name may have changed since.
        """
        statement = self._transaction.insert(repositories).values(_row_of(repository))
        touched = statement.on_conflict_do_update(index_elements=_IDENTITY, set_={"updated_at": statement.excluded.updated_at})
        return RepositoryId(self._transaction.execute(touched.returning(repositories.c.id)).scalar_one())

    def upsert_repositories(self, of_one_host: Sequence[SourceRepository], *, asked: bool = False) -> dict[str, RepositoryId]:
        """`upsert_repository` for many of one host, with few statements. Returns our ids by the host's numbers, in the same order."""
        found: dict[str, RepositoryId] = {}
        newest = {repository.external_id: repository for repository in of_one_host}
        for chunk in chunks(newest.values()):
            statement = self._upsert([_row_of(repository) for repository in chunk], asked)
            found.update({row.external_id: RepositoryId(row.id) for row in self._transaction.execute(statement)})
        return {external: found[external] for external in newest}

    def _upsert(self, rows: list[dict[str, Any]], asked: bool) -> Executable:
        statement = self._transaction.insert(repositories).values(rows)
        private = statement.excluded.private
        newer: dict[str, ColumnElement[Any]] = {"updated_at": statement.excluded.updated_at}
        newer["private"] = private if asked else and_(repositories.c.private, private)
        for name in ("full_name", "default_branch", "clone_url", "installation"):
            # Not every payload tells everything: what is empty there does not erase what we know.
            newer[name] = case((statement.excluded[name] == "", repositories.c[name]), else_=statement.excluded[name])
        # The list of findings is the default branch's: another branch has another list, and nothing but a look at all of it makes one.
        told, known = statement.excluded.default_branch, repositories.c.default_branch
        moved = and_(told != "", known != "", told != known, repositories.c.listed_commit != "")
        newer["listed_commit"] = case((moved, ""), else_=repositories.c.listed_commit)
        newer["scanned_with"] = case((moved, ""), else_=repositories.c.scanned_with)
        newer["scan_due_at"] = case((moved, database_now()), else_=repositories.c.scan_due_at)
        changed = statement.on_conflict_do_update(index_elements=_IDENTITY, set_=newer)
        return changed.returning(repositories.c.id, repositories.c.external_id)

    def repository(self, identifier: RepositoryId) -> SourceRepository:
        """A source repository by our id, as it was seen last. Raises StaleWrite when there is none."""
        statement = select(repositories).where(repositories.c.id == identifier)
        return to_repository(self._transaction.one(statement, f"there is no repository {identifier}")._mapping)

    def repositories_of(self, installation: Installation) -> list[tuple[RepositoryId, SourceRepository, RepositoryState]]:
        """Everything that was seen through an installation, whatever became of it; sorted by name."""
        statement = select(repositories).where(
            repositories.c.provider == installation.provider,
            repositories.c.instance == installation.instance,
            repositories.c.installation == installation.external_id,
        )
        rows = self._transaction.execute(statement.order_by(repositories.c.full_name, repositories.c.id))
        return [(RepositoryId(row.id), to_repository(row._mapping), row.state) for row in rows]

    def reach(self, installation: Installation, repository: SourceRepository) -> tuple[InstallationState, RepositoryState]:
        """How both stand, in one question; what we never saw counts as active."""
        home = select(installations.c.state).where(
            installations.c.provider == installation.provider,
            installations.c.instance == installation.instance,
            installations.c.external_id == installation.external_id,
        )
        source = select(repositories.c.state).where(
            repositories.c.provider == repository.provider,
            repositories.c.instance == repository.instance,
            repositories.c.external_id == repository.external_id,
        )
        both = select(home.scalar_subquery().label("home"), source.scalar_subquery().label("source"))
        row = self._transaction.execute(both).one()
        return row.home or "active", row.source or "active"

    def repository_state(self, identifier: RepositoryId) -> RepositoryState:
        """Whether a repository is worked on. Raises StaleWrite when there is none."""
        statement = select(repositories.c.state).where(repositories.c.id == identifier)
        state: RepositoryState = self._transaction.one(statement, f"there is no repository {identifier}").state
        return state

    def tell_repository_state(self, identifier: RepositoryId, state: Literal["active", "archived", "gone"]) -> None:
        """The host archived, removed or restored it. One that the operator disabled stays so, also when it was gone in between."""
        mine = repositories.c.id == identifier
        told: ColumnElement[str] | str = state
        if state != "gone":
            mine = and_(mine, repositories.c.state != "disabled")
            told = case((repositories.c.switched_off, "disabled"), else_=state)
        self._transaction.execute(update(repositories).where(mine).values(state=told, updated_at=database_now()))

    def find_repository(self, repository: SourceRepository) -> RepositoryId | None:
        """Our id of a source repository; None when we never saw it."""
        statement = select(repositories.c.id).where(
            repositories.c.provider == repository.provider,
            repositories.c.instance == repository.instance,
            repositories.c.external_id == repository.external_id,
        )
        found = self._transaction.execute(statement).scalar_one_or_none()
        return None if found is None else RepositoryId(found)


def _row_of(repository: SourceRepository) -> dict[str, Any]:
    identifier = new_id()
    return {
        "id": identifier,
        "group_id": identifier,
        "provider": repository.provider,
        "instance": repository.instance,
        "external_id": repository.external_id,
        "full_name": repository.full_name,
        "default_branch": repository.default_branch,
        "clone_url": repository.clone_url,
        "private": repository.private,
        "installation": repository.installation,
        "created_at": database_now(),
        "updated_at": database_now(),
    }
