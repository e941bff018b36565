"""What is kept for a time only. Everything here goes in bounded batches: call it again until it says 0.

Kept for good: findings, their states and events, fixes with their receipts, waivers. Kept while it is needed: the newest review of every
open pull request and branch, with its scans, however old. The rest of a review goes after the operator's time.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, Text, and_, cast, delete, exists, literal, or_, select, update

from pipeline.store.columns import database_now
from pipeline.store.tables import (
    batch_findings,
    batches,
    effects,
    metadata,
    occurrences,
    outbox,
    reviews,
    scan_results,
    scans,
    subjects,
    threads,
)
from pipeline.store.transaction import Transaction

BATCH: Final = 200
"""Reviews, or single rows, of one call."""

ATTRIBUTED: Final = 5
"""Batches of one call whose findings go: each may have 100,000 of them."""

_ENDED = ("done", "cancelled", "failed")


class Retention:
    """Deletes what is old. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def forget(self, seconds: float, limit: int = BATCH) -> int:
        """Delete up to `limit` of each kind that is older than `seconds`; how many rows were deleted or emptied."""
        before = database_now() - seconds
        old = and_(reviews.c.status.in_(_ENDED), reviews.c.updated_at < before)
        deleted = self._results(old, limit) + self._verdicts(old, limit) + self._occurrences(old, limit)
        deleted += self._one_key(effects, effects.c.key, effects.c.updated_at < before, limit)
        deleted += self._one_key(outbox, outbox.c.id, and_(outbox.c.status == "dead", outbox.c.finished_at < before), limit)
        deleted += self._threads(before)
        deleted += self._subjects(before) + self._attributed(old, before) + self._asked(before, limit)
        return deleted + self._reviews(old, limit)

    def _results(self, old: ColumnElement[bool], limit: int) -> int:
        """What the engines said: needed to settle a review, and to judge the newest of an open change anew."""
        joined = scan_results.join(scans, scan_results.c.scan_id == scans.c.id).join(reviews, scans.c.review_id == reviews.c.id)
        some = select(scans.c.id).distinct().select_from(joined).where(old, ~_current()).limit(limit).subquery()
        return self._transaction.changed(delete(scan_results).where(scan_results.c.scan_id.in_(select(some.c.id))))

    def _verdicts(self, old: ColumnElement[bool], limit: int) -> int:
        """The verdict quotes code; the conclusion stays."""
        some = select(reviews.c.id).where(old, ~_current(), reviews.c.verdict.is_not(None)).limit(limit).subquery()
        emptied = update(reviews).where(reviews.c.id.in_(select(some.c.id))).values(verdict=None, facts=None)
        return self._transaction.changed(emptied)

    def _occurrences(self, old: ColumnElement[bool], limit: int) -> int:
        """Places that findings had in pull requests and branches that are closed."""
        open_subject = exists().where(
            subjects.c.repository_id == reviews.c.repository_id, subjects.c.subject == reviews.c.subject, subjects.c.open
        )
        joined = occurrences.join(reviews, occurrences.c.review_id == reviews.c.id)
        some = select(reviews.c.id).distinct().select_from(joined).where(old, ~open_subject).limit(limit).subquery()
        return self._transaction.changed(delete(occurrences).where(occurrences.c.review_id.in_(select(some.c.id))))

    def _threads(self, before: ColumnElement[Any]) -> int:
        """Threads that we opened in pull requests that are closed."""
        subject = literal("pull_request:") + cast(threads.c.pull_request, Text)
        still = exists().where(subjects.c.repository_id == threads.c.repository_id, subjects.c.subject == subject, subjects.c.open)
        return self._transaction.changed(delete(threads).where(threads.c.created_at < before, ~still))

    def _subjects(self, before: ColumnElement[Any]) -> int:
        return self._transaction.changed(delete(subjects).where(~subjects.c.open, subjects.c.updated_at < before))

    def _attributed(self, old: ColumnElement[bool], before: ColumnElement[Any]) -> int:
        """What batches saw that are about to go."""
        review = select(reviews.c.id).where(reviews.c.id == batches.c.review_id, old, ~_current()).exists()
        goes = or_(review, and_(batches.c.review_id.is_(None), batches.c.completed_at < before))
        some = select(batches.c.id).where(goes, _has_findings()).limit(ATTRIBUTED).subquery()
        return self._transaction.changed(delete(batch_findings).where(batch_findings.c.batch_id.in_(select(some.c.id))))

    def _asked(self, before: ColumnElement[Any], limit: int) -> int:
        """Batches that were asked for through the API, with their scans."""
        mine = and_(batches.c.review_id.is_(None), batches.c.completed_at < before, ~_has_findings())
        ids = [row.id for row in self._transaction.execute(select(batches.c.id).where(mine).limit(limit))]
        self._transaction.changed(delete(scans).where(scans.c.batch_id.in_(ids)))
        return self._transaction.changed(delete(batches).where(batches.c.id.in_(ids)))

    def _reviews(self, old: ColumnElement[bool], limit: int) -> int:
        """Reviews that nothing refers to any more, with their scans."""
        unused = [~select(column).where(column == reviews.c.id).exists() for column in _referring()]
        unused.append(~select(batches.c.id).where(batches.c.review_id == reviews.c.id, _has_findings()).exists())
        # A batch that was asked for may be younger than the review whose branch tells where its findings stand.
        led = select(batches.c.id).join_from(scans, batches, scans.c.batch_id == batches.c.id)
        unused.append(~led.where(scans.c.review_id == reviews.c.id, _has_findings()).exists())
        found = select(reviews.c.id).where(old, *unused).order_by(reviews.c.id).limit(limit)
        ids = [row.id for row in self._transaction.execute(found)]
        own_scans = select(scans.c.id).where(scans.c.review_id.in_(ids))
        self._transaction.changed(delete(scan_results).where(scan_results.c.scan_id.in_(own_scans)))
        # A batch that was asked for is kept for a time of its own.
        asked = update(scans).where(scans.c.review_id.in_(ids), scans.c.source_id != "")
        self._transaction.execute(asked.values(review_id=None))
        for table in (scans, batches):
            self._transaction.changed(delete(table).where(table.c.review_id.in_(ids)))
        return self._transaction.changed(delete(reviews).where(reviews.c.id.in_(ids)))

    def _one_key(self, table: Table, key: ColumnElement[str], where: ColumnElement[bool], limit: int) -> int:
        some = select(key.label("key")).where(where).limit(limit).subquery()
        return self._transaction.changed(delete(table).where(key.in_(select(some.c.key))))


def _has_findings() -> ColumnElement[bool]:
    """True for a batch to which findings are attributed."""
    return exists().where(batch_findings.c.batch_id == batches.c.id)


def _current() -> ColumnElement[bool]:
    """True for the newest review of an open change."""
    # By the key of its subject: no index leads from a review to the subject whose newest it is.
    mine = (subjects.c.repository_id == reviews.c.repository_id, subjects.c.subject == reviews.c.subject)
    return exists().where(*mine, subjects.c.review_id == reviews.c.id, subjects.c.open)


def _referring() -> list[Column[Any]]:
    """Every column that refers to a review, but those of its own scans."""
    return [
        column
        for table in metadata.sorted_tables
        if table not in (scans, batches)
        for column in table.columns
        if any(key.column is reviews.c.id for key in column.foreign_keys)
    ]
