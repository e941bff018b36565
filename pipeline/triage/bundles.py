"""What a bundler or minifier wrote, or somebody copied from elsewhere. Nobody mends it there, but where it is written by hand. Pure.

In a change a finding counts for what it is, wherever it stands: whoever makes his lines long silences nothing. Only in a list of everything
that there is, where nobody has just written it, does it count for little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeline.model.finding import Confidence, Finding

LONG_LINE = 500
"""Bytes. People break their lines long before; minifiers break them, if at all, long after."""
_NOTE = "stands in a built or vendored file"


def built_lines(content: bytes) -> frozenset[int]:
    """The long lines of a script, from 1 on, when more than half of its bytes lie in them; else none. Code that people wrote beside long
    data stands on lines of its own."""
    lines = content.split(b"\n")
    long = {number: len(line) for number, line in enumerate(lines, 1) if len(line) > LONG_LINE}
    return frozenset(long) if 2 * sum(long.values()) > len(content) else frozenset()


def listed(findings: Iterable[Finding]) -> list[Finding]:
    """The findings as a list of everything has them: one in a built or vendored file is of low confidence, and says why."""
    return [_lowered(finding) if finding.built else finding for finding in findings]


def _lowered(finding: Finding) -> Finding:
    detail = finding.detail if _NOTE in finding.detail else " and ".join(filter(None, (finding.detail, _NOTE)))
    return replace(finding, rule=replace(finding.rule, confidence=Confidence.LOW), detail=detail)
