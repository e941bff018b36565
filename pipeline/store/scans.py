"""Batches and scans of reviews, and what they found."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from pipeline.errors import StaleWrite
from pipeline.lifecycle import BATCH, SCAN
from pipeline.model.ids import BatchId, CommitId, ReviewId, ScanId
from pipeline.model.scan import Batch, BatchStatus, Scan, ScanResult, ScanStatus, ScanType
from pipeline.store.asked import follow, follow_review
from pipeline.store.codec import Codec, Unreadable
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import batches, reviews, scan_results, scans
from pipeline.store.transaction import Transaction

Side = Literal["base", "head", "history"]
"""Of which state of the repository a result speaks: before the change, after it, or of the commits between."""

_PART = "part:"
"""How the sides of a scan of everything are called: one for each slice of the files."""

RESULT: Codec[ScanResult] = Codec(TypeAdapter(ScanResult))
_KIND = "scan_results"

_BATCH_OF = {
    ScanStatus.RUNNING: BatchStatus.RUNNING,
    ScanStatus.DONE: BatchStatus.ASSESSING,
    ScanStatus.FAILED: BatchStatus.FAILED,
    ScanStatus.CANCELLED: BatchStatus.CANCELLED,
}
"""A batch of one scan stands where its scan stands."""


class Scans:
    """Batches, scans and their results; the half of `work.reviews` that is about work in progress."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add_batch(self, review_id: ReviewId, scan_type: ScanType, commit: CommitId, required: bool) -> ScanId:
        """A batch with one scan, which the review then waits for. Asked again for the same scan type it returns the existing scan."""
        batch = {
            "id": new_id(),
            "review_id": review_id,
            "repository_id": select(reviews.c.repository_id).where(reviews.c.id == review_id).scalar_subquery(),
            "scan_type": scan_type,
            "status": BatchStatus.QUEUED,
            "commit": commit,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        if not self._transaction.add_missing(batches, [batch], ["review_id", "scan_type"]):
            statement = select(scans.c.id).where(scans.c.review_id == review_id, scans.c.scan_type == scan_type)
            return ScanId(self._transaction.execute(statement).scalar_one())
        scan = {
            "id": new_id(),
            "batch_id": batch["id"],
            "review_id": review_id,
            "scan_type": scan_type,
            "status": ScanStatus.QUEUED,
            "required": required,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        self._transaction.execute(insert(scans).values(scan))
        self._transaction.execute(update(reviews).where(reviews.c.id == review_id).values(pending=reviews.c.pending + 1))
        return ScanId(str(scan["id"]))

    def scan(self, scan_id: ScanId) -> Scan:
        """One scan. Raises StaleWrite when there is none."""
        return _to_scan(self._transaction.one(select(scans).where(scans.c.id == scan_id), f"there is no scan {scan_id}"))

    def scans(self, review_id: ReviewId) -> list[Scan]:
        """The scans of a review in the order in which they were added."""
        statement = select(scans).where(scans.c.review_id == review_id).order_by(scans.c.id)
        return [_to_scan(row) for row in self._transaction.execute(statement)]

    def batches(self, review_id: ReviewId) -> list[Batch]:
        """The batches of a review with their scans, in the order in which they were added."""
        by_batch: dict[str, list[Scan]] = {}
        for scan in self.scans(review_id):
            by_batch.setdefault(scan.batch, []).append(scan)
        statement = select(batches).where(batches.c.review_id == review_id).order_by(batches.c.id)
        return [
            Batch(
                id=BatchId(row.id),
                review=review_id,
                scan_type=ScanType(row.scan_type),
                status=BatchStatus(row.status),
                commit=CommitId(row.commit),
                scans=tuple(by_batch.get(row.id, ())),
            )
            for row in self._transaction.execute(statement)
        ]

    def _unpack(self, stored: bytes) -> ScanResult:
        packed = self._transaction.vault.open(_KIND, stored)
        if packed is None:
            raise Unreadable("a result was sealed with another FIXWRIGHT_SECRET_KEY")
        return RESULT.unpack(packed)

    def move_scan(
        self, scan_id: ScanId, old: ScanStatus | Collection[ScanStatus], new: ScanStatus, *, error: str = "", blame: str = ""
    ) -> int:
        """Move a scan, and its batch with it. When the scan ends so, the review waits for one less.

        Args:
            error: why it failed, as a sentence for people.
            blame: `change` or `us`.

        Returns:
            How many scans the review still waits for. Of scans that end at the same time in different workers exactly one reads 0.

        Raises:
            IllegalMove: the lifecycle has no such move.
            StaleWrite: the scan is in another state by now.
        """
        olds = _states(old)
        for state in olds:
            SCAN.advance(state, new)
        values: dict[str, Any] = {"status": new, "error": error, "blame": blame, "updated_at": database_now()}
        if new is ScanStatus.RUNNING:
            values["started_at"] = func.coalesce(scans.c.started_at, database_now())
        moved = update(scans).where(scans.c.id == scan_id, scans.c.status.in_(olds)).values(values)
        row = self._transaction.execute(moved.returning(scans.c.batch_id, scans.c.review_id)).one_or_none()
        if row is None:
            raise StaleWrite(f"scan {scan_id} is not {_words(olds)} any more")
        self._move_batches(batches.c.id == row.batch_id, _BATCH_OF[new])
        follow(self._transaction, BatchId(row.batch_id))
        if not SCAN.terminal(new):
            return self.pending_scans(row.review_id)
        # The row stays locked until our commit: whoever ends the next scan waits and then reads the number after ours.
        fewer = update(reviews).where(reviews.c.id == row.review_id).values(pending=reviews.c.pending - 1).returning(reviews.c.pending)
        return int(self._transaction.execute(fewer).scalar_one())

    def pending_scans(self, review_id: ReviewId) -> int:
        """How many scans the review still waits for; after `move_scan` in the same transaction, what that returned."""
        statement = select(reviews.c.pending).where(reviews.c.id == review_id)
        return int(self._transaction.one(statement, f"there is no review {review_id}")[0])

    def finish_batches(self, review_id: ReviewId, new: BatchStatus = BatchStatus.DONE) -> None:
        """End the assessed batches of a review whose verdict was decided. Raises IllegalMove."""
        BATCH.advance(BatchStatus.ASSESSING, new)
        self._move_batches(batches.c.review_id == review_id, new)
        self._end_scans(review_id)
        follow_review(self._transaction, review_id, ScanStatus.DONE)

    def fail_scans(self, review_id: ReviewId, why: str) -> None:
        """The review ended without a verdict of the engines, and why, as a sentence: so did what it scanned."""
        live = update(scans).where(scans.c.review_id == review_id, scans.c.status.in_(SCAN.live))
        self._transaction.execute(live.values(status=ScanStatus.FAILED, error=why, updated_at=database_now()))
        self._transaction.execute(update(reviews).where(reviews.c.id == review_id).values(pending=0))
        self._move_batches(batches.c.review_id == review_id, BatchStatus.FAILED)
        follow_review(self._transaction, review_id, ScanStatus.FAILED, why)

    def cancel_scans(self, review_id: ReviewId) -> int:
        """Cancel every scan of a review that has not ended; how many those were."""
        live = update(scans).where(scans.c.review_id == review_id, scans.c.status.in_(SCAN.live))
        cancelled = self._transaction.changed(live.values(status=ScanStatus.CANCELLED, updated_at=database_now()))
        self._move_batches(batches.c.review_id == review_id, BatchStatus.CANCELLED)
        self._transaction.execute(update(reviews).where(reviews.c.id == review_id).values(pending=0))
        follow_review(self._transaction, review_id, ScanStatus.CANCELLED)
        return cancelled

    def _end_scans(self, review_id: ReviewId) -> None:
        """Those of a review that nobody asked for through the API; of the others see `follow_review`."""
        over = update(scans).where(scans.c.review_id == review_id, scans.c.source_id == "", scans.c.ended_at.is_(None))
        self._transaction.execute(over.values(ended_at=database_now()))

    def save_scan_result(self, scan_id: ScanId, side: Side, result: ScanResult) -> None:
        """Keep what a scan found on one side; saving again replaces it."""
        row = {
            "scan_id": scan_id,
            "side": side,
            "result": self._transaction.vault.close(_KIND, RESULT.pack(result)),
            "created_at": database_now(),
        }
        self._transaction.upsert(scan_results, [row], ["scan_id", "side"], ["result", "created_at"])

    def scan_results(self, review_id: ReviewId) -> list[tuple[Side, ScanResult]]:
        """Everything that the scans of a review found, each with its side, in the order of the scans. Raises Unreadable."""
        statement = (
            select(scan_results.c.side, scan_results.c.result)
            .select_from(scans.join(scan_results, scan_results.c.scan_id == scans.c.id))
            .where(scans.c.review_id == review_id)
            .order_by(scans.c.id, scan_results.c.side)
        )
        return [(row.side, self._unpack(row.result)) for row in self._transaction.execute(statement)]

    def save_part(self, scan_id: ScanId, number: int, result: ScanResult) -> None:
        """Keep what a scan of everything found in one slice of the files; saving again replaces it."""
        row = {
            "scan_id": scan_id,
            "side": f"{_PART}{number:06d}",
            "result": self._transaction.vault.close(_KIND, RESULT.pack(result)),
            "created_at": database_now(),
        }
        self._transaction.upsert(scan_results, [row], ["scan_id", "side"], ["result", "created_at"])

    def parts(self, review_id: ReviewId) -> list[ScanResult]:
        """What the scans of everything found, slice by slice. Raises Unreadable."""
        statement = (
            select(scan_results.c.result)
            .select_from(scans.join(scan_results, scan_results.c.scan_id == scans.c.id))
            .where(scans.c.review_id == review_id, scan_results.c.side.startswith(_PART, autoescape=True))
            .order_by(scans.c.id, scan_results.c.side)
        )
        return [self._unpack(row.result) for row in self._transaction.execute(statement)]

    def drop_parts(self, review_id: ReviewId) -> None:
        """They have been counted: the list of findings holds what they said."""
        own = select(scans.c.id).where(scans.c.review_id == review_id)
        self._transaction.execute(delete(scan_results).where(scan_results.c.scan_id.in_(own)))

    def _move_batches(self, which: ColumnElement[bool], new: BatchStatus) -> None:
        """Move the batches of reviews from where the lifecycle allows it; the others stand further on already."""
        froms = [state for state in BATCH.moves if new in BATCH.moves[state]]
        moved = update(batches).where(which, batches.c.review_id.is_not(None), batches.c.status.in_(froms))
        values: dict[str, Any] = {"status": new, "updated_at": database_now()}
        if new is BatchStatus.RUNNING:
            values["started_at"] = database_now()
        if BATCH.terminal(new):
            values["completed_at"] = database_now()
        self._transaction.execute(moved.values(values))


def _states(old: ScanStatus | Iterable[ScanStatus]) -> list[ScanStatus]:
    return [old] if isinstance(old, ScanStatus) else list(old)


def _words(states: Iterable[str]) -> str:
    return " or ".join(sorted(states))


def _to_scan(row: Row[Any]) -> Scan:
    return Scan(
        id=ScanId(row.id),
        batch=BatchId(row.batch_id),
        scan_type=ScanType(row.scan_type),
        status=ScanStatus(row.status),
        required=row.required,
        error=row.error,
    )
