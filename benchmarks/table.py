"""How figures are printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """A title, rows of (what, samples), and notes under it."""

    title: str
    unit: str
    rows: list[tuple[str, Sequence[float]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width = max(len(what) for what, _ in self.rows)
        lines = [f"{self.title} ({self.unit}; median, min, max, rounds)"]
        lines += [
            f"  {what:{width}}  {statistics.median(samples):10.1f} {min(samples):10.1f} {max(samples):10.1f}  {len(samples)}"
            for what, samples in self.rows
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of the ratios of samples that were taken in pairs."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
