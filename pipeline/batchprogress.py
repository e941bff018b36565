"""How a batch stands that was asked for through the API, from how its scans stand. Decisions only (specification 000, progress)."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.scan import BatchStatus

BEGUN, DONE, ASSESSED = 10.0, 70.0, 20.0
"""How much of its scan each step is worth, in percent."""

NOT_YET = 99.0
"""What a batch has at most that is not over."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The scans of a batch: one for each of its source repositories. None of these numbers ever falls but `completed`, which goes over into
    `failed`."""

    total: int
    created: int = 0
    """A commit is chosen, or it came to nothing."""
    completed: int = 0
    """The engine is done."""
    failed: int = 0
    """Also cancelled ones."""
    cancelled: int = 0
    assessed: int = 0
    """Done, and what it found is in the list."""
    ended: int = 0
    """Nothing follows any more."""

    @property
    def over(self) -> bool:
        """Nothing follows any more, anywhere."""
        return self.ended >= self.total


def status_of(counts: Counts, *, taken_up: bool) -> BatchStatus:
    """The state of a batch.

    Args:
        taken_up: somebody works at it, or has: else it still waits for its turn.
    """
    if counts.over:
        if counts.failed < counts.total:
            return BatchStatus.PARTLY if counts.failed else BatchStatus.DONE
        return BatchStatus.CANCELLED if counts.cancelled == counts.total and counts.total else BatchStatus.FAILED
    if counts.completed + counts.failed >= counts.total:
        return BatchStatus.ASSESSING
    if counts.created:
        return BatchStatus.RUNNING
    return BatchStatus.PREPARING if taken_up else BatchStatus.QUEUED


def percent(counts: Counts, *, over: bool) -> float:
    """How far a batch is, 0.0 to 100.0: never less than before, and 100.0 only when it is over."""
    if over:
        return 100.0
    done = counts.completed + counts.failed
    reached = BEGUN * counts.created + DONE * done + ASSESSED * (counts.assessed + counts.failed)
    return round(min(reached / max(counts.total, 1), NOT_YET), 1)
