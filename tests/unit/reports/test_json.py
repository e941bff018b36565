"""The shape that scripts rely on."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from pipeline.model.finding import BaselineState, Standing
from pipeline.model.report import Report
from pipeline.reports.json import RENDERER, SCHEMA
from tests.build_reports import TIMED_OUT, coverage, hostile_report, judged, leak, report, typical, weakness
from tests.unit.reports.hostile import TEXTS


def parsed(given_report: Report) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(RENDERER.render(given_report))
    return made


def test_counts_and_findings_agree() -> None:
    made = parsed(typical())
    assert made["schema"] == SCHEMA == "fixwright-report/1"
    assert made["counts"] == {"blocks": 1, "warns": 1, "waived": 0, "counted": 0, "fixed": 3, "older": 14, "not_reevaluated": 0}
    assert [f["standing"] for f in made["findings"]] == ["blocks", "warns"]
    assert len(made["fixed"]) == 3


def test_an_incomplete_report_says_so_and_why() -> None:
    made = parsed(report(ledger=coverage(TIMED_OUT), incomplete="app/big.py: semgrep timed out"))
    assert (made["complete"], made["incomplete"]) == (False, "Could not check app/big.py: semgrep timed out")
    assert made["coverage"]["gaps"][0] == {
        "engine": "semgrep",
        "path": "app/big.py",
        "reason": "timed out after 60 s",
        "class": "error",
        "blame": "change",
    }
    assert parsed(report())["incomplete"] is None


def test_of_a_secret_only_kind_and_four_characters() -> None:
    made = RENDERER.render(report(judged(leak(value="keyed-hash")))).decode()
    assert json.loads(made)["findings"][0]["secret"] == {"kind": "AWS access key", "last_four": "7Q2M"}
    assert "keyed-hash" not in made


def test_what_was_not_re_evaluated_is_counted_only() -> None:
    made = parsed(report(judged(weakness(), Standing.COUNTED, baseline=BaselineState.NOT_REEVALUATED)))
    assert (made["findings"], made["counts"]["not_reevaluated"]) == ([], 1)


@given(TEXTS)
def test_any_text_arrives_exactly_in_plain_ascii(text: str) -> None:
    made = RENDERER.render(hostile_report(text))
    assert made.isascii()
    assert made.decode().replace("\n", "").isprintable()
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert json.loads(made)["findings"][0]["rule"]["title"] == text
