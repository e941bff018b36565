"""The table of findings, and how it is cut: whole rows only, and a line says how many are missing."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import phrases
from pipeline.answers import suppressed_words
from pipeline.escaping import code, cut, escape, prose, size, visible
from pipeline.model.finding import Finding, Judged
from pipeline.model.report import Report

HEAD = "| | | | |\n|---|---|---|---|"

PATH_SHOWN = 160
"""Characters of a path in a row; of a longer one the end is shown, which tells files apart."""

CELL = 400
"""Bytes of hostile text in a cell before escaping: no row can be so long that it pushes out the others."""


def row(judged: Judged, report: Report, threaded: frozenset[str] = frozenset()) -> str:
    """One finding as one line of the table."""
    finding = judged.finding
    handle = f" ({code(finding.handle)})" if finding.handle else ""
    added = f", added in {code(phrases.short(finding.commit))}" if finding.commit else ""
    cells = (
        phrases.standing_word(judged),
        code(place(finding)),
        f"{escape(cut(phrases.what(finding), CELL))}{added}{handle}{_belongs(judged)}",
        suppressed_words(judged) or _next(finding, report, threaded),
    )
    return f"| {' | '.join(cells)} |"


def _belongs(judged: Judged) -> str:
    """Escaped: an owner's name is shown and nobody is mentioned."""
    belongs = phrases.belongs(judged)
    return f", {escape(cut(belongs, CELL))}" if belongs else ""


def place(finding: Finding) -> str:
    """`path:line`, of a very long path only the end."""
    path = visible(finding.location.path)
    if len(path) > PATH_SHOWN:
        path = "…" + path[-PATH_SHOWN:]
    return f"{path}:{finding.location.line}"


def _next(finding: Finding, report: Report, threaded: frozenset[str]) -> str:
    if finding.secret is not None:
        return "revoke it first"
    offered = report.fixes.get(finding.fingerprint, "")
    if offered:
        return prose(cut(offered, CELL))
    return "in the thread" if finding.fingerprint in threaded else ""


def table(rows: Sequence[str], limit: int, *, missing: str) -> str:
    """As many rows as fit.

    Args:
        rows: made by `row`.
        limit: bytes for everything, the last line too.
        missing: Markdown behind "N rows left out": where the others can be read.

    Returns:
        "" when not even the line that says so fits.
    """
    whole = "\n".join([HEAD, *rows])
    if size(whole) <= limit:
        return whole
    note = f"\n\n{len(rows):,} rows left out: they do not fit here. {missing}"
    room = limit - size(HEAD) - size(note)
    kept = 0
    for text in rows:
        room -= size(text) + 1
        if room < 0:
            break
        kept += 1
    if kept == 0:
        return note.lstrip() if size(note.lstrip()) <= limit else ""
    lost = len(rows) - kept
    note = f"\n\n{phrases.plural(lost, 'row')} left out: {'it does' if lost == 1 else 'they do'} not fit here. {missing}"
    return "\n".join([HEAD, *rows[:kept]]) + note
