"""Forgetting a repository: every row that holds something of it, in batches, so that no lock is held for long.

Each step may be repeated: after a crash the next run goes on with what is left. `tests/unit/store/test_purge.py` holds that every table
with a key of a repository or of a review is dealt with here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, Text, and_, delete, func, or_, select, type_coerce, update

from pipeline.model.ids import MessageId, RepositoryId
from pipeline.model.target import SourceRepository
from pipeline.store.columns import name_text
from pipeline.store.deliveries import KIND
from pipeline.store.identity import to_repository
from pipeline.store.tables import (
    batch_findings,
    batches,
    deliveries,
    effects,
    findings,
    host_locks,
    host_memory,
    installations,
    metadata,
    outbox,
    repositories,
    reviews,
    scans,
)
from pipeline.store.transaction import Transaction, chunks

BATCH: Final = 500
"""Rows of one transaction."""

PARENTS: Final = 50
"""Reviews, or scans, whose rows go in one transaction: a review has up to some thousand occurrences."""

GONE: Final = ("gone",)
"""States in which a repository may be purged by a message; an installation's is `deleted`."""


class Purge:
    """Deletes what is known of a repository. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def wanted(self, repository: RepositoryId) -> bool:
        """True when the repository, or its installation, is (still) gone: it may have been added back since the purge was sent."""
        home = and_(
            installations.c.provider == repositories.c.provider,
            installations.c.instance == repositories.c.instance,
            installations.c.external_id == repositories.c.installation,
        )
        lost = select(installations.c.id).where(home, installations.c.state == "deleted").exists()
        statement = select(repositories.c.id).where(repositories.c.id == repository, or_(repositories.c.state.in_(GONE), lost))
        return self._transaction.execute(statement).one_or_none() is not None

    def source(self, repository: RepositoryId) -> SourceRepository | None:
        """The repository; None when its row is gone, the last to go."""
        row = self._transaction.execute(select(repositories).where(repositories.c.id == repository)).one_or_none()
        return None if row is None else to_repository(row._mapping)

    def steps(self, source: SourceRepository, repository: RepositoryId, keep: MessageId | None = None) -> Iterator[Callable[[Purge], int]]:
        """What is to be done, in this order: each step again and again until it says 0, each time in a transaction of its own.

        Args:
            keep: the message that is worked right now.
        """
        own = select(reviews.c.id).where(reviews.c.repository_id == repository)
        mine = or_(scans.c.review_id.in_(own), scans.c.source_id == repository)
        own_scans = select(scans.c.id).where(mine)
        yield _rows(effects, or_(_names(effects.c.key, own), _about(effects.c.key, source)))
        yield _rows(outbox, and_(outbox.c.id != (keep or ""), or_(outbox.c.group.in_(own), outbox.c.group == repository)))
        own_findings = select(findings.c.id).where(findings.c.repository_id == repository)
        yield _some(batch_findings, batch_findings.c.finding_id, own_findings)
        # Children first. A table that is new here is purged by the names of its columns, too.
        for table in reversed(metadata.sorted_tables):
            if table is repositories:
                continue
            if table is batches:  # of reviews, and of a whole scan that was asked for by the API
                yield _rows(table, or_(table.c.review_id.in_(own), table.c.repository_id == repository, table.c.group_id == repository))
            elif table is scans:
                yield _rows(table, mine)
            elif "repository_id" in table.columns:
                yield _rows(table, table.c.repository_id == repository)
            elif "review_id" in table.columns:
                yield _rows(table, table.c.review_id.in_(own)) if len(table.primary_key) == 1 else _some(table, table.c.review_id, own)
            elif "scan_id" in table.columns:
                yield _some(table, table.c.scan_id, own_scans)
        yield lambda purge: purge.drop_messages(source, keep)
        yield lambda purge: purge.drop_bodies(source)
        for table in (host_memory, host_locks):
            yield _rows(table, _about(table.c.key, source))
        yield _rows(repositories, repositories.c.id == repository)
        yield lambda purge: purge.drop_installations()

    def drop_messages(self, source: SourceRepository, keep: MessageId | None = None) -> int:
        """Messages whose body tells of the repository, done ones included; how many."""
        fragment = json.dumps(source.external_id)
        near = and_(outbox.c.body.contains(fragment, autoescape=True), outbox.c.id != (keep or ""))
        about = [
            row.id
            for row in self._transaction.execute(select(outbox.c.id, outbox.c.body).where(near))
            if _tells_of(json.loads(row.body), source)
        ]
        return sum(self._transaction.changed(delete(outbox).where(outbox.c.id.in_(some))) for some in chunks(about))

    def drop_bodies(self, source: SourceRepository) -> int:
        """Bodies of deliveries that name the repository; they are kept for a day. How many."""
        names = _written(source.full_name)
        about = []
        held = select(deliveries.c.id, deliveries.c.body).where(deliveries.c.body.is_not(None), deliveries.c.provider == source.provider)
        for row in self._transaction.execute(held.execution_options(yield_per=BATCH)):
            packed = self._transaction.vault.open(KIND, row.body)
            body = None if packed is None else zlib.decompress(packed)
            if body is None or any(name in body for name in names):  # what nobody can open tells nobody that it is another's
                about.append(row.id)
        return sum(
            self._transaction.changed(update(deliveries).where(deliveries.c.id.in_(some)).values(body=None)) for some in chunks(about)
        )

    def drop_installations(self) -> int:
        """Installations that were deleted and to which nothing belongs any more: their account's name goes too. How many."""
        used = select(reviews.c.id).where(reviews.c.installation_id == installations.c.id).exists()
        home = and_(
            repositories.c.provider == installations.c.provider,
            repositories.c.instance == installations.c.instance,
            repositories.c.installation == installations.c.external_id,
        )
        owns = select(repositories.c.id).where(home).exists()
        return self._transaction.changed(delete(installations).where(installations.c.state == "deleted", ~used, ~owns))


def _rows(table: Table, where: ColumnElement[bool]) -> Callable[[Purge], int]:
    """Delete up to BATCH rows of a table."""
    key = list(table.primary_key.columns)

    def run(purge: Purge) -> int:
        transaction = purge._transaction
        if len(key) == 1:
            some = select(key[0]).where(where).limit(BATCH).subquery()
            return transaction.changed(delete(table).where(key[0].in_(select(some.c[key[0].name]))))
        # Tables with several columns in their key that come here have few rows for one repository.
        return transaction.changed(delete(table).where(where))

    return run


def _some(table: Table, column: ColumnElement[Any], parents: Select[Any]) -> Callable[[Purge], int]:
    """Delete the rows of a few parents (reviews, scans)."""

    def run(purge: Purge) -> int:
        some = select(column.label("parent")).where(column.in_(parents)).distinct().limit(PARENTS).subquery()
        return purge._transaction.changed(delete(table).where(column.in_(select(some.c.parent))))

    return run


def _names(key: ColumnElement[str], reviews_of: Select[Any]) -> ColumnElement[bool]:
    """True for keys of effects (`check:<review>`) that end with one of the reviews."""
    identifiers = reviews_of.subquery()
    return select(identifiers.c.id).where(key.endswith(identifiers.c.id)).exists()


def _about(key: ColumnElement[str], source: SourceRepository) -> ColumnElement[bool]:
    """True for keys (of effects, of the host's memory) that name the repository: by its name, or by its number as a whole part."""
    stored = type_coerce(key, Text)  # patterns are escaped here, once, as the column did with the whole
    name, number = name_text(source.full_name), name_text(source.external_id)
    same = stored.contains(name, autoescape=True)  # lower() knows ASCII alone, on some servers
    by_name = or_(same, func.lower(stored).contains(name.lower(), autoescape=True))
    parts = [stored.contains(f"{mark}{number}{mark}", autoescape=True) for mark in ":/"]
    return or_(by_name, *parts, *(stored.endswith(f"{mark}{number}", autoescape=True) for mark in ":/"))


def _written(name: str) -> set[bytes]:
    """How a name can stand in a body: as its bytes, also where those are no UTF-8, or escaped for JSON."""
    raw = json.dumps(name, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    return {raw, json.dumps(name)[1:-1].encode()}


def _tells_of(document: object, source: SourceRepository) -> bool:
    """True when a message holds this repository anywhere."""
    if isinstance(document, dict):
        identity = (document.get("provider"), document.get("instance"), document.get("external_id"))
        if identity == (source.provider, source.instance, source.external_id) and "full_name" in document:
            return True
        return any(_tells_of(value, source) for value in document.values())
    return isinstance(document, list) and any(_tells_of(value, source) for value in document)
