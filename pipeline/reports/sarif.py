"""SARIF 2.1.0 (OASIS standard with errata 01), in the form that code hosts read.

Limits are those of GitHub code scanning (docs, "SARIF support for code scanning", "Results exceed limit"): 25,000 results and 25,000
rules a run, 20 tags a rule of which 10 are shown, 10 MB compressed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import quote

from pipeline import phrases
from pipeline.escaping import visible
from pipeline.model.finding import BaselineState, Confidence, Finding, Judged, Location, Rule, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.scan import Coverage, Gap

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

MAX_RESULTS = 25_000
"""Results of a run. What is beyond is left out, the least severe first, and a notification says how many."""

SOURCE_ROOT = "%SRCROOT%"

Value = str | int | float | bool | None | Sequence["Value"] | dict[str, "Value"]
Object = dict[str, Value]

_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_SCORE = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
"""`security-severity`: GitHub reads above 9.0 as critical, 7.0 as high, 4.0 as medium, 0.1 as low."""

_PRECISION = {Confidence.HIGH: "high", Confidence.MEDIUM: "medium", Confidence.LOW: "low"}
_CWE = r"[(\[]?\bCWE[-_/ ]?\d+\b(?::[^.)\]]*)?[)\]]?"
_NAMES_CWE = re.compile(rf"(?<=[.!?])\s*{_CWE}\.?|\s*{_CWE}", re.IGNORECASE)


class SarifRenderer:
    """One run with the findings that are to be read: all of them without a base, the new ones with one."""

    name = "sarif"
    media_type = "application/sarif+json"

    def __init__(self, max_results: int = MAX_RESULTS) -> None:
        self._max_results = max_results

    def render(self, report: Report) -> bytes:
        """The log file: the same report gives the same bytes."""
        log: Object = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, self._max_results)]}
        return json.dumps(log, indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def _run(report: Report, limit: int) -> Object:
    verdict = report.verdict
    shown = [j for j in verdict.judged if j.baseline is BaselineState.NEW and not j.finding.rule.shadow]
    ranked = sorted(shown, key=lambda j: (-j.finding.rule.severity, -j.finding.rule.confidence, _order(j.finding)))
    kept = sorted(ranked[:limit], key=lambda j: _order(j.finding))
    rules = {j.finding.rule.id: j.finding.rule for j in kept}
    index = {rule_id: number for number, rule_id in enumerate(sorted(rules))}
    properties: Object = {"conclusion": verdict.conclusion.value, "filesChecked": verdict.coverage.files_checked}
    if not report.whole:
        properties |= {"fixed": len(verdict.fixed), "older": verdict.older}
        properties |= {"base": visible(report.base)} if report.base else {}
    return {
        "tool": {"driver": _driver(report, [rules[rule_id] for rule_id in sorted(rules)]), "extensions": _extensions(verdict.coverage)},
        "automationDetails": {"id": "fixwright/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {SOURCE_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(report, len(ranked) - len(kept))],
        "results": [_result(j, index, whole=report.whole) for j in kept],
        "properties": properties,
    }


def _order(finding: Finding) -> tuple[Location, str, str]:
    return finding.location, finding.rule.id, finding.fingerprint


def _driver(report: Report, rules: Sequence[Rule]) -> Object:
    driver: Object = {"name": "Fixwright", "rules": [_rule(rule) for rule in rules]}
    if report.tool_version:
        driver["version"] = visible(report.tool_version)
    return driver


def _extensions(coverage: Coverage) -> list[Value]:
    """The engines that did the work; their rules are ours, so they list none."""
    out: list[Value] = []
    for engine, version, digest in sorted({(run.engine, run.version, run.rules_digest) for run in coverage.runs}):
        known: Object = {"name": visible(engine), "version": visible(version), "properties": {"rulesDigest": visible(digest)}}
        out.append(known)
    return out


def _rule(rule: Rule) -> Object:
    advice = f" {rule.help}" if rule.help else ""
    return {
        "id": rule.id,
        "name": "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", rule.id) if part),
        "shortDescription": {"text": _text(rule.title)},
        "fullDescription": {"text": _text(rule.message)},
        "help": {"text": _text(f"{rule.message}{advice}")},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": {
            "precision": _PRECISION[rule.confidence],
            "security-severity": _SCORE[rule.severity],
            "tags": ["security", *([f"external/cwe/cwe-{rule.cwe}"] if rule.cwe else [])],
        },
    }


def _text(text: str) -> str:
    """Plain text without a CWE number: that stands in the rule's tags and nowhere else, so that readers agree on it."""
    # `](` would make a link of it (SARIF 3.11.6); the text is quoted source now and then.
    return visible(_NAMES_CWE.sub("", text)).replace("`", "").replace("](", "] (") or "(no text)"


def _result(judged: Judged, index: dict[str, int], *, whole: bool) -> Object:
    finding = judged.finding
    result: Object = {
        "ruleId": finding.rule.id,
        "ruleIndex": index[finding.rule.id],
        "level": _LEVEL[finding.rule.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding.location)],
        "partialFingerprints": {"fixwright/v1": finding.fingerprint},
    }
    if not whole:
        result["baselineState"] = judged.baseline.value
    if finding.source is not None:
        entry: Object = {**_location(finding.source), "message": {"text": "Hostile data enters here."}}
        result["relatedLocations"] = [{"id": 1, **entry}]
        steps: list[Value] = [
            {"location": entry},
            {"location": {**_location(finding.location), "message": {"text": _text(finding.rule.title)}}},
        ]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    properties: Object = {"engine": finding.engine, "confidence": finding.rule.confidence.word, "standing": judged.standing.value}
    if finding.handle:
        properties["handle"] = finding.handle
    if finding.commit:
        properties["commit"] = finding.commit
    if finding.witnesses:
        properties["witnesses"] = [visible(name) for name in finding.witnesses]
    if judged.standing is Standing.WAIVED:
        result["suppressions"] = [{"kind": "external", "justification": _text(judged.reason)}]
    return {**result, "properties": properties}


def _message(finding: Finding) -> str:
    """What it is and what it means. Of a secret its kind and at most four characters; no source text at all."""
    detail = f" It {finding.detail.rstrip('.')}." if finding.detail and finding.secret is None else ""
    added = f" It was added in commit {phrases.short(finding.commit)}." if finding.commit else ""
    return _text(f"{phrases.what(finding)}. {finding.rule.message}{detail}{added}")


def _location(location: Location) -> Object:
    region: Object = {
        "startLine": max(1, location.line),
        "startColumn": max(1, location.column),
        "endLine": max(location.line, location.end_line, 1),
    }
    if location.end_line > location.line or location.end_column > location.column:
        region["endColumn"] = max(1, location.end_column)
    return {"physicalLocation": {"artifactLocation": {"uri": uri(location.path), "uriBaseId": SOURCE_ROOT}, "region": region}}


def uri(path: str) -> str:
    """A path as a relative URI reference (RFC 3986): every byte but the unreserved ones is percent-encoded, so that a colon in the first
    part makes no scheme and a path that is no UTF-8 keeps its bytes."""
    return quote(path.lstrip("/").encode("utf-8", "surrogateescape"), safe="/-._~")


def _invocation(report: Report, dropped: int) -> Object:
    verdict = report.verdict
    notes = [_notification(gap, "error") for gap in verdict.coverage.breaking]
    if verdict.incomplete and not notes:
        notes.append({"level": "error", "message": {"text": _text(verdict.could_not_check)}})
    notes += [{"level": "note", "message": {"text": _text(note)}} for note in verdict.notes]
    if dropped:
        notes.append({"level": "warning", "message": {"text": f"{dropped} results are left out: a log holds the worst ones only."}})
    return {"executionSuccessful": not verdict.incomplete, "toolExecutionNotifications": notes}


def _notification(gap: Gap, level: str) -> Object:
    at = f" {gap.path}" if gap.path else ""
    notification: Object = {"level": level, "message": {"text": _text(f"Not checked{at}: {gap.reason} ({gap.engine}).")}}
    if gap.path:
        notification["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": uri(gap.path), "uriBaseId": SOURCE_ROOT}}}]
    return notification


RENDERER = SarifRenderer()
