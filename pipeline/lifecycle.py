"""The state machines, as tables. Legal moves only here; made only by `pipeline.store` with a compare-and-set on the old state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.errors import IllegalMove
from pipeline.model.fix import FixStatus
from pipeline.model.review import ReviewStatus
from pipeline.model.scan import BatchStatus, ScanStatus

S = TypeVar("S", ReviewStatus, BatchStatus, ScanStatus, FixStatus)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[S]):
    """A state machine: from each state, the states it may move to."""

    name: str
    moves: Mapping[S, frozenset[S]]

    def advance(self, old: S, new: S) -> S:
        """`new`, when the move is legal. Raises IllegalMove."""
        if new not in self.moves[old]:
            raise IllegalMove(f"a {self.name} cannot go from {old} to {new}")
        return new

    def terminal(self, state: S) -> bool:
        """True when nothing follows."""
        return not self.moves[state]

    @property
    def live(self) -> tuple[S, ...]:
        """The states from which something still follows."""
        return tuple(state for state in self.moves if self.moves[state])


REVIEW = Lifecycle(
    "review",
    {
        ReviewStatus.PLANNED: frozenset({ReviewStatus.SCANNING, ReviewStatus.SETTLING, ReviewStatus.CANCELLED, ReviewStatus.FAILED}),
        ReviewStatus.SCANNING: frozenset({ReviewStatus.SETTLING, ReviewStatus.CANCELLED, ReviewStatus.FAILED}),
        ReviewStatus.SETTLING: frozenset({ReviewStatus.PUBLISHING, ReviewStatus.CANCELLED, ReviewStatus.FAILED}),
        ReviewStatus.PUBLISHING: frozenset({ReviewStatus.DONE, ReviewStatus.CANCELLED, ReviewStatus.FAILED}),
        ReviewStatus.DONE: frozenset(),
        ReviewStatus.CANCELLED: frozenset(),
        ReviewStatus.FAILED: frozenset(),
    },
)

BATCH = Lifecycle(
    "batch",
    {
        BatchStatus.QUEUED: frozenset({BatchStatus.PREPARING, BatchStatus.RUNNING, BatchStatus.FAILED, BatchStatus.CANCELLED}),
        BatchStatus.PREPARING: frozenset({BatchStatus.RUNNING, BatchStatus.FAILED, BatchStatus.CANCELLED}),
        BatchStatus.RUNNING: frozenset({BatchStatus.ASSESSING, BatchStatus.FAILED, BatchStatus.CANCELLED}),
        BatchStatus.ASSESSING: frozenset({BatchStatus.DONE, BatchStatus.PARTLY, BatchStatus.FAILED, BatchStatus.CANCELLED}),
        BatchStatus.DONE: frozenset(),
        BatchStatus.PARTLY: frozenset(),
        BatchStatus.FAILED: frozenset(),
        BatchStatus.CANCELLED: frozenset(),
    },
)

SCAN = Lifecycle(
    "scan",
    {
        ScanStatus.QUEUED: frozenset({ScanStatus.RUNNING, ScanStatus.FAILED, ScanStatus.CANCELLED}),
        ScanStatus.RUNNING: frozenset({ScanStatus.DONE, ScanStatus.FAILED, ScanStatus.CANCELLED}),
        ScanStatus.DONE: frozenset(),
        ScanStatus.FAILED: frozenset(),
        ScanStatus.CANCELLED: frozenset(),
    },
)

FIX_RUN = Lifecycle(
    "fix",
    {
        FixStatus.PENDING: frozenset({FixStatus.RUNNING, FixStatus.FAILED, FixStatus.CANCELLED}),
        FixStatus.RUNNING: frozenset({FixStatus.COMPLETED, FixStatus.FAILED, FixStatus.CANCELLED}),
        FixStatus.COMPLETED: frozenset({FixStatus.RUNNING, FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED}),
        FixStatus.PR_CREATION_FAILED: frozenset({FixStatus.COMPLETED}),
        FixStatus.PR_UPDATE_FAILED: frozenset({FixStatus.COMPLETED, FixStatus.RUNNING}),
        FixStatus.FAILED: frozenset(),
        FixStatus.CANCELLED: frozenset(),
    },
)
"""From completed or pr_update_failed to running: a refinement. One that comes to nothing leads back to completed, with what was proven
before it."""
