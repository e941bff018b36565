"""Text for a terminal: clickable places first, 100 columns, the counts in the last line.

A terminal obeys what it is shown: escape sequences, carriage returns and bidi controls from a repository are spelled out instead.
"""

from __future__ import annotations

from pipeline import phrases
from pipeline.escaping import columns, cut_columns, visible
from pipeline.model.finding import Finding, Judged, Standing
from pipeline.model.report import Report
from pipeline.model.review import Verdict

WIDTH = 100
"""Columns."""

INDENT = "   "

_COLORS = {Standing.BLOCKS: "31;1", Standing.WARNS: "33"}
"""SGR parameters (ECMA-48): bold red, yellow."""


class PlainRenderer:
    """What `fixwright scan` prints."""

    name = "text"
    media_type = "text/plain; charset=utf-8"

    def render(self, report: Report) -> bytes:
        """What was not checked, then the findings, then one line of counts: what matters stands above the prompt."""
        verdict = report.verdict
        blocks = [_gap_lines(verdict), [f"note: {_fit(note, WIDTH - 6)}" for note in verdict.notes]]
        blocks += [_finding_lines(judged, report) for judged in phrases.listed(verdict)]
        lines = [line for block in blocks for line in block]
        if lines:
            lines.append("")
        return "\n".join([*lines, last_line(report)]).encode("utf-8") + b"\n"


def _gap_lines(verdict: Verdict) -> list[str]:
    """Every file that nobody looked at; the last line names the first of them only."""
    return [_fit(f"not checked: {text}", WIDTH) for text in _gaps(verdict)]


def _gaps(verdict: Verdict) -> list[str]:
    entries = phrases.not_checked(verdict.coverage)
    return [visible(f"{place} ({reason})" if place else reason) for place, reason in entries]


def _finding_lines(judged: Judged, report: Report) -> list[str]:
    finding = judged.finding
    at = f"{visible(phrases.where(finding))}:{finding.location.column}"
    rest = "  ".join(
        part
        for part in (visible(_named(finding)), finding.handle or "", visible(phrases.belongs(judged)), visible(phrases.seen_by(finding)))
        if part
    )
    word = judged.standing.value
    head = (
        f"{at}  {_paint(word, _COLORS.get(judged.standing, ''), report.color)}  {_fit(rest, max(20, WIDTH - columns(at) - len(word) - 4))}"
    )
    return [head, *_excerpt(finding, report)]


def _named(finding: Finding) -> str:
    added = f", added in {phrases.short(finding.commit)}" if finding.commit else ""
    return f"{phrases.what(finding)}{added}"


def _excerpt(finding: Finding, report: Report) -> list[str]:
    """The source lines with a caret; never of a secret, whose line holds its value."""
    hint = visible(report.fixes.get(finding.fingerprint, ""))
    if finding.secret is not None:
        return [f"{INDENT}{_fit(hint, WIDTH - len(INDENT))}"] if hint else []
    at = finding.location
    lines = report.excerpts.get(f"{at.path}:{at.line}:{at.column}", report.excerpts.get(finding.fingerprint, ()))
    hint = hint or visible(finding.rule.help)
    if not lines:
        return [f"{INDENT}{_fit(hint, WIDTH - len(INDENT))}"] if hint else []
    digits = max(2, *(len(str(number)) for number, _ in lines))
    margin = len(INDENT) + digits + 3
    shared = min((len(text) - len(text.lstrip()) for _, text in lines if text.strip()), default=0)
    out = []
    for number, text in lines:
        out.append(f"{INDENT}{number:>{digits}} | {cut_columns(visible(text[shared:]).rstrip(), WIDTH - margin)}".rstrip())
        if number == finding.location.line:
            before = columns(visible(text[shared : max(shared, finding.location.column - 1)]))
            caret = " " * min(before, WIDTH - margin - 30) + "^"
            out.append(f"{INDENT}{'':>{digits}} | {_fit(f'{caret} {hint}'.rstrip(), WIDTH - margin, keep_start=True)}")
    return out


def last_line(report: Report) -> str:
    """`1 blocks, 3 fixed, 14 older (base 9d1f0aa). Not checked: a.js (time limit).  8.1 s`, at most 100 columns.

    It always says what was found, against which base, and whether something was not checked.
    """
    verdict = report.verdict
    counts = ", ".join(phrases.tally(verdict, whole=report.whole)) or ("no findings" if report.whole else "nothing new")
    base = "no base, every file" if report.whole or not report.base else f"base {visible(phrases.short(report.base))}"
    head = f"{counts} ({cut_columns(base, 30)}). Not checked: "
    tail = f".  {phrases.seconds(report.seconds)}"
    return f"{head}{_gaps_within(verdict, WIDTH - columns(head) - columns(tail))}{tail}"


def _gaps_within(verdict: Verdict, room: int) -> str:
    gaps = _gaps(verdict)
    if not gaps:
        return visible(cut_columns(verdict.incomplete.lstrip(": "), max(room, 20))) if verdict.incomplete else "nothing"
    places = [visible(place or reason) for place, reason in phrases.not_checked(verdict.coverage)]
    for named, shown in ((gaps, 2), (gaps, 1), (places, 2), (places, 1)):
        others = f" and {len(gaps) - shown} more" if len(gaps) > shown else ""
        text = ", ".join(named[:shown]) + others
        if len(gaps) >= shown and columns(text) <= room:
            return text
    return f"{phrases.plural(len(gaps), 'place')}, see above"


def _fit(text: str, room: int, *, keep_start: bool = False) -> str:
    shown = visible(text)
    return cut_columns(shown if keep_start else shown.strip(), room)


def _paint(text: str, parameters: str, color: bool) -> str:
    return f"\x1b[{parameters}m{text}\x1b[0m" if color and parameters else text


RENDERER = PlainRenderer()
