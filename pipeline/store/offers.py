"""What callers of the API want of a fix run, and what became of the pull request that offers it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from pipeline.model.ids import FixId, RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.tables import fix_offers, fixes
from pipeline.store.transaction import Transaction, chunks


@dataclass(frozen=True, slots=True)
class Offer:
    """Of one fix run. Moments are seconds since 1970."""

    called: str = ""
    """How a caller of the API called the run; empty when a comment or the list asked for it. Hostile text, as all here."""
    scan_branch: str = ""
    """The branch that the caller named."""
    title: str = ""
    """Of the pull request, when the caller wants another than ours."""
    body: str = ""
    """What is to stand above ours."""
    branch: str = ""
    """Of the pull request that was opened."""
    state: str = ""
    """`open`, `merged`, `closed`; empty when none was opened."""
    opened_at: float | None = None
    merged_at: float | None = None


class Offers:
    """Offers. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def call(self, fix: FixId, repository: RepositoryId, called: str, scan_branch: str) -> None:
        """A caller of the API wants this run, under a name."""
        row = {"fix_id": fix, "repository_id": repository, "called": called, "scan_branch": scan_branch}
        self._transaction.upsert(fix_offers, [row], ["fix_id"], ["called", "scan_branch"])

    def wish(self, fix: FixId, repository: RepositoryId, title: str, body: str) -> None:
        """How its pull request is to be; empty: as we make it."""
        row = {"fix_id": fix, "repository_id": repository, "title": title, "body": body}
        self._transaction.upsert(fix_offers, [row], ["fix_id"], ["title", "body"])

    def get(self, fix: FixId) -> Offer:
        """Of a run; empty when nothing is known."""
        return self.of([fix]).get(fix, Offer())

    def of(self, which: Collection[FixId]) -> dict[FixId, Offer]:
        """Of some runs."""
        found: dict[FixId, Offer] = {}
        for chunk in chunks(sorted(which)):
            rows = self._transaction.execute(select(fix_offers).where(fix_offers.c.fix_id.in_(chunk)))
            found.update({FixId(row.fix_id): _to_offer(row) for row in rows})
        return found

    def opened(self, fix: FixId, repository: RepositoryId, number: int, branch: str) -> None:
        """Its pull request is open."""
        row = {"fix_id": fix, "repository_id": repository, "number": number, "branch": branch, "state": "open"}
        self._transaction.upsert(fix_offers, [row], ["fix_id"], ["number", "branch", "state"])
        first = update(fix_offers).where(fix_offers.c.fix_id == fix, fix_offers.c.opened_at.is_(None))
        self._transaction.execute(first.values(opened_at=database_now()))

    def ended(self, repository: RepositoryId, number: int, *, merged: bool) -> None:
        """A pull request was closed or merged; nothing happens when it is none of ours."""
        mine = update(fix_offers).where(fix_offers.c.repository_id == repository, fix_offers.c.number == number)
        values = {"state": "merged", "merged_at": database_now()} if merged else {"state": "closed"}
        self._transaction.execute(mine.values(values))

    def reopened(self, repository: RepositoryId, number: int) -> None:
        """A closed one is open again."""
        mine = (fix_offers.c.repository_id == repository, fix_offers.c.number == number, fix_offers.c.state == "closed")
        self._transaction.execute(update(fix_offers).where(*mine).values(state="open"))

    def taken(self, repository: RepositoryId, branch: str, fix: FixId) -> bool:
        """Whether another run of a repository has chosen this branch."""
        others = select(fixes.c.id).where(fixes.c.repository_id == repository, fixes.c.branch == branch, fixes.c.id != fix)
        return self._transaction.execute(others.limit(1)).first() is not None

    def choose_branch(self, fix: FixId, branch: str) -> None:
        """The branch of its pull request, chosen by a caller while none is open."""
        self._transaction.execute(update(fixes).where(fixes.c.id == fix, fixes.c.pull_request.is_(None)).values(branch=branch))


def _to_offer(row: Row[Any]) -> Offer:
    plain = (row.called, row.scan_branch, row.title, row.body, row.branch, row.state)
    return Offer(*plain, opened_at=row.opened_at, merged_at=row.merged_at)
