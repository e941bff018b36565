"""Code Quality reports: valid, told apart, and never empty when something was not checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from pipeline.model.finding import BaselineState, Severity, Standing
from pipeline.model.report import Report
from pipeline.model.scan import Gap, GapClass
from pipeline.reports import codequality
from pipeline.stages.disclosure import for_anybody
from tests.build_reports import NOT_INSTALLED, SQL, TIMED_OUT, coverage, hostile_report, judged, leak, many, report, typical, weakness
from tests.unit.reports.hostile import TEXTS

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "gitlab-code-quality.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def entries(given_report: Report) -> list[dict[str, Any]]:
    """The entries, which the documented format allows and GitLab can tell apart."""
    parsed: list[dict[str, Any]] = json.loads(codequality.RENDERER.render(given_report))
    VALIDATOR.validate(parsed)
    fingerprints = [entry["fingerprint"] for entry in parsed]
    assert len(set(fingerprints)) == len(fingerprints)
    return parsed


@pytest.mark.parametrize(
    "given_report",
    [report(), report(whole=True, base=""), typical(), many(300), Report(report().verdict)],
    ids=["clean", "whole", "typical", "many", "bare"],
)
def test_every_report_is_valid(given_report: Report) -> None:
    entries(given_report)


def test_nothing_found_and_everything_checked_is_an_empty_array() -> None:
    assert codequality.RENDERER.render(report()) == b"[]\n"


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_hostile_texts_keep_it_valid_and_hidden_characters_out_of_what_is_read(text: str) -> None:
    for entry in entries(hostile_report(text)):
        assert entry["description"].isprintable()
        assert len(entry["description"].encode()) <= codequality.MAX_DESCRIPTION


def test_the_judge_does_refuse() -> None:
    (entry, *_) = entries(typical())
    assert not VALIDATOR.is_valid([{**entry, "severity": "high"}])
    assert not VALIDATOR.is_valid([{**entry, "location": {"path": "a", "lines": {"begin": 0}}}])


@pytest.mark.parametrize(
    ("severity", "word"),
    [(Severity.CRITICAL, "blocker"), (Severity.HIGH, "critical"), (Severity.MEDIUM, "major"), (Severity.LOW, "minor")],
)
def test_severity_arrives_in_gitlabs_words(severity: Severity, word: str) -> None:
    (entry,) = entries(report(judged(weakness(rule=replace(SQL, severity=severity)))))
    assert entry["severity"] == word


def test_an_entry_says_what_it_is_and_how_it_is_called_at_its_lines() -> None:
    found = weakness(line=41)
    found = replace(found, location=replace(found.location, end_line=43))
    (entry,) = entries(report(judged(found)))
    assert entry["description"].startswith("Request data becomes SQL: Anyone who can send username")
    assert entry["description"].endswith("(K7Q)")
    assert entry["check_name"] == "python.sql-injection"
    assert entry["location"] == {"path": "app/db.py", "lines": {"begin": 41, "end": 43}}


def test_a_handle_is_never_cut_off() -> None:
    (entry,) = entries(report(judged(weakness(rule=replace(SQL, message="x" * 5_000)))))
    assert entry["description"].endswith("(K7Q)")


def test_the_same_weakness_in_several_places_is_several_entries_whatever_their_order() -> None:
    found = [judged(weakness(f"{n}.py", what="the same")) for n in range(3)]
    first, second, third = entries(report(*found))
    plain = found[0].finding.fingerprint
    assert [entry["fingerprint"] for entry in (first, second, third)] == [plain, f"{plain}-2", f"{plain}-3"]
    assert codequality.RENDERER.render(report(*found)) == codequality.RENDERER.render(report(*reversed(found)))


@pytest.mark.parametrize("standing", [Standing.WAIVED, Standing.COUNTED])
def test_what_the_policy_does_not_want_read_is_no_entry(standing: Standing) -> None:
    assert entries(report(judged(weakness(), standing))) == []


def test_what_is_gone_or_older_is_no_entry() -> None:
    gone = judged(weakness(), baseline=BaselineState.FIXED)
    unknown = judged(weakness(what="old"), baseline=BaselineState.NOT_REEVALUATED)
    assert entries(report(gone, unknown, older=14)) == []


def test_of_a_secret_nothing_but_kind_place_and_four_characters_is_written() -> None:
    finding = replace(leak(value="keyed-hash"), excerpt="the line itself", detail="the value itself")
    made = codequality.RENDERER.render(report(judged(finding))).decode()
    assert "7Q2M" in made
    assert "added in commit 3fa1c2e" in made
    assert not [text for text in ("keyed-hash", "the line itself", "the value itself") if text in made]


def test_what_was_not_checked_is_an_entry_at_its_file_once() -> None:
    ledger = coverage(TIMED_OUT, TIMED_OUT, NOT_INSTALLED, Gap("semgrep", "README.md", "no rule", GapClass.NOT_APPLICABLE))
    found = entries(report(ledger=ledger, incomplete=": semgrep is not installed here"))
    assert [(entry["check_name"], entry["location"]["path"], entry["description"]) for entry in found] == [
        (codequality.NOT_CHECKED, "app/big.py", "Not checked: timed out after 60 s (semgrep)."),
        (codequality.NOT_CHECKED, codequality.NOWHERE, "Not checked: semgrep is not installed here (semgrep)."),
    ]


def test_a_report_that_is_incomplete_for_another_reason_is_not_empty_either() -> None:
    (entry,) = entries(report(incomplete="app/big.py: nobody knows why"))
    assert entry["description"] == "Could not check app/big.py: nobody knows why."


def test_of_secrets_that_are_told_to_members_only_the_number_is_an_entry() -> None:
    given_report = report(judged(weakness()), judged(leak()), judged(leak(), Standing.WAIVED), older=3)
    shown = replace(given_report, verdict=for_anybody(given_report.verdict))
    assert [(entry["check_name"], entry["description"]) for entry in entries(shown)][1:] == [
        (codequality.CONFIDED, "1 secret, told to members only.")
    ]
    made = codequality.RENDERER.render(shown).decode()
    assert "AWS" not in made
    assert "config/prod.py" not in made
    assert (shown.verdict.older, shown.verdict.conclusion) == (0, given_report.verdict.conclusion)


def test_more_findings_than_fit_are_cut_by_severity_and_said() -> None:
    mild = replace(SQL, severity=Severity.LOW, id="python.mild")
    found = [judged(weakness(f"{n}.py", rule=mild if n % 2 else SQL, what=str(n))) for n in range(20)]
    made = json.loads(codequality.CodeQualityRenderer(15).render(report(*found)))
    assert sum(entry["check_name"] == "python.sql-injection" for entry in made) == 10
    assert sum(entry["check_name"] == "python.mild" for entry in made) == 5
    assert made[-1]["check_name"] == codequality.LEFT_OUT
    assert made[-1]["description"] == "5 findings more: a report holds the worst ones only."


@pytest.mark.parametrize("path", ["a b/ü.py", "x/[id].ts", "new\nline.py", "-", "a\\b"])
def test_a_path_is_what_the_repository_calls_it(path: str) -> None:
    (entry,) = entries(report(judged(weakness(path))))
    assert entry["location"]["path"] == path


def test_a_path_that_is_no_unicode_is_spelled_out() -> None:
    (entry,) = entries(report(judged(weakness("caf\udce9.py"))))
    assert entry["location"]["path"] == "caf\\xe9.py"
