"""What the reports that GitLab shows by itself have in common, and its security report format.

Source: GitLab's security report schemas, version 15 (project security-report-schemas), and GitLab docs "Security scanner integration".
A report declares the oldest version of the schema that today's instances read, because an instance refuses a minor version that it does
not know; `scan.partial_scan` came later, is read whatever a report declares, and is ignored where it is not known.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline import phrases
from pipeline.escaping import cut, exact, prose, visible
from pipeline.model.finding import BaselineState, Finding, Judged, Location, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.scan import Coverage, Gap, ScanType
from pipeline.weaknesses import page_of

VERSION = "15.0.7"
MAX_FINDINGS = 10_000
"""Findings of a report. What is beyond is left out, the least severe first, and the report says how many."""
MAX_MESSAGES = 500
"""Messages of a scan; the last one then says how many more there are. Our own limit."""
MAX_NAME, MAX_DESCRIPTION, MAX_SOLUTION = 255, 16_384, 7_000
"""Of a vulnerability. The schema allows characters, and 1,048,576 of a description; we count bytes, which are never fewer."""

SPACE = uuid.UUID("e34ba17d-fd98-486f-8b1e-8cd5baff2b19")
"""Namespace of the ids of vulnerabilities (RFC 9562, version 5). Made once; it must never change."""

Value = str | int | float | bool | None | Sequence["Value"] | dict[str, "Value"]
Object = dict[str, Value]

_SEVERITY = {Severity.CRITICAL: "Critical", Severity.HIGH: "High", Severity.MEDIUM: "Medium", Severity.LOW: "Low"}
_ENGINES = {ScanType.SEMGREP: "semgrep", ScanType.SECRETS: "betterleaks"}
"""Which engine a scan is done with: one that failed stands in no run that would say what it is for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of GitLab's report types."""

    scan: str
    """`scan.type` of the schema."""
    scan_type: ScanType
    """Which of our scans it tells of."""
    file: str
    """Name of the schema."""
    secrets: bool
    """Whether it tells of secrets, or of everything else."""
    undone: str
    """What follows when it was not done: `code was not looked at`."""


class SecurityReportRenderer:
    """A security report of one kind: the findings that are to be read, all of them without a base, the new ones with one."""

    media_type = "application/json"

    def __init__(self, name: str, kind: Kind, max_findings: int = MAX_FINDINGS) -> None:
        self.name = name
        self.kind = kind
        self._max_findings = max_findings

    def render(self, report: Report) -> bytes:
        """ASCII bytes: the same report gives the same bytes."""
        kind = self.kind
        mine = [j for j in report.verdict.judged if _is_told(j) and (j.finding.secret is not None) is kind.secrets]
        waived = sum(j.standing is Standing.WAIVED for j in mine)
        kept, dropped = ranked([j for j in mine if j.standing is not Standing.WAIVED], self._max_findings)
        document: Object = {
            "version": VERSION,
            "schema": f"https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/raw/v{VERSION}/dist/{kind.file}",
            "scan": _scan(report, kind, waived, dropped),
            "vulnerabilities": [_vulnerability(j, number, report, kind) for j, number in numbered(kept)],
        }
        return json.dumps(document, indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def _is_told(judged: Judged) -> bool:
    return judged.baseline is BaselineState.NEW and not judged.finding.rule.shadow


def ranked(found: Sequence[Judged], limit: int) -> tuple[list[Judged], int]:
    """The worst `limit` of them in the order of their places, and how many are left out."""
    worst = sorted(found, key=lambda j: (-j.finding.rule.severity, -j.finding.rule.confidence, _order(j.finding)))
    kept = sorted(worst[:limit], key=lambda j: _order(j.finding))
    return kept, len(worst) - len(kept)


def _order(finding: Finding) -> tuple[Location, str, str]:
    return finding.location, finding.rule.id, finding.fingerprint


def numbered(found: Sequence[Judged]) -> Iterator[tuple[Judged, int]]:
    """Each with its number among those of the same fingerprint, from 1: GitLab takes two with one identity for one."""
    seen: Counter[str] = Counter()
    for judged in found:
        seen[judged.finding.fingerprint] += 1
        yield judged, seen[judged.finding.fingerprint]


# --- the scan -------------------------------------------------------------------------------------------------------------------------


def _scan(report: Report, kind: Kind, waived: int, dropped: int) -> Object:
    trouble = _trouble(report, kind)
    messages = [*trouble, *_remarks(report, waived, dropped)]
    if len(messages) > MAX_MESSAGES:
        more = len(messages) - MAX_MESSAGES + 1
        messages = [*messages[: MAX_MESSAGES - 1], _message("warn", f"{more:,} messages more.")]
    version = visible(report.tool_version) or "unknown"
    scan: Object = {
        "analyzer": {"id": "fixwright", "name": "Fixwright", "version": version, "vendor": {"name": "Fixwright"}},
        "scanner": _scanner(report.verdict.coverage, kind),
        "type": kind.scan,
        "start_time": _moment(report.started),
        "end_time": _moment(report.started + report.seconds),
        "status": "failure" if trouble else "success",
        "messages": messages,
    }
    if not report.whole:
        scan["partial_scan"] = {"mode": "differential"}
    return scan


def _scanner(coverage: Coverage, kind: Kind) -> Object:
    """Named for us and not for the engine: GitLab's own analyzers use the same engines, and their findings are not ours."""
    versions = sorted({run.version for run in coverage.runs if run.scan_type is kind.scan_type and run.version})
    return {
        "id": f"fixwright-{kind.scan.replace('_', '-')}",
        "name": f"Fixwright ({_ENGINES[kind.scan_type]})",
        "version": visible(", ".join(versions)) or "unknown",
        "vendor": {"name": "Fixwright"},
    }


def _moment(seconds: float) -> str:
    """UTC without a zone, as the schema wants it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _trouble(report: Report, kind: Kind) -> list[Object]:
    """Why this scan did not succeed; empty when it did. A scan that nobody did is never one that found nothing."""
    verdict = report.verdict
    coverage = verdict.coverage
    said = [_message("warn" if gap.path else "fatal", _not_checked(gap)) for gap in coverage.breaking if _concerns(gap, kind)]
    known = any(run.scan_type is kind.scan_type for run in coverage.runs)
    known = known or any(not gap.path and gap.engine in _names(kind.scan_type) for gap in coverage.breaking)
    if not known:
        said.append(_message("fatal", f"No {kind.scan_type} was done: {kind.undone}."))
    if verdict.incomplete and not coverage.breaking:
        said.append(_message("fatal", f"{verdict.could_not_check}."))
    return said


def _concerns(gap: Gap, kind: Kind) -> bool:
    """Of what belongs to no single scan (the repository, a policy), both reports tell."""
    return not any(gap.engine in _names(scan_type) for scan_type in _ENGINES if scan_type is not kind.scan_type)


def _names(scan_type: ScanType) -> tuple[str, str]:
    """By what a gap names whoever left it: the engine, or the scan that nobody did."""
    return _ENGINES[scan_type], str(scan_type)


def _not_checked(gap: Gap) -> str:
    return f"Not checked{f' {gap.path}' if gap.path else ''}: {gap.reason} ({gap.engine})."


def _remarks(report: Report, waived: int, dropped: int) -> list[Object]:
    said = [_message("info", note) for note in report.verdict.notes]
    if waived:
        said.append(_message("info", f"Left out: {phrases.plural(waived, 'finding')} that the policy or a comment in the code lets stand."))
    if dropped:
        said.append(_message("warn", f"Left out: {phrases.plural(dropped, 'finding')}. A report holds the worst ones only."))
    return said


def _message(level: str, text: str) -> Object:
    return {"level": level, "value": visible(text) or "(no text)"}


# --- a vulnerability ------------------------------------------------------------------------------------------------------------------


def _vulnerability(judged: Judged, number: int, report: Report, kind: Kind) -> Object:
    finding, rule = judged.finding, judged.finding.rule
    known: list[Value] = []
    if rule.cwe:
        known.append({"type": "cwe", "name": f"CWE-{rule.cwe}", "value": str(rule.cwe), "url": page_of(rule.cwe)})
    vulnerability: Object = {
        "id": str(uuid.uuid5(SPACE, f"{kind.scan}\0{finding.fingerprint}\0{number}")),
        "name": cut(visible(finding.secret.kind if finding.secret else rule.title), MAX_NAME) or "(no name)",
        "description": _markdown([f"{phrases.what(finding)}.", rule.message, _particular(finding)], MAX_DESCRIPTION),
        "severity": _SEVERITY[rule.severity],
        "identifiers": [
            {"type": "fixwright_rule", "name": f"Fixwright {visible(rule.id)}", "value": visible(rule.id)},
            *known,
        ],
        "links": [{"name": f"CWE-{rule.cwe}", "url": page_of(rule.cwe)}] if rule.cwe else [],
        "location": _location(finding, report, kind),
        "details": _details(judged),
    }
    if rule.help:
        vulnerability["solution"] = _markdown([rule.help], MAX_SOLUTION)
    return vulnerability


def _particular(finding: Finding) -> str:
    """What is particular of this place; of a secret nothing, whose line holds its value."""
    return f"It {finding.detail.rstrip('.')}." if finding.detail and finding.secret is None else ""


def _markdown(sentences: Sequence[str], limit: int) -> str:
    """Sentences as GitLab Flavored Markdown, which means nothing but what it says. What does not fit is left out sentence by sentence."""
    text = ""
    for part in sentences:
        longer = f"{text} {prose(part)}".strip() if part else text
        if len(longer.encode("utf-8", "replace")) > limit:
            break
        text = longer
    return text or "(no text)"


def _location(finding: Finding, report: Report, kind: Kind) -> Object:
    place: Object = {
        "file": exact(finding.location.path),
        "start_line": max(1, finding.location.line),
        "end_line": max(1, finding.location.line, finding.location.end_line),
    }
    if kind.secrets:
        # The commit of a file in no repository is written as GitLab's own analyzer writes it.
        place["commit"] = {"sha": finding.commit or visible(report.head) or "0000000"}
    return place


def _details(judged: Judged) -> Object:
    found: Object = {"standing": {"name": "Fixwright", "type": "text", "value": judged.standing.value}}
    if judged.finding.handle:
        found["handle"] = {"name": "Handle", "type": "text", "value": judged.finding.handle}
    source = judged.finding.source
    if source is not None:
        found["source"] = {
            "name": "Hostile data enters",
            "type": "file-location",
            "file_name": exact(source.path),
            "line_start": max(1, source.line),
            "line_end": max(1, source.line, source.end_line),
        }
    return found
