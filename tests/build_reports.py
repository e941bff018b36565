"""Findings, verdicts and reports for the tests of decisions and renderers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pipeline.model.finding import (
    BaselineState,
    Confidence,
    Finding,
    Judged,
    Location,
    Rule,
    Secret,
    Severity,
    Standing,
)
from pipeline.model.ids import CommitId, Handle
from pipeline.model.report import Report
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, EngineRun, Gap, GapClass, ScanType

HEAD = "7bc90d1" + "0" * 33
BASE = "9d1f0aa" + "0" * 33
ADDED_IN = CommitId("3fa1c2e" + "0" * 33)
STARTED = 1_795_338_000.0
"""2026-11-22 09:00:00 UTC."""

SQL = Rule(
    id="python.sql-injection",
    title="Request data becomes SQL",
    message="Anyone who can send `username` can run SQL here. The query is built from text that the request holds.",
    severity=Severity.CRITICAL,
    confidence=Confidence.HIGH,
    cwe=89,
    help="Bind the value as a parameter.",
)
LEAK = Rule(
    id="secrets.aws-access-key",
    title="Secret in the code",
    message="Anyone who can read this repository has this key.",
    severity=Severity.MEDIUM,
    confidence=Confidence.HIGH,
    cwe=798,
)


def mark(text: str) -> str:
    """A fingerprint of the right form."""
    return "v1:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def weakness(
    path: str = "app/db.py", line: int = 41, *, rule: Rule = SQL, what: str = "query", handle: str = "K7Q", detail: str = ""
) -> Finding:
    """A finding of the code engine."""
    return Finding(
        rule=rule,
        location=Location(path, line, line, 5, 62),
        fingerprint=mark(what),
        engine="semgrep",
        detail=detail,
        handle=Handle(handle) if handle else None,
    )


def leak(
    path: str = "config/prod.py", line: int = 7, *, commit: CommitId | None = ADDED_IN, handle: str = "M2D", value: str = "a"
) -> Finding:
    """A finding of the secrets engine."""
    return Finding(
        rule=LEAK,
        location=Location(path, line, line, 9, 29),
        fingerprint=mark("leak"),
        engine="betterleaks",
        secret=Secret("AWS access key", value, "7Q2M"),
        commit=commit,
        handle=Handle(handle),
    )


def judged(
    finding: Finding, standing: Standing = Standing.BLOCKS, *, in_diff: bool = True, baseline: BaselineState = BaselineState.NEW
) -> Judged:
    """A finding that was judged."""
    return Judged(finding, baseline, standing, in_diff)


RUNS = (
    EngineRun("semgrep", "1.168.0", "5f0c9a1b2d3e", 12, 3, 3.1, ScanType.SEMGREP),
    EngineRun("betterleaks", "1.2.3", "0a1b2c3d4e5f", 12, 0, 0.4, ScanType.SECRETS),
)


def coverage(*gaps: Gap, runs: tuple[EngineRun, ...] = RUNS, files: int = 12, checked: int = 12, commits: int = 3) -> Coverage:
    """A ledger of both engines."""
    return Coverage(runs, gaps, files, checked, commits, commits)


TIMED_OUT = Gap("semgrep", "app/big.py", "timed out after 60 s", GapClass.ERROR)
NOT_INSTALLED = Gap("semgrep", "", "semgrep is not installed here", GapClass.ERROR, "us")


def report(*found: Judged, ledger: Coverage | None = None, older: int = 0, incomplete: str = "", **fields: object) -> Report:
    """A report whose conclusion follows from what it holds."""
    ledger = coverage() if ledger is None else ledger
    blocked = any(j.standing is Standing.BLOCKS for j in found if j.baseline is BaselineState.NEW)
    conclusion = Conclusion.FAILURE if blocked or ledger.breaking else Conclusion.SUCCESS
    notes = fields.pop("notes", ())
    assert isinstance(notes, tuple)
    verdict = Verdict(conclusion, found, older, ledger, incomplete, notes)
    known = {"head": HEAD, "base": BASE, "seconds": 4.1, "tool_version": "0.1.0", "policy_source": ".github/fixwright.yml at 9d1f0aa"}
    known["started"] = STARTED
    return Report(verdict, **{**known, **fields})  # type: ignore[arg-type]  # keyword fields of Report, checked by its constructor


def typical() -> Report:
    """What FACE draws: one blocks, one warns, some are gone, one file was not checked."""
    sql = weakness(detail="comes from `request.form` (line 38)")
    sql = replace(sql, source=Location("app/db.py", 38, 38, 12, 36))
    gone = [
        judged(weakness("app/old.py", n, what=f"old {n}", handle=""), Standing.COUNTED, baseline=BaselineState.FIXED) for n in (1, 2, 3)
    ]
    return report(
        judged(sql),
        judged(leak(), Standing.WARNS),
        *gone,
        ledger=coverage(
            Gap("semgrep", "static/app.min.js", "larger than 1 MB", GapClass.LIMIT),
            Gap("semgrep", "README.md", "no rule for this kind of file", GapClass.NOT_APPLICABLE),
            checked=11,
        ),
        older=14,
        incomplete="static/app.min.js: larger than 1 MB",
        fixes={sql.fingerprint: "fix suggested in the thread"},
        excerpts={
            sql.fingerprint: (
                (38, '    name = request.form["username"]'),
                (41, "    cursor.execute(f\"SELECT id FROM users WHERE name = '{name}'\")"),
            )
        },
    )


def many(count: int) -> Report:
    """A change with that many new findings."""
    found = [
        judged(
            weakness(f"src/package/module_{n % 40}.py", n + 1, what=str(n), handle=f"H{n}"), Standing.BLOCKS if n % 2 else Standing.WARNS
        )
        for n in range(count)
    ]
    return report(*found)


def hostile_report(text: str) -> Report:
    """A report in which every text that somebody else can write is `text`."""
    rule = Rule(SQL.id, text, text, Severity.HIGH, Confidence.HIGH, 89, text)
    path = text.replace("\0", "") or "x"
    place = Location(path, 3, 3, 1, 9)
    code_finding = Finding(rule, place, mark("1"), "semgrep", text, text, text, place, handle=Handle("K7Q"))
    secret = Finding(rule, place, mark("2"), "betterleaks", secret=Secret(text, "", text[:4]), commit=ADDED_IN, handle=Handle("M2D"))
    gaps: Sequence[Gap] = (
        Gap("semgrep", path, text or "why", GapClass.LIMIT),
        Gap("semgrep", "", text or "why", GapClass.ERROR, "us"),
        Gap("semgrep", path, text or "why", GapClass.NOT_APPLICABLE),
    )
    return report(
        judged(code_finding),
        judged(secret, Standing.WARNS),
        ledger=coverage(*gaps),
        incomplete=f"{path}: {text}",
        notes=(text, text, text),
        policy_source=text,
        fixes={mark("1"): text},
        excerpts={mark("1"): ((2, text), (3, text))},
    )
