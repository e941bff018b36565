"""Hostile text shows exactly its characters and means nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.escaping import (
    MARKER,
    can_be_suggested,
    code,
    columns,
    cut,
    cut_columns,
    escape,
    fenced,
    link,
    prose,
    sentence,
    size,
    visible,
)
from tests.unit.reports.hostile import SHARP, TEXTS, rendered, seen, shown, triggers


def collapsed(text: str) -> str:
    return " ".join(text.split())


@given(TEXTS)
def test_visible_text_has_nothing_hidden_and_can_be_encoded(text: str) -> None:
    out = visible(text)
    out.encode("utf-8")
    assert not [c for c in out if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert visible(out) == out


def test_what_cannot_be_seen_is_spelled_out() -> None:
    assert visible("a\x1b[31mb\u202ec\udcffd\ne\U000e0041") == "a\\x1b[31mb\\u202ec\\xffd e\\U000e0041"
    assert visible("caf\u00e9 \u4e2d\u6587") == "caf\u00e9 \u4e2d\u6587"


@given(TEXTS)
@example("".join(SHARP))
def test_escaped_text_is_one_plain_paragraph(text: str) -> None:
    markdown = escape(text)
    assert "\n" not in markdown
    assert set(seen(markdown).tags) <= {"p"}
    assert collapsed(shown(markdown)) == collapsed(visible(text).replace("\u200b", ""))


@given(TEXTS)
@example("".join(SHARP))
def test_escaped_text_triggers_nothing_on_a_host(text: str) -> None:
    assert triggers(escape(text)) == []


@given(TEXTS, TEXTS, TEXTS)
def test_no_text_breaks_a_table_row(one: str, two: str, three: str) -> None:
    html = rendered(f"| a | b | c |\n|---|---|---|\n| {escape(one)} | {code(two)} | {prose(three)} |\n")
    assert html.count("<tr>") == 2
    assert html.count("<td>") == 3
    assert html.count("<table>") == 1
    assert not set(seen(html).tags) - {"table", "thead", "tbody", "tr", "th", "td", "code"}


@given(TEXTS)
@example("a\\|b")
@example("`|`")
@example("<!-- fixwright")
def test_a_code_span_is_one_span_with_exactly_its_text(text: str) -> None:
    markdown = f"x {code(text)} y"
    assert [tag for tag in seen(markdown).tags if tag != "p"] == ["code"]
    inner = shown(markdown).removeprefix("x ").removesuffix(" y")
    assert collapsed(inner) == collapsed(visible(text))
    assert triggers(markdown) == []


@given(TEXTS)
def test_our_own_markers_cannot_be_forged(text: str) -> None:
    for made in (escape(text), code(text), prose(text)):
        assert "<!--" not in made
    assert not can_be_suggested(f"{text}{MARKER}".upper())


@given(TEXTS)
def test_prose_keeps_code_and_escapes_the_rest(text: str) -> None:
    assert triggers(prose(text)) == []
    assert set(seen(prose(text)).tags) <= {"p", "code"}


@given(TEXTS)
@example("7")
def test_a_sentence_is_one_paragraph_and_ends_with_one_stop(text: str) -> None:
    assert set(seen(sentence(text)).tags) <= {"p", "code"}
    assert shown(sentence("a.")) == "a."


def test_prose_reads_as_it_was_written() -> None:
    assert prose("Anyone who can send `username` can run SQL here.") == "Anyone who can send `username` can run SQL here."
    assert prose("a `b") == "a &#96;b"


@given(TEXTS.map(lambda text: visible(text)), st.sampled_from(["", "suggestion"]))
def test_a_fence_cannot_be_closed_from_inside(text: str, info: str) -> None:
    markdown = fenced(text + "\n```\n````suggestion\n" + text, info) + "\n\nafter"
    tags = seen(markdown).tags
    assert tags == ["pre", "code", "p"]


@given(TEXTS, st.integers(0, 60))
def test_cutting_keeps_bytes_and_characters(text: str, limit: int) -> None:
    out = cut(visible(text), limit)
    assert size(out) <= limit
    assert columns(cut_columns(visible(text), max(3, limit))) <= max(3, limit)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "", "https://", "http://x/\u202e", "//x/y", "https://[", "https://x/a\nb", "data:text/html,x"]
)
def test_only_real_addresses_become_links(url: str) -> None:
    assert link("Check", url) == "Check"


def test_an_address_cannot_end_its_link() -> None:
    html = rendered(link("Check", "https://host.example/a)b <x>?q=(1)#c"))
    assert html.count("<a ") == 1
    assert html.endswith(">Check</a></p>\n")
