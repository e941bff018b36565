"""JSON for scripts. The shape is public (docs/reference/formats.md): keys are added, never renamed or removed, within one `schema`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.escaping import exact
from pipeline.model.finding import BaselineState, Judged, Location, Standing, Suppression
from pipeline.model.report import Report
from pipeline.model.scan import Coverage

SCHEMA = "fixwright-report/1"

Value = str | int | float | bool | None | Sequence["Value"] | dict[str, "Value"]


class JsonRenderer:
    """The whole report as one object, two-space indented, keys in a fixed order."""

    name = "json"
    media_type = "application/json"

    def render(self, report: Report) -> bytes:
        """UTF-8 bytes that hold ASCII only; texts are exact, escaped as JSON escapes them."""
        return json.dumps(document(report), indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def document(report: Report) -> dict[str, Value]:
    """The report as plain values."""
    verdict = report.verdict
    new = [j for j in verdict.judged if j.baseline is BaselineState.NEW]
    counts: dict[str, Value] = {str(s.value): len(verdict.standing(s)) for s in Standing}
    counts |= {
        "fixed": len(verdict.fixed),
        "older": verdict.older,
        "not_reevaluated": _count(verdict.judged, BaselineState.NOT_REEVALUATED),
    }
    return {
        "schema": SCHEMA,
        "tool": {"name": "Fixwright", "version": report.tool_version},
        "base": exact(report.base) or None,
        "head": exact(report.head) or None,
        "whole": report.whole,
        "conclusion": verdict.conclusion.value,
        "complete": not verdict.incomplete,
        "incomplete": exact(verdict.could_not_check) or None,
        "policy": exact(report.policy_source) or "defaults",
        "seconds": round(report.seconds, 3),
        "counts": counts,
        "findings": [finding_document(j) for j in new],
        "fixed": [finding_document(j) for j in verdict.fixed],
        "notes": [exact(note) for note in verdict.notes],
        "coverage": _coverage(verdict.coverage),
    }


def _count(judged: Sequence[Judged], state: BaselineState) -> int:
    return sum(1 for j in judged if j.baseline is state)


def finding_document(judged: Judged) -> dict[str, Value]:
    """One finding as plain values."""
    finding, rule = judged.finding, judged.finding.rule
    return {
        "handle": finding.handle,
        "fingerprint": finding.fingerprint,
        "rule": {
            "id": rule.id,
            "title": exact(rule.title),
            "message": exact(rule.message),
            "severity": rule.severity.word,
            "confidence": rule.confidence.word,
            "cwe": rule.cwe or None,
        },
        "standing": judged.standing.value,
        "suppression": _suppression(judged.suppression) if judged.suppression else None,
        "in_diff": judged.in_diff,
        "location": _location(finding.location),
        "source": _location(finding.source) if finding.source else None,
        "scope": exact(finding.scope),
        "policy_scopes": [exact(name) for name in judged.scopes],
        "owners": [exact(owner) for owner in judged.owners],
        "detail": exact(finding.detail),
        "engine": finding.engine,
        "witnesses": [exact(name) for name in finding.witnesses],
        "commit": finding.commit,
        "secret": {"kind": exact(finding.secret.kind), "last_four": exact(finding.secret.last_four)} if finding.secret else None,
    }


def _suppression(suppression: Suppression) -> dict[str, Value]:
    return {
        "kind": suppression.kind.value,
        "reason": exact(suppression.reason),
        "by": exact(suppression.by),
        "until": suppression.until.isoformat() if suppression.until else None,
        "expired": suppression.expired,
    }


def _location(location: Location) -> dict[str, Value]:
    return {
        "path": exact(location.path),
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    }


def _coverage(coverage: Coverage) -> dict[str, Value]:
    return {
        "files": {"changed": coverage.files_changed, "checked": coverage.files_checked},
        "commits": {"total": coverage.commits, "checked": coverage.commits_checked},
        "engines": [
            {
                "name": run.engine,
                "version": run.version,
                "rules": run.rules_digest,
                "scan_type": run.scan_type.value if run.scan_type else None,
                "files": run.files,
                "cached": run.cached,
                "seconds": round(run.seconds, 3),
            }
            for run in coverage.runs
        ],
        "gaps": [
            {
                "engine": gap.engine,
                "path": exact(gap.path) or None,
                "reason": exact(gap.reason),
                "class": gap.gap_class.value,
                "blame": gap.blame,
            }
            for gap in coverage.gaps
        ],
    }


RENDERER = JsonRenderer()
