"""Waivers: which findings may stand, who said so, and until when; each change of it is an event of the finding."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, insert, or_, select, update

from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import CommitId, RepositoryId, ReviewId
from pipeline.model.review import ReviewStatus
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver, WaiverKind
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import finding_events, findings, occurrences, pushers, reviews, subjects, waivers
from pipeline.store.transaction import Transaction

WaiverEventKind = Literal["waived", "rotated", "waiver_ended", "waiver_expired"]

AT_ONCE = 200
"""Waivers whose end one sweep takes note of."""


class Waivers:
    """Waivers. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def of_repository(self, repository_id: RepositoryId) -> list[Waiver]:
        """All that nobody took back, also expired ones; the newest first."""
        statement = _selected().where(waivers.c.repository_id == repository_id, waivers.c.ended_at.is_(None))
        rows = self._transaction.execute(statement.order_by(waivers.c.created_at.desc(), waivers.c.id.desc()))
        return [_to_waiver(row) for row in rows]

    def add(self, waiver: Waiver, *, review: ReviewId | None, branch: str, commit: str) -> None:
        """Write a waiver down, with its event. `waiver.id`, `handle` and `since` are not looked at.

        Args:
            review: in the light of which it was given; with its branch and head commit, for the event.
        """
        row = {
            "id": new_id(),
            "repository_id": waiver.repository,
            "fingerprint": waiver.fingerprint,
            "keyed_hash": waiver.keyed_hash,
            "kind": waiver.kind,
            "reason": waiver.reason,
            "person_id": waiver.person.id,
            "person_login": waiver.person.login,
            "pull_request": waiver.pull_request,
            "until": None if waiver.until is None else waiver.until.isoformat(),
            "path": waiver.path,
            "line": waiver.line,
            "created_at": database_now(),
        }
        self._transaction.execute(insert(waivers).values(row))
        kind: WaiverEventKind = "rotated" if waiver.kind is SuppressionKind.ROTATED else "waived"
        detail = waiver.reason if waiver.until is None else f"until {waiver.until.isoformat()}: {waiver.reason}"
        self._event(waiver, kind, waiver.person.login, detail, review, branch, commit)

    def end(self, waiver: Waiver, *, by: UserRef, review: ReviewId | None, branch: str, commit: str, detail: str = "") -> bool:
        """A person takes it back; False when that was done before."""
        still = update(waivers).where(waivers.c.id == waiver.id, waivers.c.ended_at.is_(None))
        if self._transaction.changed(still.values(ended_at=database_now())) != 1:
            return False
        self._event(waiver, "waiver_ended", by.login, detail, review, branch, commit)
        return True

    def run_out(self, today: date) -> list[Waiver]:
        """Waivers whose last day is over and of whose end nobody took note yet; at most `AT_ONCE`."""
        over = and_(waivers.c.ended_at.is_(None), waivers.c.expired_at.is_(None), waivers.c.until < today.isoformat())
        rows = self._transaction.execute(_selected().where(over).order_by(waivers.c.until, waivers.c.id).limit(AT_ONCE))
        return [_to_waiver(row) for row in rows]

    def expire(self, waiver: Waiver) -> bool:
        """Take note of its end, with the event; False when that was done before."""
        still = update(waivers).where(waivers.c.id == waiver.id, waivers.c.ended_at.is_(None), waivers.c.expired_at.is_(None))
        if self._transaction.changed(still.values(expired_at=database_now())) != 1:
            return False
        self._event(waiver, "waiver_expired", "", f"given by {waiver.person.login}", None, "", "")
        return True

    def remember_pusher(self, repository_id: RepositoryId, pull_request: int, person: UserRef) -> None:
        """Somebody opened a pull request or pushed to it; twice is once."""
        row = {"repository_id": repository_id, "pull_request": pull_request, "person_id": person.id, "created_at": database_now()}
        self._transaction.add_missing(pushers, [row], ["repository_id", "pull_request", "person_id"])

    def pushers(self, repository_id: RepositoryId, pull_request: int) -> frozenset[str]:
        """The host's numbers of all who did."""
        mine = (pushers.c.repository_id == repository_id, pushers.c.pull_request == pull_request)
        return frozenset(str(found) for found in self._transaction.execute(select(pushers.c.person_id).where(*mine)).scalars())

    def concerned(self, repository_id: RepositoryId, fingerprint: str, keyed_hash: str = "") -> list[ReviewId]:
        """The newest review of every open pull request and branch that has the finding (or that secret), oldest first."""
        joined = occurrences.join(findings, occurrences.c.finding_id == findings.c.id)
        named = and_(findings.c.repository_id == repository_id, findings.c.fingerprint == fingerprint)
        has: ColumnElement[bool] = subjects.c.review_id.in_(select(occurrences.c.review_id).select_from(joined).where(named))
        if keyed_hash:
            has = or_(has, subjects.c.review_id.in_(select(occurrences.c.review_id).where(occurrences.c.keyed_hash == keyed_hash)))
        statement = select(subjects.c.review_id).where(subjects.c.repository_id == repository_id, subjects.c.open, has)
        rows = self._transaction.execute(statement.distinct().order_by(subjects.c.review_id))
        return [ReviewId(row.review_id) for row in rows]

    def judged_subjects(self, repository_id: RepositoryId) -> list[ReviewId]:
        """The newest review of every open pull request and branch that has its verdict, oldest first."""
        statement = (
            select(reviews.c.id)
            .select_from(subjects.join(reviews, subjects.c.review_id == reviews.c.id))
            .where(subjects.c.repository_id == repository_id, subjects.c.open, reviews.c.verdict.is_not(None))
            .where(reviews.c.status.in_((ReviewStatus.PUBLISHING, ReviewStatus.DONE)))
            .order_by(reviews.c.id)
        )
        return [ReviewId(row.id) for row in self._transaction.execute(statement)]

    def _event(
        self, waiver: Waiver, kind: WaiverEventKind, actor: str, detail: str, review: ReviewId | None, branch: str, commit: str
    ) -> None:
        known = select(findings.c.id).where(findings.c.repository_id == waiver.repository, findings.c.fingerprint == waiver.fingerprint)
        finding = self._transaction.execute(known).scalar_one_or_none()
        if finding is None:
            return  # the repository was purged of it meanwhile: there is nothing whose history this could be
        event = {
            "finding_id": finding,
            "repository_id": waiver.repository,
            "review_id": review,
            "branch": branch,
            "commit": CommitId(commit),
            "kind": kind,
            "actor": actor,
            "detail": detail,
            "at": database_now(),
        }
        self._transaction.execute(insert(finding_events).values(event))


def _selected() -> Select[Any]:
    named = and_(findings.c.repository_id == waivers.c.repository_id, findings.c.fingerprint == waivers.c.fingerprint)
    return select(waivers, findings.c.handle).select_from(waivers.outerjoin(findings, named))


def _to_waiver(row: Row[Any]) -> Waiver:
    kind: WaiverKind = SuppressionKind.ROTATED if row.kind == SuppressionKind.ROTATED else SuppressionKind.WAIVER
    return Waiver(
        id=row.id,
        repository=RepositoryId(row.repository_id),
        kind=kind,
        fingerprint=row.fingerprint,
        handle=row.handle or "",
        reason=row.reason,
        person=UserRef(row.person_id, row.person_login),
        since=datetime.fromtimestamp(row.created_at, UTC).date(),
        until=None if row.until is None else date.fromisoformat(row.until),
        keyed_hash=row.keyed_hash,
        path=row.path,
        line=row.line,
        pull_request=row.pull_request,
    )
