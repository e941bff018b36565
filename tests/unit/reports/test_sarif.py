"""SARIF 2.1.0 against the official schema, and against what code hosts ask for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema_rs
import pytest
from hypothesis import given, settings

from pipeline.model.finding import BaselineState, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.scan import GapClass
from pipeline.reports import sarif
from tests.build_reports import NOT_INSTALLED, SQL, TIMED_OUT, coverage, hostile_report, judged, leak, many, report, typical, weakness
from tests.unit.reports.hostile import TEXTS

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)


def log(given_report: Report) -> dict[str, Any]:
    """The parsed log, which the official schema accepts."""
    parsed: dict[str, Any] = json.loads(sarif.RENDERER.render(given_report))
    VALIDATOR.validate(parsed)
    return parsed


def run(given_report: Report) -> dict[str, Any]:
    only: dict[str, Any] = log(given_report)["runs"][0]
    return only


@pytest.mark.parametrize(
    "given_report",
    [
        report(),
        report(whole=True, base=""),
        typical(),
        many(500),
        report(ledger=coverage(NOT_INSTALLED, TIMED_OUT), incomplete=": semgrep is not installed here", notes=("A note.",)),
        Report(report().verdict),
    ],
    ids=["clean", "whole", "typical", "many", "incomplete", "bare"],
)
def test_every_log_is_valid(given_report: Report) -> None:
    assert log(given_report)["version"] == "2.1.0"


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_hostile_texts_keep_the_log_valid_and_hidden_characters_out(text: str) -> None:
    parsed = log(hostile_report(text))
    messages = [result["message"]["text"] for result in parsed["runs"][0]["results"]]
    assert all(message.isprintable() for message in messages)


def test_the_judge_does_refuse() -> None:
    broken = json.loads(sarif.RENDERER.render(typical()))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(broken)


def test_the_same_report_gives_the_same_bytes_whatever_the_order() -> None:
    full = typical()
    turned = replace(full, verdict=replace(full.verdict, judged=tuple(reversed(full.verdict.judged))))
    assert sarif.RENDERER.render(full) == sarif.RENDERER.render(turned)


def test_each_rule_has_exactly_one_cwe_and_it_stands_nowhere_else() -> None:
    rule = replace(SQL, title="Becomes SQL (CWE-89)", message="Anyone can. See CWE-89: SQL injection. CWE-89.", help="Bind it, cwe-564.")
    finding = replace(weakness(rule=rule), detail="comes from CWE-20")
    made = sarif.RENDERER.render(report(judged(finding), judged(leak()))).decode()
    assert sorted(re.findall(r"(?i)cwe.{0,3}\d+", made.replace("external/cwe/", ""))) == ["cwe-798", "cwe-89"]
    for described in json.loads(made)["runs"][0]["tool"]["driver"]["rules"]:
        assert sum(tag.startswith("external/cwe/cwe-") for tag in described["properties"]["tags"]) == 1


@pytest.mark.parametrize(
    ("severity", "level", "lowest", "highest"),
    [
        (Severity.CRITICAL, "error", 9.1, 10.0),
        (Severity.HIGH, "error", 7.0, 8.9),
        (Severity.MEDIUM, "warning", 4.0, 6.9),
        (Severity.LOW, "note", 0.1, 3.9),
    ],
)
def test_severity_arrives_as_the_host_reads_it(severity: Severity, level: str, lowest: float, highest: float) -> None:
    made = run(report(judged(weakness(rule=replace(SQL, severity=severity)))))
    rule = made["tool"]["driver"]["rules"][0]
    assert made["results"][0]["level"] == level
    assert lowest <= float(rule["properties"]["security-severity"]) <= highest


def test_a_finding_keeps_its_identity() -> None:
    result = run(report(judged(weakness())))["results"][0]
    assert result["partialFingerprints"] == {"fixwright/v1": weakness().fingerprint}
    assert result["properties"]["handle"] == "K7Q"


@pytest.mark.parametrize(
    "path",
    ["app/db.py", "a b/ü#?%.py", "c:/x.py", "caf\udce9.py", "x/[id].ts", "-", "http:/x", "a\\b", "new\nline.py"],
)
def test_paths_are_relative_references_that_keep_every_byte(path: str) -> None:
    place = run(report(judged(weakness(path))))["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uriBaseId"] == "%SRCROOT%"
    assert re.fullmatch(r"[A-Za-z0-9\-._~%/]+", place["uri"])
    assert unquote_to_bytes(place["uri"]) == path.encode("utf-8", "surrogateescape")


def test_a_source_becomes_a_flow() -> None:
    result = run(typical())["results"][0]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["location"]["physicalLocation"]["region"]["startLine"] for step in steps] == [38, 41]
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 38


def test_a_baseline_state_is_there_when_there_is_a_base() -> None:
    assert {result["baselineState"] for result in run(typical())["results"]} == {"new"}
    assert "baselineState" not in run(report(judged(weakness()), whole=True, base=""))["results"][0]


def test_what_is_gone_is_counted_and_never_a_result() -> None:
    made = run(typical())
    assert len(made["results"]) == 2
    assert made["properties"]["fixed"] == 3
    unknown = judged(weakness(what="old"), Standing.COUNTED, baseline=BaselineState.NOT_REEVALUATED)
    assert run(report(unknown))["results"] == []


def test_findings_below_the_policys_mark_are_results_and_rules_on_trial_are_not() -> None:
    low = judged(weakness(), Standing.COUNTED)
    trial = judged(weakness(rule=replace(SQL, id="python.trial", shadow=True), what="t"))
    assert [result["ruleId"] for result in run(report(low, trial, whole=True))["results"]] == ["python.sql-injection"]


def test_an_incomplete_run_is_not_successful_and_says_why() -> None:
    ledger = coverage(TIMED_OUT, NOT_INSTALLED, replace(TIMED_OUT, path="a.png", reason="binary", gap_class=GapClass.NOT_APPLICABLE))
    invocation = run(report(ledger=ledger, incomplete="app/big.py: semgrep timed out"))["invocations"][0]
    assert invocation["executionSuccessful"] is False
    said = [note["message"]["text"] for note in invocation["toolExecutionNotifications"]]
    assert said == [
        "Not checked app/big.py: timed out after 60 s (semgrep).",
        "Not checked: semgrep is not installed here (semgrep).",
    ]
    assert run(report())["invocations"][0]["executionSuccessful"] is True


def test_of_a_secret_nothing_but_kind_and_four_characters_is_written() -> None:
    finding = replace(leak(value="keyed-hash"), excerpt="the line itself", detail="the value itself")
    made = sarif.RENDERER.render(report(judged(finding))).decode()
    assert "7Q2M" in made
    assert not [text for text in ("keyed-hash", "the line itself", "the value itself") if text in made]


def test_more_results_than_a_host_takes_are_cut_by_severity_and_said() -> None:
    limit = 50
    mild = replace(SQL, severity=Severity.LOW, id="python.mild")
    found = [judged(weakness(f"{n}.py", rule=mild if n % 2 else SQL, what=str(n))) for n in range(limit * 2 - 10)]
    made = json.loads(sarif.SarifRenderer(limit).render(report(*found)))["runs"][0]
    assert len(made["results"]) == limit
    assert sum(result["ruleId"] == "python.sql-injection" for result in made["results"]) == 45
    assert "40 results are left out" in made["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
