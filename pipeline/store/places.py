"""Where a branch has its findings now. Engines look at files one by one, so what an engine said when it looked at a file last is true
until it looks at it again, or the file is gone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, select

from pipeline.model.finding import Finding
from pipeline.model.ids import CommitId, FindingId, RepositoryId
from pipeline.store.codec import Codec
from pipeline.store.columns import database_now
from pipeline.store.tables import finding_places
from pipeline.store.transaction import Transaction, chunks

_NUMBER = re.compile(r"\d+")


def no_older(now: str, then: str) -> bool:
    """True when what looks now knows at least as much as what looked then: the same rules, or no older Fixwright. An old worker of a
    rolling upgrade does not know the newer rules, and says nothing about what they found.

    Args:
        now, then: version of Fixwright, a blank, and the digest of the engine's rules.
    """
    now_version, _, now_rules = now.partition(" ")
    then_version, _, then_rules = then.partition(" ")
    return now_rules == then_rules or _version(now_version) >= _version(then_version)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(text))


@dataclass(frozen=True, slots=True)
class Looked:
    """What a review looked at, so that what it did not find there is gone."""

    at: Callable[[str, str], bool]
    """Whether an engine looked at a path (engine, path), or the file is gone."""
    seen_with: Mapping[str, str]
    """By engine that ran: see `no_older`. Of an engine that is missing here nothing is known anew."""
    paths: Collection[str] | None = None
    """The paths that come into question; None: all."""

    def again(self, engine: str, path: str, then: str) -> bool:
        """True when what was seen at a place with `then` was looked for again."""
        now = self.seen_with.get(engine)
        return now is not None and no_older(now, then) and self.at(engine, path)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the findings of a branch whose places were touched."""

    present: frozenset[FindingId]
    gone: frozenset[FindingId]


class Places:
    """Rows of `finding_places`. Part of `Findings`."""

    def __init__(self, transaction: Transaction, codec: Codec[Finding]) -> None:
        self._transaction = transaction
        self._codec = codec

    def replace(
        self,
        repository_id: RepositoryId,
        branch: str,
        commit: CommitId,
        seen: Sequence[Finding],
        ids: Mapping[str, FindingId],
        looked: Looked,
    ) -> Moved:
        """Put what was seen in the place of what was there, wherever it was looked for again. What is the same as before is not written
        again, and keeps the commit at which it was seen so first: a repository is looked at every week, and little of it changes."""
        here = and_(finding_places.c.repository_id == repository_id, finding_places.c.branch == branch)
        before = self._rows(here, looked.paths)
        stay_as_they_are = {(row.path, row.engine) for row in before if not looked.again(row.engine, row.path, row.seen_with)}
        kept = [row for row in before if (row.path, row.engine) in stay_as_they_are]
        stale: dict[tuple[Any, ...], list[Any]] = {}
        for row in before:
            if (row.path, row.engine) not in stay_as_they_are:
                stale.setdefault(_content(row._mapping), []).append(row)
        # Where only a part was looked at (an engine that ran out of time), what it did find is added to what is known.
        stay = {(row.finding_id, row.path, row.engine, row.line) for row in kept}
        ordinals: dict[tuple[str, str], int] = {}
        for row in before:
            # Also those of rows that go: what comes in their place never meets them.
            ordinals[row.path, row.engine] = max(ordinals.get((row.path, row.engine), 0), row.ordinal + 1)
        rows: list[dict[str, Any]] = []
        for finding in seen:
            place, line = (finding.location.path, finding.engine), finding.location.line
            identifier = ids[finding.fingerprint]
            if (identifier, *place, line) in stay:
                continue
            seen_with = looked.seen_with.get(finding.engine, "")
            wanted = self._row(repository_id, branch, commit, finding, identifier, ordinals.get(place, 0), seen_with)
            same = stale.get(_content(wanted))
            if same:
                kept.append(same.pop())
                continue
            ordinals[place] = wanted["ordinal"] + 1
            rows.append(wanted)
        self._delete(here, [row for those in stale.values() for row in those])
        self._transaction.add(finding_places, rows)
        seen_now = {row["finding_id"] for row in rows} | {row.finding_id for row in kept}
        lost = {FindingId(row.finding_id) for row in before} - seen_now
        return Moved(frozenset(seen_now), frozenset(lost - self._anywhere(here, lost)))

    def copy(self, repository_id: RepositoryId, source: str, target: str) -> frozenset[FindingId]:
        """A branch goes into another: the places of `source` are `target`'s too. Which findings that brought."""
        here = and_(finding_places.c.repository_id == repository_id, finding_places.c.branch == source)
        there = and_(finding_places.c.repository_id == repository_id, finding_places.c.branch == target)
        rows = self._rows(here, None)
        known = self._anywhere(there, {FindingId(row.finding_id) for row in rows})
        new = [row for row in rows if row.finding_id not in known]
        top = select(func.max(finding_places.c.ordinal)).where(there)
        first = (self._transaction.execute(top).scalar_one() or 0) + 1
        copies = [{**row._mapping, "branch": target, "ordinal": first + n, "at": database_now()} for n, row in enumerate(new)]
        self._transaction.add(finding_places, copies)
        return frozenset(FindingId(row.finding_id) for row in new)

    def drop(self, repository_id: RepositoryId, branch: str) -> None:
        """The branch has no findings of its own any more."""
        here = and_(finding_places.c.repository_id == repository_id, finding_places.c.branch == branch)
        self._transaction.execute(delete(finding_places).where(here))

    def of(self, repository_id: RepositoryId, branch: str, finding: FindingId | None = None) -> list[tuple[FindingId, CommitId, Finding]]:
        """Every place of a branch, or of one finding on it, sorted by path and line, with the commit at which it was looked at."""
        here = and_(finding_places.c.repository_id == repository_id, finding_places.c.branch == branch)
        if finding is not None:
            here = and_(here, finding_places.c.finding_id == finding)
        rows = self._rows(here, None)
        rows.sort(key=lambda row: (row.path, row.line, row.engine, row.ordinal))
        return [(FindingId(row.finding_id), CommitId(row.commit), self._codec.load(row.finding)) for row in rows]

    # --- inside ---

    def _rows(self, here: ColumnElement[bool], paths: Collection[str] | None) -> list[Any]:
        if paths is None:
            return list(self._transaction.execute(select(finding_places).where(here)))
        found: list[Any] = []
        for chunk in chunks(sorted(paths)):
            found += self._transaction.execute(select(finding_places).where(here, finding_places.c.path.in_(chunk)))
        return found

    def _delete(self, here: ColumnElement[bool], rows: Sequence[Any]) -> None:
        alike: dict[tuple[str, int], list[str]] = {}
        for row in rows:
            alike.setdefault((row.engine, row.ordinal), []).append(row.path)
        for (engine, ordinal), paths in sorted(alike.items()):
            for chunk in chunks(sorted(paths)):
                at = and_(finding_places.c.engine == engine, finding_places.c.ordinal == ordinal)
                these = and_(here, at, finding_places.c.path.in_(chunk))
                self._transaction.execute(delete(finding_places).where(these))

    def _anywhere(self, here: ColumnElement[bool], which: Collection[FindingId]) -> frozenset[FindingId]:
        found: set[FindingId] = set()
        for chunk in chunks(sorted(which)):
            statement = select(finding_places.c.finding_id).where(here, finding_places.c.finding_id.in_(chunk)).distinct()
            found.update(FindingId(row.finding_id) for row in self._transaction.execute(statement))
        return frozenset(found)

    def _row(
        self,
        repository_id: RepositoryId,
        branch: str,
        commit: CommitId,
        finding: Finding,
        identifier: FindingId,
        ordinal: int,
        seen_with: str,
    ) -> dict[str, Any]:
        return {
            "repository_id": repository_id,
            "branch": branch,
            "path": finding.location.path,
            "engine": finding.engine,
            "ordinal": ordinal,
            "finding_id": identifier,
            "line": finding.location.line,
            "seen_with": seen_with,
            "commit": commit,
            "finding": self._codec.dump(finding),
            "at": database_now(),
        }


def _content(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row says of a place; two that say the same are one."""
    return tuple(row[name] for name in ("path", "engine", "finding_id", "line", "seen_with", "finding"))
