"""Pull requests that offer fixes, as far as it matters what becomes of the change that they are for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, delete, select, type_coerce

from pipeline.model.fix import Member
from pipeline.model.ids import FindingId, FixId, RepositoryId
from pipeline.model.target import PullRequestRef, SourceRepository
from pipeline.store.columns import database_now, name_text
from pipeline.store.effects import Effects
from pipeline.store.fixes import PULL_REQUEST, members_in
from pipeline.store.tables import effects, fixes, repositories, reviews
from pipeline.store.transaction import Transaction

RESERVED_SECONDS = 3_600.0
"""A reservation that nobody made use of for so long is free: its message was given up. Each attempt at one renews it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to have one pull request of a fix open: of a branch, which is the same however often the fix is made."""

    repository: RepositoryId
    source: SourceRepository
    branch: str

    @property
    def group(self) -> str:
        """How the keys of a repository's slots begin."""
        return f"propose:{self.source.provider}:{self.source.instance}:{self.source.external_id}:"

    @property
    def key(self) -> str:
        """Of its effect."""
        return f"{self.group}{self.branch}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One pull request of ours."""

    fix: FixId
    mends: tuple[Member, ...]
    """The places that it mends."""
    pull_request: PullRequestRef

    @property
    def findings(self) -> frozenset[FindingId]:
        """What it mends."""
        return frozenset(one.finding for one in self.mends)


class Proposals:
    """Part of a `Work`."""

    def __init__(self, transaction: Transaction, written: Effects) -> None:
        self._transaction = transaction
        self._effects = written

    def numbers(self, repository: RepositoryId) -> set[int]:
        """Of every pull request that we ever opened in a repository for a fix, as far as it is remembered."""
        statement = select(fixes.c.pull_request).where(fixes.c.repository_id == repository, fixes.c.pull_request.is_not(None))
        return {PULL_REQUEST.load(row.pull_request).number for row in self._transaction.execute(statement)}

    def lately(self, slot: Slot, seconds: float) -> set[int]:
        """Numbers of the pull requests of a repository that were noted in the last so many seconds."""
        return {int(row.remote_id) for row in self._slots(slot, database_now() - seconds) if row.state == "done" and row.remote_id}

    def reserve(
        self, slot: Slot, standing: Collection[int], own: Collection[int], looked_at: float, at_most: int
    ) -> tuple[bool, list[int]]:
        """Take a slot, when fewer than `at_most` others are taken. Two who ask at once are counted one after the other.

        Args:
            standing: numbers of ours that the host said are open, at `looked_at`, seconds since 1970 by the database's clock. What
                was noted after that counts as open, and so does what is about to be opened.
            own: numbers of the slot's own: where one is open, it is not counted and there is nothing to take.

        Returns:
            Whether there is room, and the numbers of the others that are open.
        """
        self._transaction.execute(select(repositories.c.id).where(repositories.c.id == slot.repository).with_for_update())
        others, being_opened = set(standing), 0
        for row in self._slots(slot, 0.0):
            number = int(row.remote_id) if row.remote_id else 0
            if row.key == slot.key:
                continue
            if row.state == "done" and row.updated_at >= looked_at:
                others.add(number)
            elif row.state == "intended" and row.live and number not in others:
                being_opened += 1
        others -= set(own)
        if set(own) & set(standing):
            return True, sorted(others)
        if len(others) + being_opened >= at_most:
            return False, sorted(others)
        self._effects.intend(slot.key, 0)
        return True, sorted(others)

    def opened(self, slot: Slot, number: int) -> None:
        """The pull request of a slot is there."""
        self._effects.done(slot.key, str(number))

    def give_back(self, slot: Slot) -> None:
        """What a slot was taken for came to nothing."""
        self._transaction.execute(delete(effects).where(effects.c.key == slot.key, effects.c.state == "intended"))

    def _slots(self, slot: Slot, since: float | ColumnElement[float]) -> Sequence[Row[Any]]:
        mine = type_coerce(effects.c.key, Text).startswith(name_text(slot.group), autoescape=True)
        live = effects.c.updated_at > database_now() - RESERVED_SECONDS
        columns = (effects.c.key, effects.c.state, effects.c.remote_id, effects.c.updated_at, live.label("live"))
        return self._transaction.execute(select(*columns).where(mine, effects.c.updated_at >= since)).all()

    def at(self, repository: RepositoryId, number: int) -> FixId | None:
        """The newest fix run that a pull request of ours carries; None of another one."""
        statement = select(fixes.c.id, fixes.c.pull_request).where(fixes.c.repository_id == repository, fixes.c.pull_request.is_not(None))
        rows = self._transaction.execute(statement.order_by(fixes.c.id.desc()))
        return next((FixId(row.id) for row in rows if PULL_REQUEST.load(row.pull_request).number == number), None)

    def of_change(self, repository: RepositoryId, pull_request: int) -> list[Proposal]:
        """Those that were opened for a change, whatever became of them, each once with the newest fix that it carries."""
        return self._opened(repository, reviews.c.pull_request == pull_request)

    def of_default(self, repository: RepositoryId) -> list[Proposal]:
        """Those that were opened for what the default branch has, likewise."""
        return self._opened(repository, reviews.c.pull_request.is_(None))

    def _opened(self, repository: RepositoryId, which: ColumnElement[bool]) -> list[Proposal]:
        statement = (
            select(fixes)
            .join(reviews, fixes.c.review_id == reviews.c.id)
            .where(reviews.c.repository_id == repository, which, fixes.c.pull_request.is_not(None))
            .order_by(fixes.c.id)
        )
        found = {}
        for row in self._transaction.execute(statement):
            ref = PULL_REQUEST.load(row.pull_request)
            members = members_in(row)
            found[ref.number] = Proposal(FixId(row.id), tuple(one for one in members if one.mended) or members, ref)
        return list(found.values())
