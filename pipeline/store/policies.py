"""What is kept of policies: the last one of a default branch that could be used, which judges while a newer one is broken; and how long
verdicts rest on one."""

from __future__ import annotations

from datetime import date

from sqlalchemy import or_, select, update

from pipeline.model.ids import RepositoryId, ReviewId
from pipeline.store.columns import database_now
from pipeline.store.tables import repositories, reviews, subjects
from pipeline.store.transaction import Transaction

AT_ONCE = 200
"""Reviews of which one call of `lapsed` takes note."""


class Policies:
    """The columns `policy` and `policy_source` of repositories, and `rests_until` of reviews. Part of a `Work`."""

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

    def lapsed(self, today: date) -> list[ReviewId]:
        """Take note of verdicts that rest on an `ignore` entry whose last day is over.

        Of a change that is closed none is taken: it may be opened again, and is then.

        Returns:
            The newest reviews of open changes among them; of at most `AT_ONCE` verdicts, the longest over first.
        """
        over = reviews.c.rests_until < today.isoformat()
        statement = select(reviews.c.id, subjects.c.open).select_from(reviews.outerjoin(subjects, subjects.c.review_id == reviews.c.id))
        statement = statement.where(over, or_(subjects.c.open.is_(None), subjects.c.open))
        rows = list(self._transaction.execute(statement.order_by(reviews.c.rests_until, reviews.c.id).limit(AT_ONCE)))
        if rows:
            noted = update(reviews).where(reviews.c.id.in_([row.id for row in rows]), over)
            self._transaction.execute(noted.values(rests_until=None, updated_at=database_now()))
        return [ReviewId(row.id) for row in rows if row.open]
