"""Batches as the API shows them: those that were asked for, and those of pushes, pull requests and schedules. Newest first: by id, which
begins with the moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, union_all

from pipeline.batchprogress import Counts
from pipeline.model.ids import BatchId, CommitId, FindingId, RepositoryId, ReviewId
from pipeline.model.scan import BatchStatus, ScanStatus, ScanType
from pipeline.store.asked import LOST, counted
from pipeline.store.groups import Group
from pipeline.store.listing import Key
from pipeline.store.reviews import VERDICT, WHOLE
from pipeline.store.tables import batch_findings, batches, findings, repositories, reviews, scans
from pipeline.store.transaction import Transaction

Trigger = Literal["api", "push", "pull_request", "schedule"]
"""What made a batch. `schedule`: a look at everything that nobody asked for through the API."""

PartState = Literal["pending", "running", "succeeded", "failed"]

FAR: Final = 2_000
"""Items that a page passes over at most by reading their ids; beyond that the database counts."""


@dataclass(frozen=True, slots=True)
class PublicBatch:
    """A batch with how its scans stand. Moments are seconds since 1970."""

    id: BatchId
    scan_type: ScanType
    status: BatchStatus
    counts: Counts
    trigger: Trigger
    asked_by: str
    branch: str
    """Of one that was asked for: empty, each source repository has its own."""
    commit: str
    pull_request: int | None
    trouble: str
    """Why something failed or was cancelled, as a clause for people; else empty."""
    created_at: float
    started_at: float | None
    completed_at: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """The scan of one source repository of a batch."""

    source: RepositoryId
    full_name: str
    branch: str
    commit: str
    status: PartState
    reason: str
    """Why it failed, or what it waits for, as a clause for people; else empty."""
    findings: int | None
    started_at: float | None
    ended_at: float | None
    review: ReviewId | None


class Batches:
    """Reading batches. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def page(
        self,
        group: Group,
        *,
        scan_type: ScanType | None = None,
        statuses: Collection[BatchStatus] = (),
        limit: int,
        skip: int = 0,
        after: str = "",
        at_most: int,
    ) -> tuple[list[PublicBatch], bool, int]:
        """A page of a group's batches, and of its source repositories'.

        Args:
            statuses: empty: in any state.
            after: id of the last one of the page before.

        Returns:
            The batches, whether something follows, and how many there are in all, counted up to `at_most`.
        """
        wish: list[ColumnElement[bool]] = []
        if scan_type is not None:
            wish.append(batches.c.scan_type == scan_type)
        every = [and_(place, *wish, *state) for place in self._places(group) for state in _each(statuses)]
        some = union_all(*(select(batches.c.id).where(arm).limit(at_most).subquery().select() for arm in every)).subquery()
        total = min(at_most, int(self._transaction.execute(select(func.count()).select_from(some)).scalar_one()))
        if after:
            every = [and_(arm, batches.c.id < after) for arm in every]
        ids = self._ids(every, skip, limit + 1)
        return self._read(ids[:limit]), len(ids) > limit, total

    def get(self, group: Group, identifier: str) -> PublicBatch | None:
        """One of them; None when the group has no such one."""
        own = or_(*self._places(group))
        found = self._transaction.execute(select(batches.c.id).where(batches.c.id == identifier, own)).scalar_one_or_none()
        return None if found is None else self._read([found])[0]

    def parts(self, batch: PublicBatch) -> list[Part]:
        """The scans of a batch, sorted by the names of their source repositories."""
        source = or_(repositories.c.id == scans.c.source_id, and_(scans.c.source_id == "", repositories.c.id == batches.c.repository_id))
        joined = scans.join(batches, batches.c.id == scans.c.batch_id).join(repositories, source)
        joined = joined.join(reviews, reviews.c.id == scans.c.review_id, isouter=True)
        columns = (
            scans,
            repositories.c.id.label("repository"),
            repositories.c.full_name,
            repositories.c.default_branch,
            reviews.c.head_ref,
            reviews.c.head,
        )
        statement = select(*columns).select_from(joined).where(scans.c.batch_id == batch.id)
        return sorted((_part(batch, row) for row in self._transaction.execute(statement)), key=lambda part: (part.full_name, part.source))

    def missed(self, batch: PublicBatch, part: Part) -> list[tuple[str, str]]:
        """What was not looked at in a source repository: path, empty for all of it, and why, as a clause for people."""
        if part.status in ("pending", "running"):
            return [("", part.reason or "it is not over yet")]
        packed = None
        if part.review is not None:
            packed = self._transaction.execute(select(reviews.c.verdict).where(reviews.c.id == part.review)).scalar_one_or_none()
        if packed is None:
            lost = part.reason or "it could not be scanned"
            # Of a repository without a commit there is nothing that could be missing.
            empty = part.status == "succeeded" and not part.commit and part.review is None and part.reason != ""
            return [] if empty else [("", lost if part.status == "failed" else "what was not looked at is no longer known")]
        coverage = VERDICT.unpack(packed).coverage
        others = {run.engine for run in coverage.runs if run.scan_type not in (None, batch.scan_type)}
        gaps = [(gap.path, gap.reason) for gap in coverage.breaking if gap.engine not in others]
        return gaps or ([("", part.reason or "it could not be scanned")] if part.status == "failed" else [])

    def forgotten(self, batch: PublicBatch, parts: Sequence[Part]) -> list[Part]:
        """The source repositories of which it is no longer kept what a batch found there."""
        found = [part for part in parts if part.findings]
        kept = select(batch_findings.c.batch_id).where(batch_findings.c.batch_id == batch.id).limit(1)
        return [] if not found or self._transaction.execute(kept).first() is not None else found

    def findings(
        self, batch: BatchId, members: Sequence[RepositoryId], after: tuple[int, str] | None, limit: int
    ) -> tuple[list[Key], tuple[int, str] | None]:
        """What is attributed to a batch, the worst first.

        Args:
            members: whose a finding must be.
            after: where the ones before ended.

        Returns:
            The findings, and where they end; None when nothing follows.
        """
        joined = batch_findings.join(findings, findings.c.id == batch_findings.c.finding_id)
        columns = (batch_findings.c.finding_id, batch_findings.c.severity, batch_findings.c.branch, findings.c.repository_id)
        statement = select(*columns).select_from(joined).where(batch_findings.c.batch_id == batch)
        if after is not None:
            worse, last = after
            same = and_(batch_findings.c.severity == worse, batch_findings.c.finding_id < last)
            statement = statement.where(batch_findings.c.severity <= worse, or_(batch_findings.c.severity < worse, same))
        order = (batch_findings.c.severity.desc(), batch_findings.c.finding_id.desc())
        rows = self._transaction.execute(statement.order_by(*order).limit(limit)).all()
        own = set(members)
        keys = [Key(row.repository_id, row.branch, FindingId(row.finding_id)) for row in rows if row.repository_id in own]
        return keys, (rows[-1].severity, rows[-1].finding_id) if len(rows) == limit else None

    # --- inside ---

    @staticmethod
    def _places(group: Group) -> list[ColumnElement[bool]]:
        """Each a range of an index."""
        return [batches.c.group_id == group.id, *(batches.c.repository_id == member for member in group.members)]

    def _ids(self, every: Sequence[ColumnElement[bool]], skip: int, limit: int) -> list[str]:
        if skip > FAR:
            arms = union_all(*(select(batches.c.id).where(arm) for arm in every)).subquery()
            deep = select(arms.c.id).order_by(arms.c.id.desc()).limit(limit).offset(skip)
            return list(self._transaction.execute(deep).scalars())
        newest = [
            self._transaction.execute(select(batches.c.id).where(arm).order_by(batches.c.id.desc()).limit(skip + limit)).scalars().all()
            for arm in every
        ]
        return list(islice(merge(*newest, reverse=True), skip, skip + limit))

    def _read(self, ids: Sequence[str]) -> list[PublicBatch]:
        rows = {row.id: row for row in self._transaction.execute(_selected().where(batches.c.id.in_(ids)))}
        asked = {BatchId(row.id): row.repositories for row in rows.values() if row.review_id is None}
        counts = counted(self._transaction, list(asked), asked) if asked else {}
        lost = [row.id for row in rows.values() if row.status in (BatchStatus.FAILED, BatchStatus.CANCELLED, BatchStatus.PARTLY)]
        failed = select(scans.c.batch_id, func.max(scans.c.error).label("error"))
        failed = failed.where(scans.c.batch_id.in_(lost), scans.c.status.in_(LOST)).group_by(scans.c.batch_id)
        errors = {row.batch_id: row.error for row in self._transaction.execute(failed)} if lost else {}
        return [_batch(rows[one], counts.get(BatchId(one)), errors.get(one, "")) for one in ids if one in rows]


def _each(statuses: Collection[BatchStatus]) -> list[list[ColumnElement[bool]]]:
    return [[batches.c.status == one] for one in statuses] or [[]]


def _selected() -> Select[Any]:
    joined = batches.join(reviews, reviews.c.id == batches.c.review_id, isouter=True)
    return select(batches, reviews.c.head_ref, reviews.c.pull_request, reviews.c.subject).select_from(joined)


def _batch(row: Row[Any], counts: Counts | None, error: str) -> PublicBatch:
    status = BatchStatus(row.status)
    return PublicBatch(
        id=BatchId(row.id),
        scan_type=ScanType(row.scan_type),
        status=status,
        counts=counts or _counts(status),
        trigger=_trigger(row),
        asked_by=row.asked_by,
        branch=row.head_ref or "",
        commit=CommitId(row.commit),
        pull_request=row.pull_request,
        trouble=error,
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )


def _trigger(row: Row[Any]) -> Trigger:
    if row.review_id is None:
        return "api"
    if row.pull_request is not None:
        return "pull_request"
    return "schedule" if str(row.subject or "").startswith(WHOLE) else "push"


def _counts(status: BatchStatus) -> Counts:
    """Of a batch of a review, which has one scan and stands where that stands."""
    failed, assessed = status in (BatchStatus.FAILED, BatchStatus.CANCELLED), status in (BatchStatus.DONE, BatchStatus.PARTLY)
    return Counts(
        total=1,
        created=1,
        completed=int(assessed or status is BatchStatus.ASSESSING),
        failed=int(failed),
        cancelled=int(status is BatchStatus.CANCELLED),
        assessed=int(assessed),
        ended=int(failed or assessed),
    )


def _part(batch: PublicBatch, row: Row[Any]) -> Part:
    status, asked = ScanStatus(row.status), batch.trigger == "api"
    over = row.ended_at is not None if asked else batch.completed_at is not None
    state: PartState
    if status in LOST or (over and batch.status in (BatchStatus.FAILED, BatchStatus.CANCELLED)):
        state = "failed"
    elif over:
        state = "succeeded"
    else:
        state = "pending" if (row.review_id is None if asked else status is ScanStatus.QUEUED) else "running"
    return Part(
        source=RepositoryId(row.repository),
        full_name=row.full_name,
        branch=row.head_ref or row.default_branch,
        commit=row.head or "",
        status=state,
        reason=row.error,
        findings=row.findings if over else None,
        started_at=row.started_at if state != "pending" else None,
        ended_at=(row.ended_at or batch.completed_at) if over else None,
        review=None if row.review_id is None else ReviewId(row.review_id),
    )
