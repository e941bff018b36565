"""The log of what happens to findings, as it is shown outside: in an order that never changes any more.

Transactions commit in another order than they write. Whoever reads the newest until he meets what he knows would miss what commits late: so
a row gets its number (`sequence`) after its commit, from one writer at a time, without gaps, and is shown from then on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from sqlalchemy import Row, and_, func, select, text, update

from pipeline.model.account import DEFAULT
from pipeline.model.finding import Severity
from pipeline.model.ids import BatchId, CommitId, FindingId, OrganizationId, RepositoryId
from pipeline.model.scan import ScanType
from pipeline.store.columns import database_now
from pipeline.store.outcomes import RuleOutcomes
from pipeline.store.parts import paged, parted
from pipeline.store.tables import (
    event_log,
    finding_events,
    findings,
    installations,
    occurrences,
    organizations,
    repositories,
    scans,
)
from pipeline.store.transaction import Transaction

AT_ONCE: Final = 1_000
"""Rows that get their number in one transaction."""

_Span = tuple[int | None, int | None]
"""Numbers: from the first, and before the second."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An event in its place. Moments are seconds since 1970."""

    sequence: int
    organization: OrganizationId
    repository: RepositoryId
    group: str
    """The repository of the API that it belongs to now."""
    finding: FindingId
    scan: BatchId | None
    scan_type: ScanType
    kind: str
    """`pipeline.store.seen.FindingEventKind`, or one of `pipeline.store.waivers`."""
    previous: str
    now: str
    severity: Severity
    rule: str
    path: str
    """Where it was seen last; hostile text, empty when that is not known any more."""
    actor: str
    branch: str
    commit: CommitId
    detail: str
    logged_at: float
    at: float


@dataclass(frozen=True, slots=True)
class Sought:
    """Which events; None: of any kind."""

    repositories: Sequence[RepositoryId] | None = None
    finding: str | None = None
    scan_type: ScanType | None = None
    severity: Severity | None = None
    kinds: Sequence[str] | None = None
    start: float | None = None
    end: float | None = None
    """Moments of the log, both included."""


class EventLog:
    """The log. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def waiting(self) -> bool:
        """Whether something was committed that has no number yet."""
        unplaced = select(finding_events.c.position).where(finding_events.c.sequence.is_(None)).limit(1)
        return self._transaction.execute(unplaced).first() is not None

    def number(self, at_most: int = AT_ONCE) -> int:
        """Give the next numbers to what was committed without one, in the order in which it was written; how many rows that were."""
        log = self._locked()
        order = func.row_number().over(order_by=finding_events.c.position)
        fallback = select(organizations.c.id).where(organizations.c.slug == DEFAULT).scalar_subquery()
        home = and_(
            installations.c.provider == repositories.c.provider,
            installations.c.instance == repositories.c.instance,
            installations.c.external_id == repositories.c.installation,
        )
        joined = (
            finding_events.join(findings, findings.c.id == finding_events.c.finding_id)
            .join(repositories, repositories.c.id == finding_events.c.repository_id)
            .outerjoin(installations, home)
        )
        new = (
            select(
                finding_events.c.position,
                order.label("number"),
                func.coalesce(installations.c.organization_id, fallback, "").label("organization_id"),
                findings.c.severity,
                findings.c.scan_type,
            )
            .select_from(joined)
            .where(finding_events.c.sequence.is_(None))
            .order_by(finding_events.c.position)
            .limit(at_most)
            .subquery()
        )
        now = float(self._transaction.execute(select(database_now())).scalar_one())
        # Of whole milliseconds, so that what is shown of it is exactly what it is: it is asked for again.
        moment = max(log.logged_at, math.ceil(now * 1_000) / 1_000)
        values = {
            "sequence": log.last + new.c.number,
            "organization_id": new.c.organization_id,
            "severity": new.c.severity,
            "scan_type": new.c.scan_type,
            "logged_at": moment,
        }
        placed = self._transaction.changed(update(finding_events).values(values).where(finding_events.c.position == new.c.position))
        self._transaction.execute(update(event_log).values(last=event_log.c.last + placed, logged_at=moment))
        if placed:
            RuleOutcomes(self._transaction).count(log.last, log.last + placed)
        return placed

    def move(self, repositories_of: Any, organization: OrganizationId) -> None:
        """What belongs to some repositories is another organization's now. To be called before they are: nothing gets a number meanwhile.

        Args:
            repositories_of: a SELECT of their ids.
        """
        self._locked()
        mine = update(finding_events).where(finding_events.c.repository_id.in_(repositories_of))
        self._transaction.execute(mine.where(finding_events.c.sequence.is_not(None)).values(organization_id=organization))

    def page(
        self, organization: OrganizationId, sought: Sought, *, limit: int, skip: int = 0, before: int | None = None, at_most: int = 0
    ) -> tuple[list[Logged], bool, int]:
        """A page of what happened, newest first.

        Args:
            before: number of the last event of the page before.
            at_most: up to how many are counted.

        Returns:
            The events, whether something follows, and how many there are in all.
        """
        span, lite = self._span(sought), self._transaction.dialect == "sqlite"
        until = min((bound for bound in (span[1], before) if bound is not None), default=None)
        if sought.repositories is None:
            parts: list[Sequence[RepositoryId] | None] = [None]
        elif sought.repositories:
            parts = [*parted(sought.repositories, len(sought.kinds or ("any",)))]
        else:
            return [], False, 0
        total = sum(self._counted(organization, span, replace(sought, repositories=part), lite, at_most) for part in parts)

        def found(part: Sequence[Sequence[RepositoryId] | None], most: int, over: int) -> Sequence[Row[Any]]:
            return self._newest(organization, (span[0], until), replace(sought, repositories=part[0]), lite, most, over)

        rows = paged([[part] for part in parts], found, "sequence", limit=limit, skip=skip)
        return self._read([row.sequence for row in rows[:limit]]), len(rows) > limit, min(total, at_most)

    # --- inside ---

    def _counted(self, organization: OrganizationId, span: _Span, sought: Sought, lite: bool, at_most: int) -> int:
        words: dict[str, Any] = {}
        every = " UNION ALL ".join(f"{_ROWS} WHERE {arm}" for arm in _arms(organization, span, sought, words, lite=lite))
        counted = f"SELECT count(*) FROM (SELECT * FROM ({every}) AS fitting LIMIT {int(at_most)}) AS counted"  # noqa: S608  see _arms
        return int(self._transaction.execute(text(counted).bindparams(**words)).scalar_one())

    def _newest(self, organization: OrganizationId, span: _Span, sought: Sought, lite: bool, most: int, skip: int) -> Sequence[Row[Any]]:
        words: dict[str, Any] = {}
        rows = [f"{_ROWS} WHERE {arm}" for arm in _arms(organization, span, sought, words, lite=lite)]
        if not lite and skip == 0 and sought.finding is None and sought.repositories is not None:
            # In the order of the index of the repository, and said so that PostgreSQL does not see that there is one only: else it may look
            # for its rows among everybody's.
            order = f"ORDER BY repository_id DESC, sequence DESC LIMIT {int(most)}"
            rows = [_ONE.sub(r"\1 >= \2 AND \1 <= \2", row, count=1) for row in rows]
            rows = [f"SELECT sequence FROM ({row} {order}) AS arm" for row in rows]  # noqa: S608  see _arms
        # The two numbers stand in it: a plan for any number that they could be would sort everything.
        ordered = f"{' UNION ALL '.join(rows)} ORDER BY sequence DESC LIMIT {int(most)} OFFSET {int(skip)}"
        return self._transaction.execute(text(ordered).bindparams(**words)).all()

    def _locked(self) -> Any:
        """How far the log is; nobody else gives numbers until the commit. On SQLite who may write has locked everything."""
        log = select(event_log).with_for_update()
        found = self._transaction.execute(log).one_or_none()
        if found is None:
            self._transaction.add_missing(event_log, [{"id": 1, "last": 0, "logged_at": 0.0}], ["id"])
            found = self._transaction.one(log, "the event log has no beginning")
        return found

    def _span(self, sought: Sought) -> tuple[int | None, int | None]:
        """The numbers between which everything in a span of time lies: numbers and moments of the log grow together."""
        bounds: list[int | None] = []
        for moment, later in ((sought.start, False), (sought.end, True)):
            if moment is None:
                bounds.append(None)
                continue
            at = finding_events.c.logged_at
            first = select(finding_events.c.sequence).where(at > moment if later else at >= moment).order_by(at, finding_events.c.sequence)
            found = self._transaction.execute(first.limit(1)).scalar_one_or_none()
            bounds.append(_NEVER if found is None else int(found))
        return bounds[0], bounds[1]

    def _read(self, numbers: Sequence[int]) -> list[Logged]:
        joined = finding_events.join(findings, findings.c.id == finding_events.c.finding_id)
        joined = joined.join(repositories, repositories.c.id == finding_events.c.repository_id)
        columns = (*finding_events.c, findings.c.rule_id, repositories.c.group_id)
        statement = select(*columns).select_from(joined).where(finding_events.c.sequence.in_(numbers))
        rows = self._transaction.execute(statement.order_by(finding_events.c.sequence.desc())).all()
        paths, batches = self._paths({row.finding_id for row in rows}), self._batches({row.review_id for row in rows if row.review_id})
        return [
            Logged(
                sequence=row.sequence,
                organization=OrganizationId(row.organization_id),
                repository=RepositoryId(row.repository_id),
                group=row.group_id,
                finding=FindingId(row.finding_id),
                scan=batches.get((row.review_id, row.scan_type)),
                scan_type=ScanType(row.scan_type),
                kind=row.kind,
                previous=row.previous,
                now=row.now,
                severity=Severity(row.severity),
                rule=row.rule_id,
                path=paths.get(row.finding_id, ""),
                actor=row.actor,
                branch=row.branch,
                commit=CommitId(row.commit),
                detail=row.detail,
                logged_at=row.logged_at,
                at=row.at,
            )
            for row in rows
        ]

    def _paths(self, which: set[str]) -> dict[str, str]:
        newest = select(occurrences.c.finding_id, func.max(occurrences.c.review_id).label("review_id"))
        last = newest.where(occurrences.c.finding_id.in_(which)).group_by(occurrences.c.finding_id).subquery()
        same = and_(occurrences.c.finding_id == last.c.finding_id, occurrences.c.review_id == last.c.review_id)
        statement = select(occurrences.c.finding_id, occurrences.c.path).select_from(occurrences.join(last, same))
        return {row.finding_id: row.path for row in self._transaction.execute(statement.order_by(occurrences.c.ordinal.desc()))}

    def _batches(self, reviews: set[str]) -> dict[tuple[str, str], BatchId]:
        rows = self._transaction.execute(
            select(scans.c.review_id, scans.c.scan_type, scans.c.batch_id).where(scans.c.review_id.in_(reviews)).order_by(scans.c.id)
        )
        return {(row.review_id, row.scan_type): BatchId(row.batch_id) for row in rows}


_ROWS: Final = "SELECT sequence FROM finding_events"
_ONE: Final = re.compile(r"(repository_id) = (:\w+)")
_NEVER: Final = 2**62
"""More than any number."""


def _arms(organization: OrganizationId, span: _Span, sought: Sought, words: dict[str, Any], *, lite: bool) -> Iterator[str]:
    """Conditions of which each is a range of an index in the order of the numbers; together they are what is sought. They hold names of
    columns and of parameters only; the values go into `words`.

    The narrowest filter leads: a finding, repositories, kinds, a severity, a kind of scan. What else is asked for is looked at row by row.
    """
    leads: list[tuple[str, list[Any]]] = []
    if sought.finding is not None:
        leads.append(("finding_id", [sought.finding]))
    if sought.repositories is not None:
        leads.append(("repository_id", list(sought.repositories)))
    if sought.kinds is not None:
        leads.append(("kind", list(sought.kinds)))
    if sought.severity is not None:
        leads.append(("severity", [int(sought.severity)]))
    if sought.scan_type is not None:
        leads.append(("scan_type", [str(sought.scan_type)]))
    words["o"] = organization
    # So written that SQLite takes no index of the organization for it where another one is narrower. PostgreSQL knows, and would take it
    # for something rare.
    narrow = bool(leads) and leads[0][0] in ("finding_id", "repository_id")
    own = "organization_id || '' = :o" if narrow and lite else "organization_id = :o"
    rest = ["sequence IS NOT NULL", own]
    for name, bound, sign in (("_from", span[0], ">="), ("_to", span[1], "<")):
        if bound is not None:
            words[name] = bound
            rest.append(f"sequence {sign} :{name}")
    for name, values in leads:
        words |= {f"{name}{number}": value for number, value in enumerate(values)}
    for chosen in product(*(range(len(values)) for _, values in leads)):
        named = [f"{name} = :{name}{value}" for (name, _), value in zip(leads, chosen, strict=True)]
        yield " AND ".join([*named, *rest])
