"""The results as a table: fault by fault, how many runs, how many passed, and the worst recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.matrix import ANY, KILLED, Fault, Result, rows

BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


def render(results: Sequence[Result]) -> str:
    """Markdown."""
    lines = ["| # | fault | runs | passed | worst recovery | at most |", "|---|---|---|---|---|---|"]
    for fault in rows():
        mine = [one for one in results if one.key == fault.key]
        if not mine:
            continue
        lines.append(_line(fault, mine))
    checked = [one for one in results if one.checked]
    lines.append(f"| | all | {len(checked)} | {sum(one.passed for one in checked)} | {_worst(checked)} | |")
    return "\n".join(lines)


def _line(fault: Fault, mine: Sequence[Result]) -> str:
    checked = [one for one in mine if one.checked]
    missing = len(mine) - len(checked)
    title = fault.title + (f" ({missing} not checked: {next(one.said for one in mine if not one.checked)})" if missing else "")
    passed = sum(one.passed for one in checked)
    return f"| {fault.number} | {title} | {len(checked)} | {passed} | {_worst(checked)} | {fault.within:.0f} s |"


def _worst(results: Sequence[Result]) -> str:
    return f"{max((one.recovery for one in results), default=0.0):.1f} s"


def write_page(page: Path, results: Sequence[Result], seed: int) -> None:
    """Put the table between its marks. Raises ValueError when the page has none."""
    text = page.read_text()
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{page} lacks the marks of the table")
    killed = [one for one in results if one.checked and _within(one) == KILLED]
    others = [one for one in results if one.checked and _within(one) == ANY]
    told = (
        f"`make faults`, seed {seed}: {sum(one.checked for one in results)} runs. "
        f"Worst recovery of a killed worker's work: {_worst(killed)} "
        f"(promised: {KILLED:.0f} s); of anything else: {_worst(others)} (promised: {ANY:.0f} s)."
        f" What passed is not run again when another row is mended; measured at: {_commits(results)}."
    )
    page.write_text(f"{head}{BEGIN}\n{told}\n\n{render(results)}\n{END}{tail}")


def _commits(results: Sequence[Result]) -> str:
    counted = Counter(one.commit for one in results if one.checked and one.commit)
    return ", ".join(f"{commit} ({count})" for commit, count in counted.most_common()) or "commits not noted"


def _within(result: Result) -> float:
    return next(fault.within for fault in rows() if fault.key == result.key)
