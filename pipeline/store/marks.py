"""Marks of the secrets that scans have found, by repository: what the filter of `pipeline.leaks` looks for in everything that leaves."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from sqlalchemy import delete, func, select

from pipeline.model.finding import Finding
from pipeline.model.ids import RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.tables import secret_marks
from pipeline.store.transaction import Transaction

MOST = 2_000
"""Values of one repository; those that were seen last. About 200 bytes each in the database, 400 in memory while a message is worked."""


class Marks:
    """The table. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, repository: RepositoryId, findings: Iterable[Finding]) -> None:
        """What these have of secrets is looked for from now on."""
        seen = {found.secret.keyed_hash: found.secret.marks for found in findings if found.secret and found.secret.marks}
        rows = [
            {"repository_id": repository, "keyed_hash": keyed_hash, "marks": marks, "seen_at": database_now()}
            for keyed_hash, marks in sorted(seen.items())
        ]
        if not rows:
            return
        self._transaction.upsert(secret_marks, rows, ["repository_id", "keyed_hash"], ["marks", "seen_at"])
        mine = secret_marks.c.repository_id == repository
        surplus = self._transaction.execute(select(func.count()).select_from(secret_marks).where(mine)).scalar_one() - MOST
        if surplus > 0:
            oldest = (
                select(secret_marks.c.keyed_hash).where(mine).order_by(secret_marks.c.seen_at, secret_marks.c.keyed_hash).limit(surplus)
            )
            self._transaction.changed(delete(secret_marks).where(mine, secret_marks.c.keyed_hash.in_(oldest)))

    def of(self, repository: RepositoryId) -> list[bytes]:
        """The marks of every value that was found there, the newest first."""
        statement = select(secret_marks.c.marks).where(secret_marks.c.repository_id == repository)
        newest = statement.order_by(secret_marks.c.seen_at.desc()).limit(MOST)
        return [base64.b64decode(row.marks) for row in self._transaction.execute(newest)]
