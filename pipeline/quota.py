"""Quotas: for which period is counted. Decisions only; what is spent stands in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Period:
    """A month of the calendar, in UTC. Moments are seconds since 1970; the end is the beginning of the next one."""

    start: float
    end: float

    @property
    def name(self) -> str:
        """ISO date of its first day."""
        return datetime.fromtimestamp(self.start, UTC).date().isoformat()


def period_of(moment: float) -> Period:
    """The period in which a moment lies."""
    first = datetime.fromtimestamp(moment, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return Period(first.timestamp(), following.timestamp())
