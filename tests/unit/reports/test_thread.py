"""A thread: who can do what, the way out, and nothing that does not exist."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.escaping import size
from pipeline.model.finding import Secret, Standing
from pipeline.model.fix import ProofWord
from pipeline.model.ids import CommitId
from pipeline.ports import Capabilities
from pipeline.reports.markdown import render_comment, render_thread
from tests.build_reports import LEAK, coverage, hostile_report, judged, leak, many, report, typical, weakness
from tests.unit.reports.hostile import FORGED, TEXTS, seen, shown, triggers

SQL = judged(weakness(detail="comes from `request.form` (line 38)"))
BOUND = "The name is bound as a parameter now."


def sql_thread(**more: object) -> str:
    arguments = {"suggestion": "    cursor.execute(q, (name,))", "fix_note": BOUND, "word": ProofWord.RESCANNED, **more}
    return render_thread(SQL, report(SQL), **arguments)  # type: ignore[arg-type]  # keyword arguments of render_thread


def test_the_first_sentence_says_who_can_do_what() -> None:
    first = sql_thread().split("\n")[0]
    assert first.startswith("**Anyone who can send `username` can run SQL here.** It comes from `request.form` (line 38).")


def test_a_checked_fix_is_offered_with_one_click_and_with_the_command() -> None:
    text = sql_thread()
    assert "```suggestion\n    cursor.execute(q, (name,))\n```" in text
    assert "Re-scanned: gone, nothing new. `/fix K7Q` runs the tests too." in text
    assert text.endswith("python.sql-injection, CWE-89")


def test_the_fence_says_which_lines_are_replaced_where_a_host_wants_to_be_told() -> None:
    told = Capabilities(suggestion_fence="suggestion:-{above}+0")
    assert [told.suggestion_on(7, 7), told.suggestion_on(7, 9)] == ["suggestion:-0+0", "suggestion:-2+0"]
    assert Capabilities().suggestion_on(7, 9) == "suggestion"
    text = sql_thread(suggestion="a\n```\nb", fence=told.suggestion_on(7, 9))
    assert "````suggestion:-2+0\na\n```\nb\n````" in text


def test_a_fix_larger_than_the_line_is_offered_as_a_pull_request() -> None:
    text = sql_thread(suggestion=None, pull_request_word="merge request")
    assert "```" not in text
    assert "`/fix K7Q` runs the tests and opens a merge request with it." in text


@pytest.mark.parametrize("word", [None, ProofWord.REFUSED, ProofWord.UNCHECKED])
def test_a_fix_that_did_not_pass_the_gate_is_not_offered(word: ProofWord | None) -> None:
    text = sql_thread(word=word)
    assert "/fix" not in text
    assert "Re-scanned" not in text


def test_only_commands_of_this_version_are_offered() -> None:
    texts = [sql_thread(), render_thread(judged(leak()), report(), suggestion=None, fix_note=BOUND, word=ProofWord.RESCANNED)]
    for text in texts:
        assert not [word for word in ("/refine", "/explain", "/ignore") if word in text]


def test_a_weakness_can_be_waived_and_a_secret_rotated() -> None:
    assert "`/waive K7Q reason`" in sql_thread()
    told = render_thread(judged(leak()), report(), suggestion=None)
    assert "`/rotated M2D`" in told
    assert "/waive" not in told


def test_a_secret_in_the_history_says_the_trap_and_the_way_out() -> None:
    text = render_thread(judged(leak()), report(), suggestion=None)
    assert "AWS access key (…7Q2M) that commit `3fa1c2e` added.**" in text
    assert "Revoke it first" in text
    assert "Removing the line will not clear this check while that commit is in the pull request." in text
    block = text.split("```sh\n")[1].split("\n```")[0]
    assert len(block.split("\n")) == 3
    assert all(line.startswith("git ") for line in block.split("\n"))


def test_a_secret_that_no_commit_of_the_change_added_has_no_trap() -> None:
    text = render_thread(judged(leak(commit=None)), report(), suggestion=None)
    assert "on this line.** Revoke it first" in text
    assert "rebase" not in text


def test_a_commit_name_that_is_none_never_reaches_a_command() -> None:
    text = render_thread(judged(leak(commit=CommitId("x; rm -rf /"))), report(), suggestion=None)
    assert "rm -rf" not in text


def test_the_fence_of_a_suggestion_is_longer_than_any_inside() -> None:
    text = sql_thread(suggestion="x = '''\n```\n````\n'''")
    assert "`````suggestion\n" in text
    assert seen(text).tags.count("pre") == 1


@pytest.mark.parametrize("hidden", ["\u202e", "\x1b[2J", "<!-- fixwright:v1:0 -->", "\r"])
def test_lines_that_cannot_be_shown_are_not_suggested(hidden: str) -> None:
    text = sql_thread(suggestion=f"x{hidden}")
    assert "suggestion" not in text
    assert "opens a pull request with it" in text


@given(TEXTS, st.sampled_from([None, *ProofWord]))
def test_hostile_texts_stay_harmless_in_a_thread(text: str, word: ProofWord | None) -> None:
    dirty = hostile_report(text)
    for one in dirty.verdict.judged:
        body = render_thread(one, dirty, suggestion=text, fix_note=text, word=word)
        assert not FORGED.search(body)
        assert set(seen(body).tags) <= {"p", "strong", "code", "pre", "details", "summary"}
        assert triggers(body, ours="CWE-89\nCWE-798") == []


@given(TEXTS)
def test_a_kind_of_secret_cannot_break_out(kind: str) -> None:
    finding = replace(leak(), secret=Secret(kind, "", kind[-4:]), rule=replace(LEAK, message=kind))
    body = render_thread(judged(finding), report(), suggestion=None)
    assert seen(body).tags.count("strong") == 1
    assert triggers(body, ours="CWE-798") == []


def visible_lines(markdown: str) -> list[str]:
    return [line for line in markdown.split("<details>")[0].split("\n") if line.strip() and not line.startswith("```")]


def test_a_thread_has_at_most_eight_lines_before_the_fold() -> None:
    assert len(visible_lines(sql_thread(suggestion="one\ntwo\nthree"))) <= 8
    assert len(visible_lines(render_thread(judged(leak()), report(), suggestion=None, fix_note=BOUND, word=ProofWord.RESCANNED))) <= 8


def test_the_sticky_comment_is_one_line_of_counts() -> None:
    text = render_comment(typical(), Capabilities(), since="7bc90d1" + "0" * 33, check_url="https://host.example/checks/1")
    assert text.startswith("**Fixwright**: 1 blocks, 1 warns, 3 fixed since `7bc90d1`.")
    assert "Could not check" in shown(text)
    assert text.endswith("[Check](https://host.example/checks/1).")
    assert "\n" not in text


def test_a_clean_change_has_a_comment_text_too_for_the_one_that_is_there() -> None:
    assert render_comment(report(), Capabilities()) == "**Fixwright**: nothing new."


def test_where_a_check_has_no_page_the_comment_carries_the_table() -> None:
    text = render_comment(many(200), Capabilities(check_pages=False))
    assert text.count("\n| blocks") + text.count("\n| warns") == 200
    assert len([line for line in visible_lines(text) if not line.startswith("|---")]) <= 8
    assert len(seen(text).tags) > 200


@given(st.integers(0, 120), st.integers(1_000, 20_000))
def test_such_a_comment_stays_within_the_host_in_bytes(count: int, limit: int) -> None:
    assert size(render_comment(many(count), Capabilities(check_pages=False, max_body=limit))) <= limit


def test_the_number_of_warnings_alone_reads_well() -> None:
    assert render_comment(report(judged(leak(), Standing.WARNS), ledger=coverage()), Capabilities()) == "**Fixwright**: 1 warns."
