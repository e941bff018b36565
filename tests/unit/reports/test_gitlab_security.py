"""GitLab's security reports: valid, each of its own kind, and never a success that did not happen."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from pipeline import gitlabreports
from pipeline.gitlabreports import SecurityReportRenderer
from pipeline.model.finding import BaselineState, Finding, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, EngineRun, Gap, GapClass, ScanType
from pipeline.reports import gitlab_sast, gitlab_secrets
from tests.build_reports import (
    ADDED_IN,
    HEAD,
    NOT_INSTALLED,
    RUNS,
    SQL,
    TIMED_OUT,
    coverage,
    hostile_report,
    judged,
    leak,
    many,
    report,
    typical,
    weakness,
)
from tests.unit.reports.hostile import TEXTS, seen, shown, triggers

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "gitlab-security-report.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)
KINDS: dict[str, SecurityReportRenderer] = {"sast": gitlab_sast.RENDERER, "secret_detection": gitlab_secrets.RENDERER}
FOUND: dict[str, Callable[..., Finding]] = {"sast": weakness, "secret_detection": leak}
OWN = Path(os.environ.get("FIXWRIGHT_TEST_DATA", "/nowhere")) / "gitlab" / "security-report-schemas"

each_kind = pytest.mark.parametrize("kind", KINDS)
SITUATIONS = {
    "clean": report(),
    "whole": report(judged(weakness()), judged(leak()), whole=True, base=""),
    "typical": typical(),
    "many": many(300),
    "incomplete": report(ledger=coverage(NOT_INSTALLED, TIMED_OUT), incomplete=": semgrep is not installed here", notes=("A note.",)),
    "bare": Report(report().verdict),
    "nothing ran": Report(Verdict(Conclusion.ACTION_REQUIRED)),
}


def document(kind: str, given_report: Report) -> dict[str, Any]:
    """The parsed report, which the documented format allows."""
    parsed: dict[str, Any] = json.loads(KINDS[kind].render(given_report))
    VALIDATOR.validate(parsed)
    ids = [vulnerability["id"] for vulnerability in parsed["vulnerabilities"]]
    assert len(set(ids)) == len(ids)
    assert parsed["scan"]["type"] == kind
    return parsed


def found(kind: str, given_report: Report) -> list[dict[str, Any]]:
    vulnerabilities: list[dict[str, Any]] = document(kind, given_report)["vulnerabilities"]
    return vulnerabilities


def said(kind: str, given_report: Report) -> tuple[str, list[tuple[str, str]]]:
    """Status of the scan, and its messages."""
    scan = document(kind, given_report)["scan"]
    return scan["status"], [(message["level"], message["value"]) for message in scan["messages"]]


@each_kind
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_report_is_valid(kind: str, situation: str) -> None:
    document(kind, SITUATIONS[situation])


@each_kind
def test_every_report_is_valid_by_gitlabs_own_schema(kind: str) -> None:
    file = OWN / f"{kind.replace('_', '-')}-report-format.json"
    if not file.exists():
        pytest.skip("GitLab's own schemas are not at hand: FIXWRIGHT_TEST_DATA names no folder that has them")
    judge = jsonschema_rs.validator_for(json.loads(file.read_bytes()))
    for given_report in (*SITUATIONS.values(), hostile_report("\x1b[2J\u202e@bob <b>\n| `x` | \udcff")):
        judge.validate(json.loads(KINDS[kind].render(given_report)))


@each_kind
def test_the_judge_does_refuse(kind: str) -> None:
    made = document(kind, typical())
    (vulnerability,) = made["vulnerabilities"]
    without_commit = {**vulnerability, "location": {**vulnerability["location"], "commit": {}}}
    for wrong in ({**vulnerability, "severity": "high"}, {**vulnerability, "id": "7"}, {**vulnerability, "message": "?"}, without_commit):
        assert not VALIDATOR.is_valid({**made, "vulnerabilities": [wrong]})


@each_kind
@given(text=TEXTS)
@settings(max_examples=80, deadline=None)
def test_hostile_texts_mean_nothing_to_who_reads_a_vulnerability(kind: str, text: str) -> None:
    made = document(kind, hostile_report(text))
    for vulnerability in made["vulnerabilities"]:
        assert vulnerability["name"].isprintable()
        for markdown in (vulnerability["description"], vulnerability.get("solution", "")):
            assert "\n" not in markdown
            assert set(seen(markdown).tags) <= {"p", "code"}
            assert triggers(markdown) == []
    assert all(message["value"].isprintable() for message in made["scan"]["messages"])


@each_kind
def test_the_same_report_gives_the_same_bytes_whatever_the_order(kind: str) -> None:
    full = typical()
    turned = replace(full, verdict=replace(full.verdict, judged=tuple(reversed(full.verdict.judged))))
    assert KINDS[kind].render(full) == KINDS[kind].render(turned)


# --- what is in it --------------------------------------------------------------------------------------------------------------------


def test_secrets_and_code_are_in_their_own_report_alone() -> None:
    both = report(judged(weakness()), judged(leak()))
    assert [one["name"] for one in found("sast", both)] == ["Request data becomes SQL"]
    assert [one["name"] for one in found("secret_detection", both)] == ["AWS access key"]


def test_a_vulnerability_says_what_where_and_how_to_mend_it() -> None:
    (one,) = found("sast", typical())
    assert shown(one["description"]).endswith("It comes from request.form (line 38).")
    assert one["solution"] == "Bind the value as a parameter."
    assert one["location"] == {"file": "app/db.py", "start_line": 41, "end_line": 41}
    assert one["identifiers"] == [
        {"type": "fixwright_rule", "name": "Fixwright python.sql-injection", "value": "python.sql-injection"},
        {"type": "cwe", "name": "CWE-89", "value": "89", "url": "https://cwe.mitre.org/data/definitions/89.html"},
    ]
    assert one["details"]["handle"]["value"] == "K7Q"
    assert one["details"]["source"]["line_start"] == 38


@pytest.mark.parametrize("severity", Severity)
def test_severity_arrives_in_gitlabs_words(severity: Severity) -> None:
    (one,) = found("sast", report(judged(weakness(rule=replace(SQL, severity=severity)))))
    assert one["severity"] == severity.word.capitalize()


@each_kind
def test_a_vulnerability_keeps_its_id_when_it_moves(kind: str) -> None:
    (here,) = found(kind, report(judged(FOUND[kind]("a.py", 7))))
    (there,) = found(kind, report(judged(FOUND[kind]("b/c.py", 90)), older=3, seconds=9.0))
    assert here["id"] == there["id"]
    assert uuid.UUID(here["id"]).version == 5


def test_the_same_weakness_in_several_places_is_several_vulnerabilities() -> None:
    made = found("sast", report(*(judged(weakness(f"{n}.py", what="the same")) for n in range(3))))
    assert [one["location"]["file"] for one in made] == ["0.py", "1.py", "2.py"]


def test_a_secret_names_the_commit_that_added_it_else_the_one_that_was_scanned() -> None:
    def commit(given_report: Report) -> str:
        (one,) = found("secret_detection", given_report)
        sha: str = one["location"]["commit"]["sha"]
        return sha

    assert commit(report(judged(leak()))) == ADDED_IN
    assert commit(report(judged(leak(commit=None)))) == HEAD
    assert commit(report(judged(leak(commit=None)), head="")) == "0000000"


def test_of_a_secret_nothing_but_kind_place_and_four_characters_is_written() -> None:
    finding = replace(leak(value="keyed-hash"), excerpt="the line itself", detail="the value itself", scope="in_here")
    made = gitlab_secrets.RENDERER.render(report(judged(finding))).decode()
    assert "7Q2M" in made
    assert "raw_source_code_extract" not in made
    assert not [text for text in ("keyed-hash", "the line itself", "the value itself", "in_here") if text in made]


@each_kind
def test_what_is_gone_older_or_on_trial_is_left_out(kind: str) -> None:
    gone = judged(FOUND[kind](), baseline=BaselineState.FIXED)
    unknown = judged(FOUND[kind](), baseline=BaselineState.NOT_REEVALUATED)
    trial = judged(FOUND[kind]())
    trial = replace(trial, finding=replace(trial.finding, rule=replace(trial.finding.rule, shadow=True)))
    assert found(kind, report(gone, unknown, trial)) == []


@each_kind
def test_what_is_waived_is_counted_and_what_is_below_the_policys_mark_is_told(kind: str) -> None:
    given_report = report(judged(FOUND[kind](), Standing.WAIVED), judged(FOUND[kind]("b.py"), Standing.COUNTED))
    assert [one["location"]["file"] for one in found(kind, given_report)] == ["b.py"]
    assert said(kind, given_report) == (
        "success",
        [("info", "Left out: 1 finding that the policy or a comment in the code lets stand.")],
    )


# --- what is said of the scan ---------------------------------------------------------------------------------------------------------


@each_kind
def test_a_scan_that_found_nothing_is_a_success_with_its_times(kind: str) -> None:
    scan = document(kind, report())["scan"]
    assert (scan["status"], scan["messages"]) == ("success", [])
    assert (scan["start_time"], scan["end_time"]) == ("2026-11-22T09:00:00", "2026-11-22T09:00:04")


def test_an_engine_that_is_missing_is_a_failure_of_its_own_report_alone() -> None:
    ledger = coverage(NOT_INSTALLED, runs=(RUNS[1],))
    given_report = report(ledger=ledger, incomplete=": semgrep is not installed here")
    assert said("sast", given_report) == ("failure", [("fatal", "Not checked: semgrep is not installed here (semgrep).")])
    assert said("secret_detection", given_report) == ("success", [])


@pytest.mark.parametrize(
    ("kind", "other", "text"),
    [
        ("sast", RUNS[1], "No semgrep_scan was done: code was not looked at."),
        ("secret_detection", RUNS[0], "No secrets_scan was done: no secrets were looked for."),
    ],
)
def test_a_scan_that_nobody_asked_for_is_not_one_that_found_nothing(kind: str, other: EngineRun, text: str) -> None:
    assert said(kind, report(ledger=coverage(runs=(other,)))) == ("failure", [("fatal", text)])


def test_a_scan_that_nobody_did_is_told_beside_what_else_went_wrong() -> None:
    ledger = coverage(Gap("fixwright", "", "more than 200000 files", GapClass.LIMIT), runs=(RUNS[1],))
    status, messages = said("sast", report(ledger=ledger))
    assert (status, len(messages)) == ("failure", 2)
    required = Gap("semgrep_scan", "", "did not run", GapClass.ERROR, "us")
    assert said("sast", report(ledger=coverage(required, runs=(RUNS[1],))))[1] == [("fatal", "Not checked: did not run (semgrep_scan).")]
    assert said("secret_detection", report(ledger=coverage(required, runs=(RUNS[1],)))) == ("success", [])


@each_kind
def test_a_file_that_was_not_checked_is_a_failure_and_named(kind: str) -> None:
    engine = {"sast": "semgrep", "secret_detection": "betterleaks"}[kind]
    ledger = coverage(replace(TIMED_OUT, engine=engine), Gap(engine, "a.png", "binary", GapClass.NOT_APPLICABLE))
    given_report = report(ledger=ledger, incomplete="app/big.py: timed out")
    assert said(kind, given_report) == ("failure", [("warn", f"Not checked app/big.py: timed out after 60 s ({engine}).")])


@each_kind
def test_what_belongs_to_no_engine_is_told_in_both(kind: str) -> None:
    ledger = coverage(Gap("fixwright", "", "more than 200000 files", GapClass.LIMIT))
    assert said(kind, report(ledger=ledger)) == ("failure", [("fatal", "Not checked: more than 200000 files (fixwright).")])
    assert said(kind, report(incomplete="a.py: nobody knows why")) == ("failure", [("fatal", "Could not check a.py: nobody knows why.")])


@each_kind
def test_a_ledger_without_anything_is_a_failure(kind: str) -> None:
    assert said(kind, report(ledger=Coverage()))[0] == "failure"


@each_kind
def test_with_a_base_the_report_says_that_it_is_a_part_and_without_one_it_does_not(kind: str) -> None:
    assert document(kind, report())["scan"]["partial_scan"] == {"mode": "differential"}
    assert "partial_scan" not in document(kind, report(whole=True, base=""))["scan"]


def test_the_scanner_has_our_name_and_the_engines_version() -> None:
    assert document("sast", report())["scan"]["scanner"] == {
        "id": "fixwright-sast",
        "name": "Fixwright (semgrep)",
        "version": "1.168.0",
        "vendor": {"name": "Fixwright"},
    }
    missing = report(ledger=coverage(NOT_INSTALLED, runs=(RUNS[1],)), tool_version="")
    scan = document("sast", missing)["scan"]
    assert (scan["scanner"]["version"], scan["analyzer"]["version"]) == ("unknown", "unknown")


def test_more_vulnerabilities_than_fit_are_cut_by_severity_and_said() -> None:
    mild = replace(SQL, severity=Severity.LOW, id="python.mild")
    many_found = [judged(weakness(f"{n}.py", rule=mild if n % 2 else SQL, what=str(n))) for n in range(20)]
    made = json.loads(SecurityReportRenderer("x", gitlab_sast.SAST, 15).render(report(*many_found)))
    VALIDATOR.validate(made)
    assert sum(one["severity"] == "Critical" for one in made["vulnerabilities"]) == 10
    assert len(made["vulnerabilities"]) == 15
    assert made["scan"]["messages"][-1]["value"] == "Left out: 5 findings. A report holds the worst ones only."


def test_more_gaps_than_anybody_reads_are_counted() -> None:
    gaps = [replace(TIMED_OUT, path=f"{n}.py") for n in range(gitlabreports.MAX_MESSAGES + 10)]
    status, messages = said("sast", report(ledger=coverage(*gaps), incomplete="0.py: timed out"))
    assert status == "failure"
    assert len(messages) == gitlabreports.MAX_MESSAGES
    assert messages[-1] == ("warn", "11 messages more.")


def test_long_texts_are_cut_to_what_gitlab_takes() -> None:
    rule = replace(SQL, title="ü" * 400, help="y" * 9_000, message="z" * 20_000)
    (one,) = found("sast", report(judged(weakness(rule=rule))))
    assert len(one["name"].encode()) <= gitlabreports.MAX_NAME
    assert len(one["description"].encode()) <= gitlabreports.MAX_DESCRIPTION


def test_a_scan_type_has_its_words() -> None:
    """A new kind of scan has to say which report tells of it."""
    assert {renderer.kind.scan_type for renderer in KINDS.values()} == {ScanType.SEMGREP, ScanType.SECRETS}
