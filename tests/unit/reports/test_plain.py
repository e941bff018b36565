"""The terminal: places first, counts last, and no byte that a terminal would obey."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.escaping import columns
from pipeline.model.finding import Standing
from pipeline.model.report import Report
from pipeline.reports.plain import RENDERER, WIDTH
from tests.build_reports import NOT_INSTALLED, TIMED_OUT, coverage, hostile_report, judged, leak, many, report, typical, weakness
from tests.unit.reports.hostile import TEXTS


def lines(given_report: Report) -> list[str]:
    return RENDERER.render(given_report).decode("utf-8").split("\n")[:-1]


def test_a_finding_begins_with_a_place_that_can_be_clicked() -> None:
    made = lines(typical())
    assert "app/db.py:41:5  blocks  Request data becomes SQL  K7Q" in made
    assert "config/prod.py:7:9  warns  AWS access key …7Q2M, added in 3fa1c2e  M2D" in made


def test_the_caret_stands_under_the_column() -> None:
    made = lines(typical())
    source = next(line for line in made if "cursor.execute" in line)
    caret = made[made.index(source) + 1]
    assert caret.index("^") == source.index("cursor.execute")
    assert "fix suggested in the thread" in caret


def test_the_excerpt_of_a_secret_is_never_printed() -> None:
    secret = leak()
    made = lines(report(judged(secret), excerpts={secret.fingerprint: ((7, 'key = "the value itself"'),)}))
    assert "the value itself" not in "\n".join(made)


@pytest.mark.parametrize(
    ("given_report", "last"),
    [
        (
            typical(),
            "1 blocks, 1 warns, 3 fixed, 14 older (base 9d1f0aa). Not checked: static/app.min.js.  4.1 s",
        ),
        (report(), "nothing new (base 9d1f0aa). Not checked: nothing.  4.1 s"),
        (report(whole=True, base=""), "no findings (no base, every file). Not checked: nothing.  4.1 s"),
        (
            report(judged(weakness()), whole=True, base=""),
            "1 blocks (no base, every file). Not checked: nothing.  4.1 s",
        ),
        (
            report(ledger=coverage(TIMED_OUT), incomplete="app/big.py: timed out", base="origin/main"),
            "nothing new (base origin/main). Not checked: app/big.py (timed out after 60 s; semgrep).  4.1 s",
        ),
    ],
)
def test_the_last_line_says_counts_base_and_what_was_not_checked(given_report: Report, last: str) -> None:
    assert lines(given_report)[-1] == last


def test_an_incomplete_run_never_ends_as_if_it_were_complete() -> None:
    for ledger in (coverage(NOT_INSTALLED), coverage(*(replace(TIMED_OUT, path=f"{n}.py") for n in range(40)))):
        assert "Not checked: nothing" not in lines(report(ledger=ledger, incomplete="x: y"))[-1]
    assert "Not checked: nothing" not in lines(report(incomplete=": it was stopped"))[-1]


def test_findings_stand_above_the_prompt_and_gaps_before_them() -> None:
    made = lines(report(judged(weakness()), ledger=coverage(TIMED_OUT), incomplete="x", notes=("The policy is new.",)))
    assert [line.split(" ")[0] for line in made[:3]] == ["not", "note:", "app/db.py:41:5"]
    assert made[-2] == ""


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b" not in "\n".join(lines(typical()))
    painted = "\n".join(lines(replace(typical(), color=True)))
    assert "\x1b[31;1mblocks\x1b[0m" in painted


@given(TEXTS, st.booleans())
@settings(max_examples=200)
def test_no_text_reaches_the_terminal_as_a_control(text: str, color: bool) -> None:
    made = RENDERER.render(replace(hostile_report(text), color=color)).decode("utf-8")
    without_ours = made.replace("\x1b[31;1m", "").replace("\x1b[33m", "").replace("\x1b[0m", "")
    assert all(line.isprintable() or not line for line in without_ours.split("\n"))
    assert made.count("\n") == RENDERER.render(hostile_report("x")).count(b"\n")


@given(st.integers(0, 40), st.text(min_size=1, max_size=200))
def test_a_hundred_columns_are_enough(count: int, text: str) -> None:
    long = replace(weakness("a/b.py"), rule=replace(weakness().rule, title=text, help=text))
    full = report(*(judged(long, Standing.WARNS) for _ in range(count)), excerpts={long.fingerprint: ((41, text * 3),)}, older=10**6)
    assert all(columns(line) <= WIDTH for line in lines(full))


def test_a_very_long_path_stays_whole_so_that_it_can_be_clicked() -> None:
    path = "d/" * 80 + "x.py"
    assert lines(report(judged(weakness(path))))[0].startswith(f"{path}:41:5  blocks  ")


def test_five_hundred_findings_are_listed() -> None:
    assert sum("blocks" in line or "warns" in line for line in lines(many(500))[:-1]) == 500
