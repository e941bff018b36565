"""The last policy of a repository's default branch that could be used: it judges while a newer one is broken."""

from __future__ import annotations

from sqlalchemy import select, update

from pipeline.model.ids import RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.tables import repositories, reviews
from pipeline.store.transaction import Transaction


class Policies:
    """The columns `policy` and `policy_source` of repositories. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def last_good(self, repository: RepositoryId) -> tuple[str, str] | None:
        """The policy as JSON (only what its file says), and where it stood; None when there is none."""
        statement = select(repositories.c.policy, repositories.c.policy_source).where(repositories.c.id == repository)
        row = self._transaction.one(statement, f"there is no repository {repository}")
        return None if row.policy is None else (str(row.policy), str(row.policy_source))

    def newest(self, repository: RepositoryId) -> tuple[str, str, str] | None:
        """The policy that judged last, as JSON; where it stood; how it was put together, as JSON. None when nothing was judged."""
        columns = (reviews.c.policy, reviews.c.policy_source, reviews.c.policy_record)
        statement = select(*columns).where(reviews.c.repository_id == repository, reviews.c.policy.is_not(None))
        row = self._transaction.execute(statement.order_by(reviews.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else (str(row.policy), str(row.policy_source), str(row.policy_record or "{}"))

    def remember(self, repository: RepositoryId, policy_json: str | None, source: str) -> None:
        """Keep what can be used now; None when the repository has no policy file any more."""
        values = {"policy": policy_json, "policy_source": source, "updated_at": database_now()}
        changed = (repositories.c.policy.is_distinct_from(policy_json)) | (repositories.c.policy_source != source)
        self._transaction.execute(update(repositories).where(repositories.c.id == repository, changed).values(values))
