"""How figures are printed."""

from __future__ import annotations

import math
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


def wilson(count: int, tries: int) -> tuple[float, float]:
    """95 % bounds of a share, 0 to 1, by Wilson's score; (0, 1) when nothing was tried.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not tries:
        return 0.0, 1.0
    z, share = 1.959964, count / tries
    middle = share + z * z / (2 * tries)
    reach = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    whole = 1 + z * z / tries
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


@dataclass
class Shares:
    """How often something went wrong, by kind and in all, each with its 95 % bounds."""

    title: str
    wrong: str
    """What is counted: `accepted`."""
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Kind -> how often it went wrong, and of how many."""
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        total = (sum(count for count, _ in self.rows.values()), sum(tries for _, tries in self.rows.values()))
        rows = {**self.rows, "all": total}
        width = max(len(what) for what in rows)
        lines = [f"{self.title} ({self.wrong}, tried, share with 95 % bounds)"]
        for what, (count, tries) in rows.items():
            low, high = wilson(count, tries)
            share = count / tries if tries else 0.0
            lines.append(f"  {what:{width}}  {count:4} {tries:5}  {share:6.1%}  {low:6.2%} to {high:6.2%}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass
class Tally:
    """How often each word was said, by what it was said of."""

    title: str
    columns: Sequence[str]
    rows: dict[str, Sequence[int]] = field(default_factory=dict)
    """What -> a count for each column."""
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width = max(len(what) for what in ("", *self.rows))
        lines = [self.title, "  " + " " * width + "".join(f"  {column:>10}" for column in self.columns)]
        lines += [f"  {what:{width}}" + "".join(f"  {count:10}" for count in counts) for what, counts in self.rows.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])
