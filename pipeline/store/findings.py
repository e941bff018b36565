"""Findings as identities of a repository: known by fingerprint, called by handle, seen at places, with a history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, delete, insert, select, update

from pipeline.model.finding import Finding
from pipeline.model.ids import CommitId, FindingId, Handle, RepositoryId, ReviewId
from pipeline.store.codec import Codec
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.tables import finding_events, finding_states, findings, occurrences, repositories
from pipeline.store.transaction import Transaction, Values, chunks

FINDING: Codec[Finding] = Codec(TypeAdapter(Finding))

FindingEventKind = Literal["detected", "resolved_auto", "reopened"]


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """An identity with the place where it was seen last."""

    id: FindingId
    repository: RepositoryId
    finding: Finding
    review: ReviewId
    branch: str
    commit: CommitId
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class FindingEvent:
    """Something happened to a finding on a branch. `position` grows; `at` is seconds since 1970."""

    position: int
    finding: FindingId
    kind: FindingEventKind
    branch: str
    commit: CommitId
    review: ReviewId | None
    at: float


class Findings:
    """Findings. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def handles(self, repository_id: RepositoryId) -> dict[Handle, str]:
        """Every handle that is given in a repository, with the fingerprint that it means.

        In a writing transaction it also locks the repository until the commit: two reviews that name their findings at the same time
        would else give one handle twice.
        """
        self._transaction.execute(select(repositories.c.id).where(repositories.c.id == repository_id).with_for_update())
        rows = self._transaction.execute(select(findings.c.handle, findings.c.fingerprint).where(findings.c.repository_id == repository_id))
        return {Handle(row.handle): row.fingerprint for row in rows}

    def remember(
        self,
        repository_id: RepositoryId,
        seen: Sequence[Finding],
        review_id: ReviewId,
        branch: str,
        commit: CommitId,
        *,
        fixed: Sequence[Finding] = (),
    ) -> dict[str, FindingId]:
        """Write down what a review saw on a branch, and what is gone from there, with the events that follow from it.

        Remembering the same again changes nothing and makes no events.

        Args:
            seen: with handles; several may share a fingerprint (the same weakness at several places).
            branch: where: a pull request's head branch, or the pushed one.
            fixed: findings that were there before and were looked for in vain. What was not looked at again belongs in neither.

        Returns:
            Our id by fingerprint.

        Raises:
            ValueError: a finding has no handle.
            StaleWrite: a handle is taken by another fingerprint.
        """
        present = {finding.fingerprint: finding for finding in seen}
        gone = {finding.fingerprint: finding for finding in fixed if finding.fingerprint not in present}
        known = self._identify(repository_id, review_id, {**gone, **present})
        ids, fresh = known
        self._occur(ids, seen, review_id, branch, commit)
        self._settle_states(repository_id, review_id, branch, commit, ids, present.keys(), gone.keys(), fresh)
        return ids

    def id_of(self, repository_id: RepositoryId, fingerprint: str) -> FindingId | None:
        """Our id of an identity; None when it was never seen."""
        statement = select(findings.c.id).where(findings.c.repository_id == repository_id, findings.c.fingerprint == fingerprint)
        found = self._transaction.execute(statement).scalar_one_or_none()
        return None if found is None else FindingId(found)

    def by_handle(self, repository_id: RepositoryId, handle: Handle) -> StoredFinding | None:
        """The finding that people call so; None when there is none."""
        return self._latest(findings.c.repository_id == repository_id, findings.c.handle == handle)

    def by_fingerprint(self, repository_id: RepositoryId, fingerprint: str) -> StoredFinding | None:
        """The finding with this identity; None when it was never seen."""
        return self._latest(findings.c.repository_id == repository_id, findings.c.fingerprint == fingerprint)

    def of_review(self, review_id: ReviewId) -> list[Finding]:
        """What a review saw, in the order in which it was remembered, with handles."""
        statement = (
            select(occurrences.c.finding, findings.c.handle)
            .select_from(occurrences.join(findings, occurrences.c.finding_id == findings.c.id))
            .where(occurrences.c.review_id == review_id)
            .order_by(occurrences.c.ordinal)
        )
        return [replace(FINDING.load(row.finding), handle=Handle(row.handle)) for row in self._transaction.execute(statement)]

    def open_on(self, repository_id: RepositoryId, branch: str) -> list[FindingId]:
        """The findings that are open on a branch."""
        statement = select(finding_states.c.finding_id).where(
            finding_states.c.repository_id == repository_id, finding_states.c.branch == branch, finding_states.c.status == "open"
        )
        return [FindingId(row.finding_id) for row in self._transaction.execute(statement.order_by(finding_states.c.finding_id))]

    def events(self, finding_id: FindingId) -> list[FindingEvent]:
        """The history of a finding, oldest first."""
        statement = select(finding_events).where(finding_events.c.finding_id == finding_id).order_by(finding_events.c.position)
        return [_to_event(row) for row in self._transaction.execute(statement)]

    # --- inside ---

    def _identify(
        self, repository_id: RepositoryId, review_id: ReviewId, wanted: dict[str, Finding]
    ) -> tuple[dict[str, FindingId], set[str]]:
        """Our ids by fingerprint, made where needed; and the fingerprints that are new to the repository."""
        before = self._ids(repository_id, wanted)
        rows = [_identity(repository_id, review_id, wanted[print_]) for print_ in sorted(wanted) if print_ not in before]
        for chunk in chunks(rows):
            # A plain INSERT: a handle that means something else must fail, not be skipped.
            self._transaction.execute(insert(findings).values(chunk))
        ids = {**before, **{str(row["fingerprint"]): FindingId(str(row["id"])) for row in rows}}
        for seen_again in chunks(sorted(before.values())):
            self._transaction.execute(update(findings).where(findings.c.id.in_(seen_again)).values(last_seen_at=database_now()))
        return ids, {str(row["fingerprint"]) for row in rows}

    def _ids(self, repository_id: RepositoryId, fingerprints: Iterable[str]) -> dict[str, FindingId]:
        found: dict[str, FindingId] = {}
        for chunk in chunks(fingerprints):
            columns = select(findings.c.fingerprint, findings.c.id)
            rows = self._transaction.execute(columns.where(findings.c.repository_id == repository_id, findings.c.fingerprint.in_(chunk)))
            found.update({row.fingerprint: FindingId(row.id) for row in rows})
        return found

    def _occur(self, ids: dict[str, FindingId], seen: Sequence[Finding], review_id: ReviewId, branch: str, commit: CommitId) -> None:
        self._transaction.execute(delete(occurrences).where(occurrences.c.review_id == review_id))
        rows: list[Values] = [
            {
                "review_id": review_id,
                "ordinal": ordinal,
                "finding_id": ids[finding.fingerprint],
                "branch": branch,
                "commit": commit,
                "path": finding.location.path,
                "line": finding.location.line,
                "finding": FINDING.dump(finding),
            }
            for ordinal, finding in enumerate(seen)
        ]
        for chunk in chunks(rows):
            self._transaction.execute(insert(occurrences).values(chunk))

    def _settle_states(
        self,
        repository_id: RepositoryId,
        review_id: ReviewId,
        branch: str,
        commit: CommitId,
        ids: dict[str, FindingId],
        present: Collection[str],
        gone: Collection[str],
        fresh: set[str],
    ) -> None:
        """Bring the branch to what was seen, and write an event for everything that changed."""
        at = select(finding_states.c.finding_id, finding_states.c.status)
        at = at.where(finding_states.c.repository_id == repository_id, finding_states.c.branch == branch)
        before = {row.finding_id: row.status for row in self._transaction.execute(at)}
        happened: list[tuple[FindingId, FindingEventKind]] = []
        changed: dict[FindingId, str] = {}
        for print_ in sorted(present):
            identifier = ids[print_]
            if before.get(identifier) == "open":
                continue
            changed[identifier] = "open"
            if identifier in before:
                happened.append((identifier, "reopened"))
            elif print_ in fresh:
                happened.append((identifier, "detected"))
        for print_ in sorted(gone):
            identifier = ids[print_]
            if before.get(identifier) != "resolved":
                changed[identifier] = "resolved"
                happened.append((identifier, "resolved_auto"))
        states = [
            {
                "repository_id": repository_id,
                "branch": branch,
                "finding_id": i,
                "status": s,
                "since": database_now(),
                "review_id": review_id,
            }
            for i, s in sorted(changed.items())
        ]
        self._transaction.upsert(finding_states, states, ["repository_id", "branch", "finding_id"], ["status", "since", "review_id"])
        events: list[Values] = [
            {
                "finding_id": identifier,
                "repository_id": repository_id,
                "review_id": review_id,
                "branch": branch,
                "commit": commit,
                "kind": kind,
                "at": database_now(),
            }
            for identifier, kind in happened
        ]
        for chunk in chunks(events):
            self._transaction.execute(insert(finding_events).values(chunk))

    def _latest(self, *which: Any) -> StoredFinding | None:
        statement: Select[Any] = (
            select(
                findings.c.id,
                findings.c.repository_id,
                findings.c.handle,
                findings.c.first_seen_at,
                findings.c.last_seen_at,
                occurrences.c.finding,
                occurrences.c.review_id,
                occurrences.c.branch,
                occurrences.c.commit,
            )
            .select_from(findings.join(occurrences, occurrences.c.finding_id == findings.c.id))
            .where(*which)
            .order_by(occurrences.c.review_id.desc(), occurrences.c.ordinal)
            .limit(1)
        )
        row = self._transaction.execute(statement).one_or_none()
        if row is None:
            return None
        return StoredFinding(
            id=FindingId(row.id),
            repository=RepositoryId(row.repository_id),
            finding=replace(FINDING.load(row.finding), handle=Handle(row.handle)),
            review=ReviewId(row.review_id),
            branch=row.branch,
            commit=CommitId(row.commit),
            first_seen=row.first_seen_at,
            last_seen=row.last_seen_at,
        )


def _identity(repository_id: RepositoryId, review_id: ReviewId, finding: Finding) -> dict[str, Any]:
    if finding.handle is None:
        raise ValueError(f"a finding of {finding.rule.id} has no handle")
    return {
        "id": new_id(),
        "repository_id": repository_id,
        "fingerprint": finding.fingerprint,
        "handle": finding.handle,
        "rule_id": finding.rule.id,
        "severity": int(finding.rule.severity),
        "confidence": int(finding.rule.confidence),
        "first_review_id": review_id,
        "first_seen_at": database_now(),
        "last_seen_at": database_now(),
    }


def _to_event(row: Row[Any]) -> FindingEvent:
    review = None if row.review_id is None else ReviewId(row.review_id)
    return FindingEvent(row.position, FindingId(row.finding_id), row.kind, row.branch, CommitId(row.commit), review, row.at)
