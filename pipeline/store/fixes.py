"""Fix runs: what was asked, the patch, its proof, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, delete, func, select, update

from pipeline.errors import StaleWrite
from pipeline.lifecycle import FIX_RUN
from pipeline.model.fix import Fix, FixStatus, Proof, Receipt
from pipeline.model.ids import FindingId, FixId, Handle, RepositoryId, ReviewId
from pipeline.model.target import PullRequestRef
from pipeline.store.codec import Codec
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import findings, fixes
from pipeline.store.transaction import Transaction

PROOF: Codec[Proof] = Codec(TypeAdapter(Proof))
RECEIPT: Codec[Receipt] = Codec(TypeAdapter(Receipt))
PULL_REQUEST: Codec[PullRequestRef] = Codec(TypeAdapter(PullRequestRef))


class Fixes:
    """Fix runs. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def create(self, repository: RepositoryId, review: ReviewId, fingerprint: str, handle: str, place: str = "") -> tuple[FixId, bool]:
        """The one fix run of a finding of a review, made when there is none.

        Args:
            place: `FILE:LINE` of the one that is meant when the identity has several places; else empty.

        Returns:
            Its id, and True when it was made now.

        Raises:
            StaleWrite: no review ever remembered such a finding.
        """
        finding = select(findings.c.id).where(findings.c.repository_id == repository, findings.c.fingerprint == fingerprint)
        # Behind a blank, which no fingerprint has: so each place of an identity has its own run.
        key = f"{fingerprint} {place}" if place else fingerprint
        row = {
            "id": new_id(),
            "review_id": review,
            "repository_id": repository,
            "finding_id": self._transaction.one(finding, f"there is no finding {handle} in this repository")[0],
            "fingerprint": key,
            "handle": handle,
            "status": FixStatus.PENDING,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        created = self._transaction.add_missing(fixes, [row], ["review_id", "fingerprint"]) == 1
        existing = select(fixes.c.id).where(fixes.c.review_id == review, fixes.c.fingerprint == key)
        return FixId(self._transaction.execute(existing).scalar_one()), created

    def again(self, fix_id: FixId) -> FixId:
        """A new run in the place of one that failed, which is forgotten."""
        old = self._transaction.one(select(fixes).where(fixes.c.id == fix_id, fixes.c.status == FixStatus.FAILED), "it has not failed")
        kept = ("review_id", "repository_id", "finding_id", "fingerprint", "handle")
        row = {name: old._mapping[name] for name in kept}
        row |= {"id": new_id(), "status": FixStatus.PENDING, "created_at": database_now(), "updated_at": database_now()}
        self._transaction.execute(delete(fixes).where(fixes.c.id == fix_id))
        self._transaction.add_missing(fixes, [row], ["review_id", "fingerprint"])
        return FixId(str(row["id"]))

    def get(self, fix_id: FixId) -> Fix:
        """A fix run. Raises StaleWrite when there is none."""
        return _to_fix(self._transaction.one(select(fixes).where(fixes.c.id == fix_id), f"there is no fix {fix_id}"))

    def of_review(self, review: ReviewId) -> list[Fix]:
        """The fix runs of a review, oldest first."""
        statement = select(fixes).where(fixes.c.review_id == review).order_by(fixes.c.id)
        return [_to_fix(row) for row in self._transaction.execute(statement)]

    def fingerprint(self, fix_id: FixId) -> str:
        """Of the finding that is to be mended."""
        return str(self._get(fix_id, fixes.c.fingerprint)).partition(" ")[0]

    def move(self, fix_id: FixId, old: FixStatus | Collection[FixStatus], new: FixStatus, *, error: str = "") -> None:
        """Move a fix run that is in (one of) the state(s) `old`; `error` is a sentence for people.

        Raises:
            IllegalMove: the lifecycle has no such move.
            StaleWrite: it is in another state by now.
        """
        olds = [old] if isinstance(old, FixStatus) else list(old)
        for state in olds:
            FIX_RUN.advance(state, new)
        moved = update(fixes).where(fixes.c.id == fix_id, fixes.c.status.in_(olds))
        if self._transaction.changed(moved.values(status=new, error=error, updated_at=database_now())) != 1:
            raise StaleWrite(f"fix {fix_id} is not {' or '.join(sorted(olds))} any more")

    def save_diff(self, fix_id: FixId, diff: str) -> None:
        """Keep the diff as it may be shown. The patch itself is made again when it is needed: what it takes out may be a secret."""
        self._set(fix_id, diff=diff)

    def save_proof(self, fix_id: FixId, proof: Proof) -> None:
        """Keep what the gate said."""
        self._set(fix_id, proof=PROOF.dump(proof))

    def save_receipt(self, fix_id: FixId, receipt: Receipt) -> None:
        """Keep the signed proof."""
        self._set(fix_id, receipt=RECEIPT.dump(receipt))

    def save_pull_request(self, fix_id: FixId, ref: PullRequestRef) -> None:
        """Keep where the patch was offered."""
        self._set(fix_id, pull_request=PULL_REQUEST.dump(ref))

    def open_count(self, repository: RepositoryId) -> int:
        """How many fix runs of a repository have not ended."""
        statement = select(func.count()).where(
            fixes.c.repository_id == repository, fixes.c.status.in_((FixStatus.PENDING, FixStatus.RUNNING))
        )
        return int(self._transaction.execute(statement).scalar_one())

    def _set(self, fix_id: FixId, **values: str | bytes) -> None:
        statement = update(fixes).where(fixes.c.id == fix_id).values(**values, updated_at=database_now())
        if self._transaction.changed(statement) != 1:
            raise StaleWrite(f"there is no fix {fix_id}")

    def _get(self, fix_id: FixId, column: ColumnElement[Any]) -> object:
        found: object = self._transaction.one(select(column).where(fixes.c.id == fix_id), f"there is no fix {fix_id}")[0]
        return found


def _to_fix(row: Row[Any]) -> Fix:
    return Fix(
        id=FixId(row.id),
        repository=RepositoryId(row.repository_id),
        review=ReviewId(row.review_id),
        finding=FindingId(row.finding_id),
        handle=Handle(row.handle),
        status=FixStatus(row.status),
        diff=row.diff,
        proof=None if row.proof is None else PROOF.load(row.proof),
        receipt=None if row.receipt is None else RECEIPT.load(row.receipt),
        pull_request=None if row.pull_request is None else PULL_REQUEST.load(row.pull_request),
        error=row.error,
        place=row.fingerprint.partition(" ")[2],
    )
