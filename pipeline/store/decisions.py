"""What people decide about findings through the API: kept with the identity, shown on every branch that has it, told in its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import insert, select, update

from pipeline.errors import StaleWrite
from pipeline.model.ids import CommitId, FindingId, RepositoryId
from pipeline.store.columns import database_now
from pipeline.store.findingcounts import FindingCounts, Kind
from pipeline.store.listing import Key, PublicStatus
from pipeline.store.seen import FindingEventKind
from pipeline.store.tables import finding_events, finding_places, finding_states, findings, repositories
from pipeline.store.transaction import Transaction

AT_ONCE: Final = 200
"""Decisions whose end one sweep takes note of."""

_KEPT: Final = ("ignored", "false_positive", "needs_manual_review")
"""What stays decided whatever a scan says; `open` and `resolved` are what the next scan may see otherwise."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word."""

    status: PublicStatus
    actor: str
    """Name of a key. Hostile text."""
    reason: str | None = None
    """Hostile text. None: as it is, where the status stays; else none."""
    until: date | None = None
    """The last day of it; None: without an end."""
    moves_end: bool = True
    """False: `until` was not said, so that it stays as it is where the status does."""


class Decisions:
    """Decisions. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._counts = FindingCounts(transaction)

    def decide(self, key: Key, commit: CommitId, decision: Decision) -> bool:
        """Write a decision down, with its event. False when the finding stood so before, for the same reason and as long: then nothing
        is changed.

        Two that come at the same time are one after the other: what an event says was before is what was.

        Args:
            key: the finding, and the branch on which it is shown.
            commit: at which it was seen there, for the event.

        Raises:
            StaleWrite: it is gone from the branch, so that only `resolved` can be said of it.
        """
        # Also a review that is being settled right now either sees this, or is seen.
        self._lock(key.repository)
        here = (finding_states.c.repository_id == key.repository, finding_states.c.branch == key.branch)
        mine = (*here, finding_states.c.finding_id == key.finding)
        state = self._transaction.one(select(finding_states).where(*mine), "the finding is gone")
        if state.shown == decision.status:
            return self._say_more(key, commit, decision)
        if decision.status != "resolved" and state.status != "open" and not self._has_place(key):
            raise StaleWrite(f"it is gone from {key.branch}: as soon as a scan sees it there again, it is open by itself")
        stood = self._kinds(key.finding)
        kept = decision.status in _KEPT
        self._transaction.execute(
            update(findings)
            .where(findings.c.id == key.finding)
            .values(
                decision=decision.status if kept else "",
                decision_reason=decision.reason or "",
                decided_by=decision.actor,
                decided_at=database_now(),
                decision_until=decision.until.isoformat() if kept and decision.until is not None else None,
            )
        )
        everywhere = update(finding_states).where(finding_states.c.finding_id == key.finding, finding_states.c.status == "open")
        if decision.status == "resolved":
            self._transaction.execute(everywhere.values(status="resolved", shown="resolved", since=database_now()))
        else:
            self._transaction.execute(everywhere.values(shown=decision.status))
            self._transaction.execute(
                update(finding_states)
                .where(*mine, finding_states.c.status != "open")
                .values(status="open", shown=decision.status, since=database_now())
            )
        self._counts.move(key.repository, stood, self._kinds(key.finding))
        again = decision.status == "open" and state.shown == "resolved"
        kind: FindingEventKind = "resolved_manual" if decision.status == "resolved" else "reopened" if again else "status_changed"
        self._tell(key, commit, kind, state.shown, decision.status, decision.actor, decision.reason or "")
        return True

    def _say_more(self, key: Key, commit: CommitId, decision: Decision) -> bool:
        """The status stays; its reason, and until when it holds, may be others. False when they are not."""
        row = self._transaction.one(select(findings).where(findings.c.id == key.finding), "the finding is gone")
        reason = row.decision_reason if decision.reason is None else decision.reason
        until = row.decision_until
        if decision.moves_end and decision.status in _KEPT:
            until = decision.until.isoformat() if decision.until is not None else None
        if (reason, until) == (row.decision_reason, row.decision_until):
            return False
        said = {"decision_reason": reason, "decision_until": until, "decided_by": decision.actor, "decided_at": database_now()}
        self._transaction.execute(update(findings).where(findings.c.id == key.finding).values(said))
        self._tell(key, commit, "status_changed", decision.status, decision.status, decision.actor, reason)
        return True

    def _has_place(self, key: Key) -> bool:
        here = (finding_places.c.repository_id == key.repository, finding_places.c.branch == key.branch)
        mine = select(finding_places.c.ordinal).where(*here, finding_places.c.finding_id == key.finding)
        return self._transaction.execute(mine.limit(1)).first() is not None

    def run_out(self, today: date) -> list[tuple[FindingId, RepositoryId]]:
        """Findings of which somebody said something that is over; at most `AT_ONCE`."""
        over = select(findings.c.id, findings.c.repository_id).where(findings.c.decision_until < today.isoformat())
        rows = self._transaction.execute(over.order_by(findings.c.decision_until, findings.c.id).limit(AT_ONCE))
        return [(FindingId(row.id), RepositoryId(row.repository_id)) for row in rows]

    def expire(self, finding: FindingId, repository: RepositoryId, today: date) -> bool:
        """Take note of the end of a decision: the finding counts again wherever it is, with an event for each branch. False when that was
        done before, or somebody decided otherwise meanwhile."""
        self._lock(repository)
        known = select(findings).where(findings.c.id == finding, findings.c.decision_until < today.isoformat())
        row = self._transaction.execute(known).one_or_none()
        if row is None:
            return False
        stood = self._kinds(finding)
        self._transaction.execute(update(findings).where(findings.c.id == finding).values(decision="", decision_until=None))
        here = (finding_states.c.finding_id == finding, finding_states.c.status == "open")
        standing = self._transaction.execute(select(finding_states).where(*here).order_by(finding_states.c.branch)).all()
        self._transaction.execute(update(finding_states).where(*here).values(shown="open"))
        self._counts.move(repository, stood, self._kinds(finding))
        detail = f"held until {row.decision_until}, by {row.decided_by}"
        for state in standing:
            key = Key(repository, state.branch, finding)
            self._tell(key, CommitId(""), "status_changed", state.shown, "open", "", detail)
        return True

    def _lock(self, repository: RepositoryId) -> None:
        self._transaction.execute(select(repositories.c.id).where(repositories.c.id == repository).with_for_update())

    def _kinds(self, finding: FindingId) -> list[Kind]:
        """How it stands on each branch."""
        columns = (finding_states.c.branch, findings.c.rule_id, finding_states.c.shown, finding_states.c.severity)
        joined = finding_states.join(findings, findings.c.id == finding_states.c.finding_id)
        rows = self._transaction.execute(select(*columns).select_from(joined).where(finding_states.c.finding_id == finding))
        return [Kind(row.branch, row.rule_id, row.shown, row.severity) for row in rows]

    def _tell(self, key: Key, commit: CommitId, kind: FindingEventKind, previous: str, now: str, actor: str, detail: str) -> None:
        event = {
            "finding_id": key.finding,
            "repository_id": key.repository,
            "review_id": None,
            "branch": key.branch,
            "commit": commit,
            "kind": kind,
            "actor": actor,
            "detail": detail,
            "previous": previous,
            "now": now,
            "at": database_now(),
        }
        self._transaction.execute(insert(finding_events).values(event))
