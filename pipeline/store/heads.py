"""What we know of heads: which change and which push were looked at last. For whoever compares that with how it is on the host."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, literal, select

from pipeline.lifecycle import REVIEW
from pipeline.model.ids import CommitId, RepositoryId, ReviewId
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.target import Installation, SourceRepository
from pipeline.store.identifiers import id_at
from pipeline.store.identity import to_repository
from pipeline.store.reviews import CHANGE, selected, to_review
from pipeline.store.tables import effects, outbox, repositories, reviews, subjects
from pipeline.store.transaction import Transaction, chunks

QUIET_SECONDS = 600.0
"""A review so young is left alone: what ends its check may be about to be sent."""
PLANNED_SECONDS = 6 * 3_600.0
"""A message that begins a review is tried for less than two hours, and may wait for hours before."""
LOOKED_BACK = 3 * 86_400.0
"""Seconds for which a check that cannot be ended is tried to be ended."""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """The newest review of a pull request or of a branch."""

    review: ReviewId
    head: CommitId
    base_ref: str
    draft: bool
    status: ReviewStatus
    is_open: bool
    """False when we were told that it is closed, or that the branch is gone."""

    @property
    def stands(self) -> bool:
        """True when it was judged, or is being judged: a cancelled review says nothing."""
        return self.is_open and self.status is not ReviewStatus.CANCELLED

    @property
    def live(self) -> bool:
        """True while it is being judged."""
        return self.status in REVIEW.live


class Heads:
    """Newest reviews by what they are about. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def repositories(self, installation: Installation, after: str, limit: int) -> list[tuple[RepositoryId, SourceRepository]]:
        """Active repositories of an installation in a fixed order, those that follow on `after` (empty: from the first)."""
        mine = (
            repositories.c.provider == installation.provider,
            repositories.c.instance == installation.instance,
            repositories.c.installation == installation.external_id,
            repositories.c.state == "active",
            repositories.c.id > after,
        )
        rows = self._transaction.execute(select(repositories).where(*mine).order_by(repositories.c.id).limit(limit))
        return [(RepositoryId(row.id), to_repository(row._mapping)) for row in rows]

    def pull_requests(self, repository: RepositoryId, numbers: Collection[int]) -> dict[int, KnownHead]:
        """Of these pull requests, and of all that we believe to be open, by number; those that were never judged are left out."""
        found: dict[int, KnownHead] = {}
        for chunk in chunks([f"pull_request:{number}" for number in numbers]):
            found |= self._known(repository, subjects.c.subject.in_(chunk))
        return found | self._known(repository, subjects.c.open)

    def branch(self, repository: RepositoryId, branch: str) -> KnownHead | None:
        """Of the pushes to a branch; None when none was judged."""
        columns = _COLUMNS.where(subjects.c.repository_id == repository, subjects.c.subject == f"branch:{branch}")
        row = self._transaction.execute(columns).one_or_none()
        return None if row is None else _to_head(row)

    def unended(self, limit: int, quiet: float = QUIET_SECONDS) -> list[Review]:
        """Reviews of the last days whose check is in progress on the host although nothing is on its way that would end it. Oldest first.

        One that is still planned has a message in no group of its own, and is left to that for a while.

        Args:
            quiet: seconds for which a young one is left alone.
        """
        begun, ended, waiting = effects.alias("begun"), effects.alias("ended"), outbox.alias("waiting")
        check = literal("check:") + reviews.c.id
        is_ended = exists().where(ended.c.key == check + ":end", ended.c.state == "done")
        on_its_way = exists().where(waiting.c.group == reviews.c.id, waiting.c.status.in_(("pending", "running")))
        planned = and_(reviews.c.status == ReviewStatus.PLANNED, reviews.c.id > id_at(time.time() - PLANNED_SECONDS))
        recent = (reviews.c.id > id_at(time.time() - LOOKED_BACK), reviews.c.id < id_at(time.time() - quiet))
        found = selected(reviews.join(begun, begun.c.key == check)).where(*recent, ~is_ended, ~on_its_way, ~planned)
        return [to_review(row) for row in self._transaction.execute(found.order_by(reviews.c.id).limit(limit))]

    def _known(self, repository: RepositoryId, which: ColumnElement[bool]) -> dict[int, KnownHead]:
        mine = _COLUMNS.where(subjects.c.repository_id == repository, reviews.c.pull_request.is_not(None), which)
        return {int(row.pull_request): _to_head(row) for row in self._transaction.execute(mine)}


_COLUMNS: Select[Any] = select(subjects.c.open, reviews.c.id, reviews.c.pull_request, reviews.c.change, reviews.c.status).select_from(
    subjects.join(reviews, subjects.c.review_id == reviews.c.id)
)


def _to_head(row: Row[Any]) -> KnownHead:
    change = CHANGE.load(row.change)
    return KnownHead(ReviewId(row.id), change.head, change.base_ref, change.draft, ReviewStatus(row.status), bool(row.open))
