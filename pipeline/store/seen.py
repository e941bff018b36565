"""Findings as the store knows them: how they stand on a branch, where they were seen, what happened to them. `Findings` writes it down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, select

from pipeline.model.finding import Finding
from pipeline.model.ids import CommitId, FindingId, Handle, RepositoryId, ReviewId
from pipeline.store.codec import Codec
from pipeline.store.places import Places
from pipeline.store.tables import finding_events, finding_places, finding_states, findings, occurrences
from pipeline.store.transaction import Transaction, chunks

FINDING: Codec[Finding] = Codec(TypeAdapter(Finding))

PULL = "pull/"
"""How the branch of a pull request's findings begins, whatever its own name is: a fork's may have any name, also that of ours."""

FixEventKind = Literal["fix_created", "fix_started", "fix_completed", "fix_failed", "fix_cancelled", "fix_pr_created", "fix_pr_updated"]
"""What became of a fix of it; `detail` begins with the fix's id."""

FindingEventKind = (
    Literal["detected", "resolved_auto", "resolved_manual", "resolved_pr_merged", "reopened", "status_changed", "merged"] | FixEventKind
)
"""`resolved_manual`, `status_changed`, and `reopened` with an actor: a person said so. `merged`: a pull request's finding is the branch's
now; `detail` names the pull request's branch (`pull/7`). `resolved_pr_merged`: it is gone since a pull request of ours was merged; `detail`
names that one."""

FindingStatus = Literal["open", "resolved", "merged"]
"""On a branch. `merged`: a pull request's, which went with it into another branch."""


def shown(status: FindingStatus, decision: str) -> str:
    """How a finding stands on a branch in the words of the API (specification 000).

    Args:
        decision: what a person said of it: `ignored`, `false_positive`, `needs_manual_review`; empty when nothing.
    """
    return (decision or "open") if status == "open" else "resolved"


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
    actor: str = ""
    """Login of a person, empty when nobody acted. Hostile text."""
    detail: str = ""
    """What there is to say about it: `pull/7`, `the change was closed`. Hostile text."""


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """A finding as it stands on one branch."""

    id: FindingId
    status: FindingStatus
    since: float
    first_seen: float
    finding: Finding
    """With its handle, at its first place; for one that is not open, where it was seen last."""
    places: tuple[Finding, ...] = ()
    """All of its places, sorted; empty when it is not open."""


class SeenFindings:
    """What can be read of findings."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._places = Places(transaction, FINDING)

    def listed(self, repository_id: RepositoryId, branch: str, status: Literal["open", "resolved", "all"]) -> list[ListedFinding]:
        """The findings of a branch, the worst first. `resolved`: what is not open any more, in whatever way."""
        columns = (
            finding_states.c.finding_id,
            finding_states.c.status,
            finding_states.c.since,
            findings.c.handle,
            findings.c.first_seen_at,
        )
        joined = finding_states.join(findings, finding_states.c.finding_id == findings.c.id)
        statement = select(*columns).select_from(joined)
        statement = statement.where(finding_states.c.repository_id == repository_id, finding_states.c.branch == branch)
        if status != "all":
            opened = finding_states.c.status == "open"
            statement = statement.where(opened if status == "open" else ~opened)
        rows = list(self._transaction.execute(statement))
        places: dict[FindingId, list[Finding]] = {}
        for finding_id, _, place in self._places.of(repository_id, branch):
            places.setdefault(finding_id, []).append(place)
        last = self._last_seen([FindingId(row.finding_id) for row in rows if row.finding_id not in places])
        listed = []
        for row in rows:
            own = [replace(place, handle=Handle(row.handle)) for place in places.get(row.finding_id, ())]
            first = own[0] if own else last.get(row.finding_id)
            if first is not None:
                shown = tuple(own) if row.status == "open" else ()
                first = replace(first, handle=Handle(row.handle))
                listed.append(ListedFinding(FindingId(row.finding_id), row.status, row.since, row.first_seen_at, first, shown))
        return sorted(listed, key=lambda one: (-one.finding.rule.severity, -one.finding.rule.confidence, one.finding.location, one.id))

    def branches(self, finding_id: FindingId) -> list[tuple[str, FindingStatus, list[Finding]]]:
        """How a finding stands on each branch that had it, with its places there; sorted by name."""
        statement = select(finding_states).where(finding_states.c.finding_id == finding_id).order_by(finding_states.c.branch)
        return [
            (row.branch, row.status, [place for _, _, place in self._places.of(row.repository_id, row.branch, finding_id)])
            for row in self._transaction.execute(statement)
        ]

    def places_of(self, repository_id: RepositoryId, branch: str, fingerprints: Collection[str]) -> list[Finding]:
        """What a branch has of some identities, at each of its places."""
        found: list[Finding] = []
        for chunk in chunks(sorted(fingerprints)):
            joined = findings.join(finding_places, finding_places.c.finding_id == findings.c.id)
            statement = select(finding_places.c.finding).select_from(joined).where(finding_places.c.branch == branch)
            statement = statement.where(findings.c.repository_id == repository_id, findings.c.fingerprint.in_(chunk))
            found += [FINDING.load(row.finding) for row in self._transaction.execute(statement)]
        return found

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

    def _last_seen(self, which: Sequence[FindingId]) -> dict[FindingId, Finding]:
        """Each finding as it was noted last, wherever that was."""
        found: dict[FindingId, Finding] = {}
        for chunk in chunks(which):
            statement = select(occurrences.c.finding_id, occurrences.c.finding).where(occurrences.c.finding_id.in_(chunk))
            for row in self._transaction.execute(statement.order_by(occurrences.c.review_id, occurrences.c.ordinal.desc())):
                found[FindingId(row.finding_id)] = FINDING.load(row.finding)
        return found

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


def _to_event(row: Row[Any]) -> FindingEvent:
    review = None if row.review_id is None else ReviewId(row.review_id)
    commit = CommitId(row.commit)
    return FindingEvent(row.position, FindingId(row.finding_id), row.kind, row.branch, commit, review, row.at, row.actor, row.detail)
