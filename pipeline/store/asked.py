"""Batches that were asked for through the API: a scan of one type, of each source repository of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, case, func, insert, or_, select, update

from pipeline.batchprogress import Counts, status_of
from pipeline.errors import StaleWrite
from pipeline.lifecycle import BATCH
from pipeline.model.ids import BatchId, RepositoryId, ReviewId, ScanId
from pipeline.model.scan import BatchStatus, ScanStatus, ScanType
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.quotas import Quotas
from pipeline.store.tables import batches, reviews, scans
from pipeline.store.transaction import Transaction

LOST = (ScanStatus.FAILED, ScanStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class AskedScan:
    """The scan of one source repository of a batch that was asked for."""

    id: ScanId
    batch: BatchId
    source: RepositoryId
    scan_type: ScanType
    status: ScanStatus
    review: ReviewId | None
    """None before it began."""
    ended: bool


class Asked:
    """Batches that were asked for. Part of a `Work`. How its scans are moved on: `Scans.move_scan`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def ask(self, group: str, sources: Sequence[RepositoryId], scan_type: ScanType, asked_by: str) -> tuple[BatchId, list[ScanId]]:
        """A batch with a scan of each source repository; all of them wait.

        Returns:
            Its id, and those of the scans in the order of `sources`.
        """
        now = {"created_at": database_now(), "updated_at": database_now()}
        batch = {"id": new_id(), "scan_type": scan_type, "status": BatchStatus.QUEUED, "commit": "", **now}
        wanted = {"group_id": group, "repositories": len(sources), "asked_by": asked_by}
        self._transaction.execute(insert(batches).values({**batch, **wanted}))
        common = {"batch_id": batch["id"], "scan_type": scan_type, "status": ScanStatus.QUEUED, "required": True, **now}
        rows = [{"id": new_id(), "source_id": source, **common} for source in sources]
        self._transaction.add(scans, rows)
        return BatchId(str(batch["id"])), [ScanId(str(row["id"])) for row in rows]

    def scan(self, identifier: ScanId) -> AskedScan | None:
        """One of its scans; None when it is no longer kept."""
        return self._scan(scans.c.id == identifier)

    def of_review(self, review_id: ReviewId) -> AskedScan | None:
        """The scan that a review is for; None for a review that nobody asked for through the API."""
        return self._scan(scans.c.review_id == review_id)

    def take_up(self, scan: AskedScan) -> None:
        """Somebody works at the batch."""
        waiting = and_(batches.c.id == scan.batch, batches.c.status == BatchStatus.QUEUED)
        self._transaction.execute(update(batches).where(waiting).values(status=BatchStatus.PREPARING, updated_at=database_now()))

    def waits(self, scan: AskedScan, why: str) -> None:
        """It cannot begin yet, and why, as a clause for people."""
        mine = and_(scans.c.id == scan.id, scans.c.status == ScanStatus.QUEUED, scans.c.review_id.is_(None))
        self._transaction.execute(update(scans).where(mine).values(error=why, updated_at=database_now()))

    def begin(self, scan: AskedScan, review_id: ReviewId) -> None:
        """It begins with this review. Once more changes nothing. Raises StaleWrite when it has begun with another one, or is over."""
        mine = and_(scans.c.id == scan.id, scans.c.review_id == review_id)
        if self._transaction.execute(select(scans.c.id).where(mine)).first() is not None:
            return
        free = and_(scans.c.id == scan.id, scans.c.review_id.is_(None), scans.c.ended_at.is_(None))
        begun = {"review_id": review_id, "error": "", "started_at": database_now(), "updated_at": database_now()}
        if self._transaction.changed(update(scans).where(free).values(begun)) != 1:
            raise StaleWrite(f"scan {scan.id} has begun already, or is over")
        self._transaction.execute(update(reviews).where(reviews.c.id == review_id).values(pending=reviews.c.pending + 1))
        follow(self._transaction, scan.batch)

    def end(self, scan: AskedScan, status: ScanStatus, why: str, findings: int | None = None) -> None:
        """It is over without a review.

        Args:
            status: done, failed or cancelled.
            why: as a clause for people.
        """
        live = and_(scans.c.id == scan.id, scans.c.review_id.is_(None), scans.c.ended_at.is_(None))
        values = {"status": status, "error": why, "findings": findings, "ended_at": database_now(), "updated_at": database_now()}
        self._transaction.execute(update(scans).where(live).values(values))
        follow(self._transaction, scan.batch)

    def explain(self, scan: AskedScan, why: str) -> None:
        """What is to be said of it beside its state."""
        self._transaction.execute(update(scans).where(scans.c.id == scan.id).values(error=why, updated_at=database_now()))

    def _scan(self, which: Any) -> AskedScan | None:
        joined = scans.join(batches, batches.c.id == scans.c.batch_id)
        row = self._transaction.execute(select(scans).select_from(joined).where(which, batches.c.review_id.is_(None))).one_or_none()
        return None if row is None else _to_scan(row)


def follow_review(transaction: Transaction, review_id: ReviewId, status: ScanStatus, why: str = "") -> None:
    """The review of a scan that was asked for has settled, failed, or was cancelled: so has the scan, and the batch follows.

    Args:
        status: what becomes of the scan, unless it failed already.
        why: why it failed, as a sentence.
    """
    asked = select(batches.c.id).where(batches.c.id == scans.c.batch_id, batches.c.review_id.is_(None)).exists()
    mine = and_(scans.c.review_id == review_id, scans.c.ended_at.is_(None), asked)
    stays = case((scans.c.status == ScanStatus.FAILED, ScanStatus.FAILED), else_=status)
    values: dict[str, Any] = {"status": stays, "ended_at": database_now(), "updated_at": database_now()}
    if why:
        values["error"] = why
    ended = update(scans).where(mine).values(values).returning(scans.c.batch_id)
    for batch in sorted(set(transaction.execute(ended).scalars())):
        follow(transaction, BatchId(batch))


def follow(transaction: Transaction, batch: BatchId) -> None:
    """Bring a batch that was asked for to where its scans are. Nothing happens to one of a review, and to one that is over.

    What was reserved for it is spent when anything was looked at to the end, and given back when nothing was.
    """
    # Also a lock: of two scans that end at once the second counts after our commit.
    locked = update(batches).where(batches.c.id == batch, batches.c.review_id.is_(None)).values(updated_at=database_now())
    row = transaction.execute(locked.returning(batches.c.status, batches.c.repositories)).one_or_none()
    if row is None or BATCH.terminal(BatchStatus(row.status)):
        return
    counts = counted(transaction, [batch], {batch: row.repositories})[batch]
    status = status_of(counts, taken_up=row.status != BatchStatus.QUEUED)
    values: dict[str, Any] = {"status": status}
    if counts.created:
        values["started_at"] = func.coalesce(batches.c.started_at, database_now())
    if counts.over:
        values["completed_at"] = database_now()
    transaction.execute(update(batches).where(batches.c.id == batch).values(values))
    if counts.over:
        quotas = Quotas(transaction)
        (quotas.settle if counts.assessed else quotas.refund)(f"batch:{batch}")


def counted(transaction: Transaction, which: Sequence[BatchId], totals: dict[BatchId, int]) -> dict[BatchId, Counts]:
    """How the scans of batches stand that were asked for.

    Args:
        totals: how many source repositories each had when it was asked for.
    """

    def number(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    over, done = scans.c.ended_at.is_not(None), scans.c.status == ScanStatus.DONE
    columns = (
        number(or_(scans.c.review_id.is_not(None), scans.c.started_at.is_not(None), over)).label("created"),
        number(done).label("completed"),
        number(scans.c.status.in_(LOST)).label("failed"),
        number(scans.c.status == ScanStatus.CANCELLED).label("cancelled"),
        number(and_(done, over)).label("assessed"),
        number(over).label("ended"),
    )
    statement = select(scans.c.batch_id, *columns).where(scans.c.batch_id.in_(which)).group_by(scans.c.batch_id)
    rows: dict[str, Row[Any]] = {row.batch_id: row for row in transaction.execute(statement)}
    found = {}
    for batch in which:
        row = rows.get(batch)
        numbers = {} if row is None else {str(name): int(value) for name, value in row._mapping.items() if name != "batch_id"}
        found[batch] = Counts(totals[batch], **numbers)
    return found


def _to_scan(row: Row[Any]) -> AskedScan:
    return AskedScan(
        id=ScanId(row.id),
        batch=BatchId(row.batch_id),
        source=RepositoryId(row.source_id),
        scan_type=ScanType(row.scan_type),
        status=ScanStatus(row.status),
        review=None if row.review_id is None else ReviewId(row.review_id),
        ended=row.ended_at is not None,
    )
