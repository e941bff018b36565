"""Code Quality JSON, which GitLab shows beside a change, in every tier.

Source: GitLab docs "Code Quality", "Code Quality report format". The format knows findings only: what was not checked is an entry too,
because a report without entries is read as clean. Entries are told apart by their fingerprint, and the first one that GitLab cannot read
ends its reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pipeline import phrases
from pipeline.escaping import cut, exact, visible
from pipeline.gitlabreports import MAX_FINDINGS, Object, Value, numbered, ranked
from pipeline.model.finding import Judged, Location, Severity
from pipeline.model.report import Report
from pipeline.model.review import Verdict

MAX_DESCRIPTION = 1_000
"""Bytes of UTF-8; a widget's row, not a page. Our own limit, GitLab has none."""

NOT_CHECKED = "fixwright.not-checked"
"""`check_name` of what nobody looked at."""
LEFT_OUT = "fixwright.left-out"
"""`check_name` of the entry that says how many findings a report does not hold."""
CONFIDED = "fixwright.confided"
"""`check_name` of the entry that says how many secrets are told to members only."""
NOWHERE = "."
"""`location.path` of what belongs to no file: the format asks for one."""

_SEVERITY = {Severity.CRITICAL: "blocker", Severity.HIGH: "critical", Severity.MEDIUM: "major", Severity.LOW: "minor"}


class CodeQualityRenderer:
    """An array of what the policy wants read: what blocks and what warns, and what could not be checked."""

    name = "codequality"
    media_type = "application/json"

    def __init__(self, max_findings: int = MAX_FINDINGS) -> None:
        self._max_findings = max_findings

    def render(self, report: Report) -> bytes:
        """ASCII bytes without a byte order mark, which GitLab refuses: the same report gives the same bytes."""
        kept, dropped = ranked(phrases.listed(report.verdict), self._max_findings)
        entries: list[Value] = [_finding(judged, number) for judged, number in numbered(kept)]
        if dropped:
            entries.append(_entry(LEFT_OUT, f"{phrases.plural(dropped, 'finding')} more: a report holds the worst ones only."))
        if report.verdict.confided:
            entries.append(_entry(CONFIDED, f"{phrases.plural(report.verdict.confided, 'secret')}, told to members only."))
        entries += _not_checked(report.verdict)
        return json.dumps(entries, indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def _finding(judged: Judged, number: int) -> Object:
    finding = judged.finding
    return {
        "description": _description(judged),
        "check_name": visible(finding.rule.id),
        "fingerprint": finding.fingerprint if number == 1 else f"{finding.fingerprint}-{number}",
        "severity": _SEVERITY[finding.rule.severity],
        "location": {"path": exact(finding.location.path), "lines": _lines(finding.location)},
    }


def _description(judged: Judged) -> str:
    """What it is, what it means and how to call it, on one line. Of a secret its kind and at most four characters; no source text."""
    finding = judged.finding
    added = f" It was added in commit {phrases.short(finding.commit)}." if finding.commit else ""
    handle = f" ({finding.handle})" if finding.handle else ""
    return _text(f"{phrases.what(finding)}: {finding.rule.message}{added}", handle)


def _lines(location: Location) -> Object:
    begin = max(1, location.line)
    return {"begin": begin, "end": max(begin, location.end_line)}


def _not_checked(verdict: Verdict) -> Sequence[Object]:
    gaps = [
        _entry(NOT_CHECKED, f"Not checked: {gap.reason} ({gap.engine}).", gap.path or NOWHERE, f"{gap.engine}\0{gap.path}\0{gap.reason}")
        for gap in verdict.coverage.breaking
    ]
    if verdict.incomplete and not gaps:
        gaps.append(_entry(NOT_CHECKED, f"{verdict.could_not_check}."))
    unique = {str(entry["fingerprint"]): entry for entry in gaps}
    return list(unique.values())


def _entry(check: str, text: str, path: str = NOWHERE, key: str = "") -> Object:
    identity = hashlib.sha256(f"{check}\0{key or text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return {
        "description": _text(text),
        "check_name": check,
        "fingerprint": identity,
        "severity": "major",
        "location": {"path": exact(path), "lines": {"begin": 1, "end": 1}},
    }


def _text(text: str, tail: str = "") -> str:
    """Plain text on one line; `tail` is never cut off."""
    return cut(visible(text).replace("`", ""), MAX_DESCRIPTION - len(tail)) + tail


RENDERER = CodeQualityRenderer()
