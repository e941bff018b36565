"""The check: title, page and annotations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.escaping import size
from pipeline.model.finding import BaselineState, Standing
from pipeline.model.report import Check, CheckAction, Report
from pipeline.model.review import Conclusion, Verdict
from pipeline.model.scan import Coverage, Gap, GapClass
from pipeline.ports import Capabilities
from pipeline.reports.markdown import render_check, render_failed, render_progress, render_withdrawn
from tests.build_reports import (
    ADDED_IN,
    NOT_INSTALLED,
    RUNS,
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
from tests.unit.reports.hostile import TEXTS, seen, triggers

HOST = Capabilities()


def check(given_report: Report, **more: object) -> Check:
    return render_check(given_report, HOST, key="k", **more)  # type: ignore[arg-type]  # keyword arguments of render_check


def incomplete(*gaps: Gap, conclusion: Conclusion, said: str) -> Report:
    return Report(Verdict(conclusion, coverage=coverage(*gaps), incomplete=said))


DELETED = Report(Verdict(Conclusion.SUCCESS, coverage=Coverage(runs=RUNS, files_changed=2)))


@pytest.mark.parametrize(
    ("given_report", "title"),
    [
        (typical(), "1 blocks: Request data becomes SQL at app/db.py:41"),
        (report(judged(weakness())), "1 blocks: Request data becomes SQL at app/db.py:41"),
        (report(judged(weakness()), judged(weakness(line=50, what="2"))), "2 block: Request data becomes SQL at app/db.py:41 (+1)"),
        (report(judged(leak(), Standing.WARNS)), "1 warns: AWS access key …7Q2M at config/prod.py:7"),
        (report(), "No new findings: 12 files, 3 commits, 2 engines"),
        (report(whole=True), "No findings: 12 files, 3 commits, 2 engines"),
        (report(judged(weakness(), Standing.COUNTED)), "1 below the policy's mark: 12 files, 3 commits, 2 engines"),
        (
            incomplete(TIMED_OUT, conclusion=Conclusion.FAILURE, said="app/big.py: semgrep timed out"),
            "Could not check app/big.py: semgrep timed out",
        ),
        (
            incomplete(NOT_INSTALLED, conclusion=Conclusion.ACTION_REQUIRED, said=": semgrep is not installed here"),
            "Could not check: semgrep is not installed here",
        ),
        (DELETED, "Nothing to scan: 2 deleted files"),
        (
            Report(
                Verdict(
                    Conclusion.SUCCESS,
                    coverage=Coverage(RUNS, (Gap("semgrep", "a.png", "binary", GapClass.NOT_APPLICABLE),), files_changed=2),
                )
            ),
            "Nothing to scan: 1 file (binary), 1 deleted file",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_title_says_the_most_important_thing(given_report: Report, title: str) -> None:
    assert check(given_report).title == title


def test_a_blocking_finding_leads_the_title_and_incompleteness_is_in_the_summary() -> None:
    made = check(report(judged(weakness()), ledger=coverage(TIMED_OUT), incomplete="app/big.py: semgrep timed out after 60 s"))
    assert made.title.startswith("1 blocks: ")
    assert "**Not checked:** `app/big.py`" in made.summary


def above_the_fold(markdown: str) -> list[str]:
    page = markdown.split("<details>")[0]
    return [line for line in page.split("\n") if line.strip() and not line.startswith("|---")]


@given(st.integers(0, 30), st.integers(0, 4), st.booleans())
@settings(max_examples=30)
def test_at_most_eight_lines_stand_above_the_fold(count: int, notes: int, broken: bool) -> None:
    full = replace(many(count), fixes={})
    ledger = coverage(*(replace(TIMED_OUT, path=f"{n}.py") for n in range(9))) if broken else coverage()
    verdict = replace(full.verdict, notes=("A note.",) * notes, older=4, coverage=ledger, incomplete="0.py: timed out" if broken else "")
    made = check(replace(full, verdict=verdict))
    assert len(above_the_fold(made.summary)) <= 8
    rows = [line for line in (made.summary + "\n" + made.text).split("\n") if line.startswith(("| blocks", "| warns"))]
    assert len(rows) == count


def test_gaps_stand_above_the_fold_and_completeness_below() -> None:
    page, fold = check(typical()).summary.split("<details>")
    assert "**Not checked:** `static/app.min.js` (larger than 1 MB; semgrep)" in page
    assert "Fixed here: 3. Older in these files, not shown: 14." in page
    assert "1.168.0" not in page
    assert "Checked: 11 of 12 files, 3 of 3 commits, in 4.1 s" in fold
    assert "5f0c9a1b2d3e" in fold
    assert "no rule for this kind of file" in fold


def test_the_policy_is_named_only_when_it_blocks() -> None:
    assert "Blocked by the policy `.github/fixwright.yml` at `9d1f0aa`." in check(typical()).summary
    assert "Blocked by" not in check(report(judged(leak(), Standing.WARNS))).summary
    assert "Blocked by the default policy." in check(report(judged(weakness()), policy_source="defaults")).summary


def test_what_only_the_operator_can_mend_says_how() -> None:
    made = check(incomplete(NOT_INSTALLED, conclusion=Conclusion.ACTION_REQUIRED, said=": semgrep is not installed here"))
    assert "`fixwright doctor`" in made.summary
    assert "fixwright doctor" not in check(typical()).summary


def test_a_finding_with_a_thread_has_a_row_and_no_annotation() -> None:
    sql, secret = weakness(), leak()
    made = check(report(judged(sql), judged(secret, Standing.WARNS)), threaded=frozenset({sql.fingerprint}))
    assert [a.path for a in made.annotations] == ["config/prod.py"]
    assert "`app/db.py:41`" in made.summary
    assert "in the thread" in made.summary


def test_a_copy_of_a_finding_that_has_a_thread_is_not_without_a_word() -> None:
    first, copy, alone = weakness(), weakness("app/copy.py"), weakness("view.py", what="2")
    assert first.fingerprint == copy.fingerprint != alone.fingerprint
    threaded = frozenset({first.fingerprint, alone.fingerprint})
    made = check(report(judged(first), judged(copy), judged(alone)), threaded=threaded)
    assert [a.path for a in made.annotations] == ["app/db.py", "app/copy.py"], "the thread may stand at either"
    same_line = check(report(judged(first), judged(first)), threaded=threaded)
    assert same_line.annotations == ()


def test_annotations_stand_only_where_a_line_is() -> None:
    gone = judged(leak(commit=ADDED_IN), in_diff=False)
    bytes_path = judged(weakness("caf\udce9.py", what="2"))
    counted = judged(weakness(what="3"), Standing.COUNTED)
    fixed = judged(weakness(what="4"), Standing.COUNTED, baseline=BaselineState.FIXED)
    outside = judged(weakness("view.py", what="5"), in_diff=False)
    made = check(report(gone, bytes_path, counted, fixed, outside))
    assert [a.path for a in made.annotations] == ["view.py"]
    assert "added in `3fa1c2e`" in made.summary
    assert "caf\\xe9.py" in made.summary


def test_levels_follow_the_verdict() -> None:
    made = check(report(judged(weakness()), judged(leak(), Standing.WARNS)))
    assert [a.level for a in made.annotations] == ["failure", "warning"]


def test_a_secret_is_shown_by_kind_and_four_characters_only() -> None:
    made = check(report(judged(leak(value="keyed-hash-of-the-value"), Standing.BLOCKS)))
    everything = repr(made)
    assert "AWS access key …7Q2M" in made.summary
    assert "revoke it first" in made.summary
    assert "keyed-hash-of-the-value" not in everything


def test_five_hundred_findings_fit() -> None:
    made = check(many(500))
    assert size(made.summary) <= HOST.max_body
    assert size(made.text) <= HOST.max_body
    assert len(made.annotations) == 500
    rows = [line for line in (made.summary + "\n" + made.text).split("\n") if line.startswith(("| blocks", "| warns"))]
    assert len(rows) == 500


def test_rows_that_do_not_fit_are_counted() -> None:
    made = render_check(many(500), Capabilities(max_body=10_000), key="k")
    text = made.text
    assert size(text) <= 10_000
    kept = sum(line.startswith(("| blocks", "| warns")) for line in text.split("\n"))
    left_out = int(text.split(" rows left out")[0].split("\n")[-1])
    heading = int(text.removeprefix("**").split(" ")[0])
    assert kept + left_out == heading
    assert "`fixwright scan . --base 9d1f0aa` lists all." in text


@given(TEXTS, st.integers(600, 70_000))
@settings(max_examples=150)
def test_hostile_texts_stay_inside_their_place_and_inside_the_limits(text: str, limit: int) -> None:
    host = Capabilities(max_body=limit, max_title=120)
    made = render_check(hostile_report(text), host, key="k", details_url=text)
    assert size(made.title) <= 120
    assert made.title.isprintable()
    for body in (made.summary, made.text):
        assert size(body) <= limit
        assert "<!--" not in body
        assert set(seen(body).tags) <= {
            "p",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "code",
            "strong",
            "details",
            "summary",
            "ul",
            "li",
        }
        assert triggers(body) == []
    for annotation in made.annotations:
        assert size(annotation.title) <= 255
        assert annotation.title.isprintable()
        assert annotation.message.isprintable()
        assert size(annotation.message) <= 64_000


@given(st.integers(0, 300), st.integers(1_000, 20_000))
@settings(max_examples=40)
def test_sizes_are_within_limits_in_bytes(count: int, limit: int) -> None:
    wide = replace(weakness("src/中文/" + "ж" * 90 + ".py"), detail="é" * 500)
    full = report(*(judged(wide) for _ in range(count)))
    made = render_check(full, Capabilities(max_body=limit), key="k")
    assert size(made.summary) <= limit
    assert size(made.text) <= limit
    assert made.summary


def test_buttons_are_cut_to_what_the_host_allows() -> None:
    actions = tuple(CheckAction("Scan everything again now", "d" * 50, "i" * 30) for _ in range(5))
    made = render_check(report(), Capabilities(buttons=2), key="k", actions=actions)
    assert [(len(a.label), len(a.description), len(a.identifier)) for a in made.actions] == [(20, 40, 20)] * 2


def test_a_running_check_has_no_conclusion() -> None:
    made = render_progress(key="k", commits=3, files=1)
    assert (made.title, made.conclusion) == ("Scanning 1 file, 3 commits", None)
    assert made.summary


def test_a_superseded_check_says_by_what_and_is_not_green() -> None:
    made = render_withdrawn("Superseded by 7bc90d1", key="k")
    assert (made.title, made.conclusion) == ("Superseded by 7bc90d1", Conclusion.CANCELLED)


def test_a_failed_review_asks_for_action_and_escapes_why() -> None:
    made = render_failed("the store is full @octocat <b>.", key="k", hint="Free some space, then run `fixwright doctor`.")
    assert made.conclusion is Conclusion.ACTION_REQUIRED
    assert made.title == "Could not check: the store is full @octocat <b>"
    assert triggers(made.summary) == []
    assert "`fixwright doctor`" in made.summary
