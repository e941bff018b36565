"""How far a fix is, as the command line and whoever polls are told: state, moments and counts, never a text of a program that ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.fix import Fix, FixAttempt, FixStatus

LIVE = (FixStatus.PENDING, FixStatus.RUNNING)
"""Something is being made."""


@dataclass(frozen=True, slots=True)
class FixProgress:
    """The heartbeat of a fix (specification 000, PublicFixProgressResponse) and its attempt. Moments: seconds since 1970."""

    fix_id: str
    repository_id: str
    status: FixStatus
    attempt: int
    started_at: float | None
    completed_at: float | None
    """When it ended, however; None while something is made."""
    duration_seconds: float | None
    """Of the newest attempt, so far."""
    steps_completed: int
    latest_activity_at: float | None
    error_message: str
    """Why there is no patch, or no newer one. Hostile text."""


def progress_of(fix: Fix, attempts: Sequence[FixAttempt], now: float) -> FixProgress:
    """The heartbeat of a fix.

    Args:
        attempts: all of them, oldest first.
        now: by the clock of the database.
    """
    newest = attempts[-1]
    live = fix.status in LIVE
    ended = None if live else newest.ended_at
    started = newest.started_at
    duration = None if started is None else max(0.0, (now if ended is None else ended) - started)
    return FixProgress(
        fix_id=fix.id,
        repository_id=fix.repository,
        status=fix.status,
        attempt=fix.attempt,
        started_at=started,
        completed_at=ended,
        duration_seconds=duration,
        steps_completed=sum(one.steps for one in attempts),
        latest_activity_at=newest.active_at,
        error_message=fix.error,
    )


def diff_of_fix(fix: Fix) -> str | None:
    """The diff as it may be shown; None while something is made, and when there is none."""
    return None if fix.status in LIVE else fix.diff or None
