"""Findings as the API lists them: any filter, any depth, a repository of any size. Newest first: by id, which begins with the moment.

One index has every filter as its leading columns. A filter that leaves some of them out is answered by one range for each combination of
the words that could stand there, merged by id: so no page ever passes over what does not fit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Final, Literal

from sqlalchemy import Row, TextClause, and_, bindparam, func, or_, select, text

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, RepositoryId
from pipeline.model.scan import ScanType
from pipeline.store.columns import HostileText
from pipeline.store.parts import paged, parted
from pipeline.store.seen import FINDING, PULL
from pipeline.store.tables import (
    batch_findings,
    batches,
    finding_counts,
    finding_places,
    finding_states,
    findings,
    fixes,
    occurrences,
    repositories,
    reviews,
    scans,
)
from pipeline.store.transaction import Transaction

PublicStatus = Literal["open", "resolved", "ignored", "false_positive", "needs_manual_review"]
"""How a finding stands, in the words of the API (specification 000)."""

STATUSES: Final[tuple[PublicStatus, ...]] = ("open", "resolved", "ignored", "false_positive", "needs_manual_review")

_IDS: Final = "SELECT finding_id, repository_id FROM finding_states"

# The order of a CROSS JOIN is taken as it stands by SQLite.
_SEEN: Final = (
    "SELECT s.finding_id AS finding_id, s.repository_id AS repository_id FROM ({}) AS s CROSS JOIN batch_findings AS seen"
    " WHERE seen.batch_id = :_batch AND seen.finding_id = s.finding_id"
)

Place = tuple[RepositoryId, str]
"""A branch of a source repository."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a list is to have; empty or None: of any kind."""

    severity: Severity | None = None
    status: PublicStatus | None = None
    scan_type: ScanType | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A finding on a branch."""

    repository: RepositoryId
    branch: str
    finding: FindingId


@dataclass(frozen=True, slots=True)
class Listed:
    """A finding as it stands on a branch. Moments are seconds since 1970."""

    id: FindingId
    repository: RepositoryId
    branch: str
    commit: CommitId
    """At which it was looked at last; of one that is gone: where it was seen last."""
    finding: Finding
    """With its handle, at its first place there."""
    status: PublicStatus
    since: float
    scan_type: ScanType
    first_seen: float
    last_seen: float
    decided_at: float | None
    reason: str
    """Why a person decided so. Hostile text."""
    until: str | None
    """ISO date: the last day of that."""
    fixes: tuple[FixId, ...]
    """Newest first."""


class Totals:
    """What was counted, for as long as nothing has changed. Safe to share between threads.

    Args:
        room: so many are kept; the oldest goes.
    """

    def __init__(self, room: int = 1_000) -> None:
        self._room, self._lock = room, threading.Lock()
        self._kept: dict[Hashable, tuple[Hashable, int]] = {}

    def of(self, what: Hashable, version: Hashable, count: Callable[[], int]) -> int:
        """A total. `version`: of everything that it depends on."""
        with self._lock:
            known = self._kept.get(what)
        if known is not None and known[0] == version:
            return known[1]
        total = count()
        with self._lock:
            self._kept.pop(what, None)
            self._kept[what] = (version, total)
            while len(self._kept) > self._room:
                del self._kept[next(iter(self._kept))]
        return total


class Listing:
    """Lists of findings. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def page(self, places: Sequence[Place], wish: Wish, *, limit: int, skip: int = 0, after: str = "") -> tuple[list[Key], bool]:
        """A page of what some branches have; whether something follows.

        Args:
            after: id of the last finding of the page before.
        """
        if not places:
            return [], False
        branches = dict(places)

        def found(part: Sequence[Place], most: int, over: int) -> Sequence[Row[Any]]:
            words: dict[str, Any] = {"_after": after} if after else {}
            arms = [f"{_IDS} WHERE {arm}" for arm in _arms(part, wish, words, after=after)]
            return self._newest(arms, words, most, over)

        rows = paged(_parted(places, wish), found, "finding_id", limit=limit, skip=skip)
        keys = [Key(row.repository_id, branches[row.repository_id], FindingId(row.finding_id)) for row in rows[:limit]]
        return keys, len(rows) > limit

    def _newest(self, arms: list[str], words: dict[str, Any], most: int, skip: int) -> Sequence[Row[Any]]:
        if skip == 0:
            arms = [_first(arm, most) for arm in arms]
        # The two numbers stand in it: a plan for any number that they could be would sort everything.
        ordered = f"{' UNION ALL '.join(arms)} ORDER BY finding_id DESC LIMIT {int(most)} OFFSET {int(skip)}"
        return self._transaction.execute(_bound(ordered, words)).all()

    def total(self, places: Sequence[Place], wish: Wish, at_most: int, totals: Totals) -> int:
        """How many a list has, counted up to `at_most`."""
        if not places:
            return 0
        if wish.scan_type is None:
            return min(at_most, self._kept(places, wish))
        columns = (repositories.c.id, repositories.c.findings_version)
        rows = self._transaction.execute(select(*columns).where(repositories.c.id.in_([one for one, _ in places])))
        version = tuple(sorted((row.id, row.findings_version) for row in rows))
        return totals.of((tuple(places), wish, at_most), version, lambda: self._counted(places, wish, at_most))

    def _counted(self, places: Sequence[Place], wish: Wish, at_most: int, form: str = "{}", **bound: str) -> int:
        found = 0
        for part in _parted(places, wish, counted=True):
            words: dict[str, Any] = dict(bound)
            every = " UNION ALL ".join(form.format(f"{_IDS} WHERE {arm}") for arm in _arms(part, wish, words, counted=True))
            counted = f"SELECT count(*) FROM (SELECT * FROM ({every}) AS fitting LIMIT {int(at_most)}) AS counted"  # noqa: S608  see _arms
            found += int(self._transaction.execute(_bound(counted, words)).scalar_one())
        return min(at_most, found)

    def page_of_batch(
        self,
        batch: str,
        members: Sequence[RepositoryId],
        wish: Wish,
        totals: Totals,
        *,
        limit: int,
        skip: int = 0,
        after: str = "",
        at_most: int = 0,
    ) -> tuple[list[Key], bool, int]:
        """Likewise of what a batch saw, with how many that are, counted up to `at_most`.

        Args:
            members: whose a finding must be.
        """
        if wish.scan_type is not None:  # a batch is of one
            known = select(batches.c.scan_type).where(batches.c.id == batch)
            if self._transaction.execute(known).scalar_one_or_none() != wish.scan_type:
                return [], False, 0
        if wish.status is not None:
            return self._standing_of_batch(batch, members, wish, totals, at_most, limit=limit, skip=skip, after=after)
        where = [batch_findings.c.batch_id == batch]
        if wish.severity is not None:
            where.append(batch_findings.c.severity == int(wish.severity))
        some = select(batch_findings.c.finding_id).where(*where).limit(at_most).subquery()
        total = int(self._transaction.execute(select(func.count()).select_from(some)).scalar_one())
        columns = (batch_findings.c.finding_id, batch_findings.c.branch)
        paged = select(*columns).where(*where)
        if after:
            paged = paged.where(batch_findings.c.finding_id < after)
        found = paged.order_by(batch_findings.c.finding_id.desc()).limit(limit + 1).offset(skip).subquery()
        owned = select(found, findings.c.repository_id).select_from(found.join(findings, findings.c.id == found.c.finding_id))
        rows = self._transaction.execute(owned.order_by(found.c.finding_id.desc())).all()
        keys = [Key(row.repository_id, row.branch, FindingId(row.finding_id)) for row in rows[:limit] if row.repository_id in members]
        return keys, len(rows) > limit, total

    def _standing_of_batch(
        self,
        batch: str,
        members: Sequence[RepositoryId],
        wish: Wish,
        totals: Totals,
        at_most: int,
        *,
        limit: int,
        skip: int,
        after: str,
    ) -> tuple[list[Key], bool, int]:
        """Those that stand so now. Led by how findings stand: of what a batch saw, few may."""
        seen = select(batch_findings.c.finding_id).where(batch_findings.c.batch_id == batch).limit(1)
        if self._transaction.execute(seen).first() is None:  # nothing was found, or what it saw is forgotten, which is no new version
            return [], False, 0
        looked = scans.join(reviews, scans.c.review_id == reviews.c.id).join(repositories, reviews.c.repository_id == repositories.c.id)
        columns = (reviews.c.repository_id, reviews.c.pull_request, reviews.c.head_ref, repositories.c.findings_version, scans.c.findings)
        mine = (scans.c.batch_id == batch, reviews.c.repository_id.in_(members))
        rows = self._transaction.execute(select(*columns).select_from(looked).where(*mine).order_by(scans.c.id)).all()
        branches = {RepositoryId(r.repository_id): r.head_ref if r.pull_request is None else f"{PULL}{r.pull_request}" for r in rows}
        places = list(branches.items())
        if not places:
            return [], False, 0
        version = tuple((row.repository_id, row.findings_version, row.findings) for row in rows)
        counted = partial(self._counted, places, wish, at_most, _SEEN, _batch=batch)
        total = totals.of((batch, tuple(members), wish, at_most), version, counted)

        def found(part: Sequence[Place], most: int, over: int) -> Sequence[Row[Any]]:
            words: dict[str, Any] = {"_batch": batch, **({"_after": after} if after else {})}
            arms = [_SEEN.format(f"{_IDS} WHERE {arm}") for arm in _arms(part, wish, words, after=after)]
            return self._newest(arms, words, most, over)

        ordered = paged(_parted(places, wish), found, "finding_id", limit=limit, skip=skip)
        keys = [Key(row.repository_id, branches[row.repository_id], FindingId(row.finding_id)) for row in ordered[:limit]]
        return keys, len(ordered) > limit, total

    def batch_of(self, batch: str, group: str, members: Sequence[RepositoryId]) -> bool:
        """Whether there is such a batch of a group, or of one of its source repositories."""
        own = or_(batches.c.group_id == group, batches.c.repository_id.in_(members))
        return self._transaction.execute(select(batches.c.id).where(batches.c.id == batch, own)).first() is not None

    def key_of(self, finding: str, places: Sequence[Place]) -> Key | None:
        """Where a finding is to be shown: on the branch among `places`, else where it is open, else where it changed last. None when none
        of the source repositories of `places` has it."""
        branches = dict(places)
        columns = (finding_states.c.repository_id, finding_states.c.branch, finding_states.c.status, finding_states.c.since)
        rows = self._transaction.execute(select(*columns).where(finding_states.c.finding_id == finding)).all()
        own = [row for row in rows if row.repository_id in branches]
        if not own:
            return None
        best = max(own, key=lambda row: (row.branch == branches[row.repository_id], row.status == "open", row.since, row.branch))
        return Key(best.repository_id, best.branch, FindingId(finding))

    def read(self, keys: Sequence[Key]) -> list[Listed]:
        """Everything about some findings, in the same order; at most a page of them. One that is gone meanwhile is left out."""
        ids = [key.finding for key in keys]
        names = (
            "id",
            "handle",
            "scan_type",
            "rule_id",
            "fingerprint",
            "severity",
            "confidence",
            "first_seen_at",
            "last_seen_at",
            "decision",
            "decision_reason",
            "decided_at",
            "decision_until",
        )
        columns = [findings.c[name] for name in names]
        known = {row.id: row for row in self._transaction.execute(select(*columns).where(findings.c.id.in_(ids)))}
        states, seen = self._states(keys), self._places(keys)
        last = self._occurrences([key.finding for key in keys if key not in seen])
        mended = self._fixes(keys)
        found = []
        for key in keys:
            row, state = known.get(key.finding), states.get(key)
            if row is None:
                continue
            finding, commit = seen.get(key) or last.get(key.finding) or (_forgotten(row), CommitId(""))
            found.append(
                Listed(
                    id=key.finding,
                    repository=key.repository,
                    branch=key.branch,
                    commit=commit,
                    finding=replace(finding, handle=Handle(row.handle)),
                    status=state.shown if state is not None else row.decision or "open",
                    since=state.since if state is not None else row.first_seen_at,
                    scan_type=ScanType(row.scan_type),
                    first_seen=row.first_seen_at,
                    last_seen=row.last_seen_at,
                    decided_at=row.decided_at,
                    reason=row.decision_reason,
                    until=row.decision_until,
                    fixes=mended.get(key.finding, ()),
                )
            )
        return found

    # --- inside ---

    def _kept(self, places: Sequence[Place], wish: Wish) -> int:
        """As many as are kept of every branch by rule, status and severity, which are few numbers."""
        here = or_(*(and_(finding_counts.c.repository_id == one, finding_counts.c.branch == branch) for one, branch in places))
        counted = select(func.coalesce(func.sum(finding_counts.c.count), 0)).where(here)
        if wish.status is not None:
            counted = counted.where(finding_counts.c.shown == wish.status)
        if wish.severity is not None:
            counted = counted.where(finding_counts.c.severity == int(wish.severity))
        return int(self._transaction.execute(counted).scalar_one())

    def _states(self, keys: Sequence[Key]) -> dict[Key, Any]:
        found: dict[Key, Any] = {}
        for (repository, branch), ids in _by_place(keys):
            here = (finding_states.c.repository_id == repository, finding_states.c.branch == branch)
            columns = (finding_states.c.finding_id, finding_states.c.shown, finding_states.c.since)
            rows = self._transaction.execute(select(*columns).where(*here, finding_states.c.finding_id.in_(ids)))
            found.update({Key(repository, branch, row.finding_id): row for row in rows})
        return found

    def _places(self, keys: Sequence[Key]) -> dict[Key, tuple[Finding, CommitId]]:
        """The first place of each on its branch."""
        found: dict[Key, tuple[Finding, CommitId]] = {}
        columns = (finding_places.c.finding_id, finding_places.c.finding, finding_places.c.commit)
        order = (finding_places.c.path.desc(), finding_places.c.line.desc(), finding_places.c.ordinal.desc())
        for (repository, branch), ids in _by_place(keys):
            # By the finding, of which there are few places, and not by the branch, of which there may be all.
            statement = select(*columns).where(finding_places.c.finding_id.in_(ids), finding_places.c.branch == branch).order_by(*order)
            for row in self._transaction.execute(statement):
                found[Key(repository, branch, row.finding_id)] = (FINDING.load(row.finding), CommitId(row.commit))
        return found

    def _occurrences(self, ids: Sequence[FindingId]) -> dict[FindingId, tuple[Finding, CommitId]]:
        """Where each was noted last, wherever that was."""
        if not ids:
            return {}
        newest = select(occurrences.c.finding_id, func.max(occurrences.c.review_id).label("review_id"))
        newest = newest.where(occurrences.c.finding_id.in_(ids)).group_by(occurrences.c.finding_id)
        last = newest.subquery()
        same = and_(occurrences.c.finding_id == last.c.finding_id, occurrences.c.review_id == last.c.review_id)
        statement = select(occurrences.c.finding_id, occurrences.c.finding, occurrences.c.commit).select_from(occurrences.join(last, same))
        rows = self._transaction.execute(statement.order_by(occurrences.c.ordinal.desc()))
        return {FindingId(row.finding_id): (FINDING.load(row.finding), CommitId(row.commit)) for row in rows}

    def _fixes(self, keys: Sequence[Key]) -> dict[FindingId, tuple[FixId, ...]]:
        found: dict[FindingId, tuple[FixId, ...]] = {}
        mine = (fixes.c.repository_id.in_({key.repository for key in keys}), fixes.c.finding_id.in_([key.finding for key in keys]))
        for row in self._transaction.execute(select(fixes.c.finding_id, fixes.c.id).where(*mine).order_by(fixes.c.id.desc())):
            found[row.finding_id] = (*found.get(row.finding_id, ()), FixId(row.id))
        return found


def _forgotten(row: Row[Any]) -> Finding:
    """A finding of which it is no longer kept where it stood and in which words: what is kept for good."""
    rule = Rule(row.rule_id, row.rule_id, "Where it stood is no longer kept.", Severity(row.severity), Confidence(row.confidence), 0)
    return Finding(rule, Location("", 1, 1), row.fingerprint, "")


def _by_place(keys: Sequence[Key]) -> Iterator[tuple[Place, list[FindingId]]]:
    grouped: dict[Place, list[FindingId]] = {}
    for key in keys:
        grouped.setdefault((key.repository, key.branch), []).append(key.finding)
    yield from grouped.items()


def _parted(places: Sequence[Place], wish: Wish, *, counted: bool = False) -> list[Sequence[Place]]:
    return parted(places, sum(1 for _ in _arms(places[:1], wish, {}, counted=counted)))


def _arms(places: Sequence[Place], wish: Wish, words: dict[str, Any], *, counted: bool = False, after: str = "") -> Iterator[str]:
    """Conditions whose ranges of an index together are what fits, each in the order of the ids. They hold names of columns and of
    parameters only; the values go into `words`.

    Args:
        counted: the order is of no concern, so that columns behind the last one that is asked for need not be named.
    """
    severities = (wish.severity,) if wish.severity is not None else tuple(Severity)
    types = (wish.scan_type,) if wish.scan_type is not None else tuple(ScanType)
    columns: list[tuple[str, Sequence[Any]]] = [
        ("shown", (wish.status,) if wish.status is not None else STATUSES),
        ("severity", [int(one) for one in severities]),
        ("scan_type", [str(one) for one in types]),
    ]
    asked = [wish.status, wish.severity, wish.scan_type]
    if all(one is None for one in asked):
        columns = []
    while counted and columns and asked[len(columns) - 1] is None:
        columns.pop()
    for name, values in columns:
        words |= {f"{name}{number}": value for number, value in enumerate(values)}
    further = " AND finding_id < :_after" if after else ""
    for number, (repository, branch) in enumerate(places):
        words[f"r{number}"], words[f"b{number}"] = repository, branch
        for chosen in product(*(range(len(values)) for _, values in columns)):
            named = "".join(f" AND {name} = :{name}{value}" for (name, _), value in zip(columns, chosen, strict=True))
            yield f"repository_id = :r{number} AND branch = :b{number}{named}{further}"


def _first(arm: str, number: int) -> str:
    """The beginning of an arm, in the order of the index: else PostgreSQL may think that sorting all of it is less work."""
    return f"SELECT finding_id, repository_id FROM ({arm} ORDER BY finding_id DESC LIMIT {int(number)}) AS arm"  # noqa: S608  see _arms


def _bound(statement: str, words: dict[str, Any]) -> TextClause:
    branches = [bindparam(name, type_=HostileText()) for name in words if name[0] == "b"]
    return text(statement).bindparams(*branches).bindparams(**words)
