"""Lists of fix runs as the API shows them: of some repositories, the newest first, at any depth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Select, func, or_, select

from pipeline.model.fix import Fix, FixAttempt
from pipeline.model.ids import FindingId, FixId, RepositoryId
from pipeline.store.fixes import to_attempt, to_fix
from pipeline.store.tables import fix_attempts, fixes
from pipeline.store.transaction import Transaction, chunks

COUNTED: Final = 10_001
"""Up to which fix runs are counted."""


class FixLists:
    """Lists of fix runs. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def page(
        self, members: Sequence[RepositoryId], *, limit: int, skip: int = 0, after: str = "", finding: str = ""
    ) -> tuple[list[Fix], bool, int]:
        """A page of the runs of some repositories, the newest first.

        Args:
            after: the id behind which the page begins.
            finding: only those that are to mend this one.

        Returns:
            The runs, whether something follows, and how many there are, up to COUNTED.
        """
        statement = self._of(members, finding)
        total = self._transaction.execute(select(func.count()).select_from(statement.limit(COUNTED).subquery())).scalar_one()
        if after:
            statement = statement.where(fixes.c.id < after)
        ids = list(self._transaction.execute(statement.order_by(fixes.c.id.desc()).offset(skip).limit(limit + 1)).scalars())
        return self.of(ids[:limit]), len(ids) > limit, int(total)

    def get(self, members: Collection[RepositoryId], identifier: str) -> Fix | None:
        """A run of one of some repositories; None when they have no such one."""
        if not (identifier.isascii() and identifier.isalnum()):
            return None
        row = self._transaction.execute(select(fixes).where(fixes.c.id == identifier, fixes.c.repository_id.in_(members))).one_or_none()
        return None if row is None else to_fix(row)

    def of(self, ids: Sequence[str]) -> list[Fix]:
        """Some runs, in the order in which they are asked for."""
        found = {}
        for chunk in chunks(ids):
            found.update({row.id: to_fix(row) for row in self._transaction.execute(select(fixes).where(fixes.c.id.in_(chunk)))})
        return [found[one] for one in ids if one in found]

    def attempts(self, ids: Collection[FixId]) -> dict[FixId, list[FixAttempt]]:
        """Every attempt at some runs, oldest first."""
        found: dict[FixId, list[FixAttempt]] = {}
        for chunk in chunks(sorted(ids)):
            statement = select(fix_attempts).where(fix_attempts.c.fix_id.in_(chunk)).order_by(fix_attempts.c.fix_id, fix_attempts.c.number)
            for row in self._transaction.execute(statement):
                found.setdefault(FixId(row.fix_id), []).append(to_attempt(row))
        return found

    def of_findings(self, which: Collection[FindingId]) -> dict[FindingId, list[FixId]]:
        """The runs that are to mend some findings, the newest first."""
        found: dict[FindingId, list[FixId]] = {}
        for chunk in chunks(sorted(which)):
            statement = select(fixes.c.finding_id, fixes.c.id).where(fixes.c.finding_id.in_(chunk)).order_by(fixes.c.id.desc())
            for row in self._transaction.execute(statement):
                found.setdefault(FindingId(row.finding_id), []).append(FixId(row.id))
        return found

    def _of(self, members: Sequence[RepositoryId], finding: str) -> Select[Any]:
        statement = select(fixes.c.id).where(fixes.c.repository_id.in_(members))
        if finding:
            known = finding if finding.isascii() and finding.isalnum() else "-"
            statement = statement.where(or_(fixes.c.finding_id == known, fixes.c.members.contains(f'"{known}"', autoescape=True)))
        return statement
