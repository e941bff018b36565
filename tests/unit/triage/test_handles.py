"""Handles: short, unmistakable, and the same on every push."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.ids import Handle
from pipeline.triage.handles import ALPHABET, LETTERS, assign, candidates, parse_handle
from tests.build_reports import mark

PRINTS = st.lists(st.integers(0, 10**6).map(lambda n: mark(str(n))), max_size=30)


@given(PRINTS, st.randoms(use_true_random=False))
def test_handles_do_not_depend_on_the_order_and_nobody_shares_one(prints: list[str], shuffle: random.Random) -> None:
    given_first = assign(prints, {})
    shuffle.shuffle(prints)
    assert assign(prints, {}) == given_first
    assert len(set(given_first.values())) == len(set(prints))
    assert all(parse_handle(handle) == handle for handle in given_first.values())


@given(PRINTS, PRINTS)
def test_a_handle_that_was_given_once_is_kept_for_ever(first: list[str], second: list[str]) -> None:
    stored = assign(first, {})
    later = assign([*second, *first], {handle: owner for owner, handle in stored.items()})
    assert {owner: later[owner] for owner in stored} == stored
    assert len(set(later.values())) == len(later)


def test_a_taken_handle_gets_one_character_more() -> None:
    wanted = mark("w")
    short, longer = list(candidates(wanted))[:2]
    assert len(short) == 3
    assert longer.startswith(short)
    assert assign([wanted], {short: mark("someone else")}) == {wanted: longer}


def test_ten_thousand_findings_of_one_repository_all_get_a_short_handle() -> None:
    handles = assign([mark(str(n)) for n in range(10_000)], {})
    assert len(set(handles.values())) == 10_000
    assert max(map(len, handles.values())) <= 6


def test_no_character_looks_like_another_and_no_handle_looks_like_a_number() -> None:
    assert not set(ALPHABET) & set("01BILOSZAEU")
    assert not any(letter.isdigit() for letter in LETTERS)


def test_what_people_type_is_understood() -> None:
    assert parse_handle(" k7q ") == Handle("K7Q")
    assert parse_handle("`K7Q`") == Handle("K7Q")
    for wrong in ("", "K7", "7KQ", "K7Q!", "app/db.py:41", "K" * 30, "KOQ"):
        assert parse_handle(wrong) is None
