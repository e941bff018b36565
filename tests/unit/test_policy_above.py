"""Owners' policies above each other: each file counts by itself, and a broken one takes nothing from the others."""

from __future__ import annotations

import pytest

from pipeline.policy import Above, PolicyDocument, merge, parse_document, read_above

TOP, NEAR = "acme/fixwright: fixwright.yml", "acme/web/fixwright: fixwright.yml"
BROKEN = b"gate:\n  blok: low\n"
MISTAKE = f"{NEAR}:2: gate.blok: there is no such key"
NOTHING: dict[str, bytes] = {}
LAX = parse_document(b"gate: {block: never}\non_incomplete: warn\npaths: {exclude: [docs/]}\n", "own.yml")


def above(top: bytes, near: bytes, good: dict[str, bytes] | None = None) -> Above:
    return read_above([(NEAR, near), (TOP, top)], (good or NOTHING).get)


def floor(found: Above) -> PolicyDocument:
    assert found.document is not None
    return found.document


def test_without_a_file_there_is_no_floor() -> None:
    assert read_above([], NOTHING.get) == Above()


def test_what_can_be_used_is_in_force_file_by_file() -> None:
    found = above(b"gate: {block: medium}\n", b"waivers: {days: 10}\n")
    policy = floor(found).policy
    assert (policy.gate.block, policy.waivers.days, found.mistakes, found.notes) == ("medium", 10, (), ())
    assert found.used == {TOP: b"gate: {block: medium}\n", NEAR: b"waivers: {days: 10}\n"}


def test_below_a_broken_file_of_which_nothing_good_is_known_the_one_above_stays_the_floor() -> None:
    found = above(b"gate: {block: medium}\non_incomplete: warn\nallow: [on_incomplete, paths.exclude]\n", BROKEN)
    merged = merge(LAX, found.document)
    assert found.mistakes == (MISTAKE,)
    assert (merged.policy.gate.block, merged.policy.on_incomplete) == ("medium", "fail")
    assert merged.policy.paths.exclude == ("docs/",), "the file above allows it, and no other says anything of it"
    assert merged.origin("on_incomplete") == f"{NEAR} (cannot be used)"
    assert merged.source == f"own.yml, under {NEAR} (cannot be used), under {TOP}"
    assert NEAR not in found.used


def test_the_last_good_version_of_one_file_stands_under_the_one_above_as_that_is_now() -> None:
    good = {NEAR: b"gate: {block: high}\nwaivers: {days: 10}\n", TOP: b"gate: {block: never}\n"}
    found = above(b"gate: {block: low}\n", BROKEN, good)
    policy = floor(found).policy
    assert (policy.gate.block, policy.waivers.days) == ("low", 10)
    assert found.mistakes == ()
    assert f"{MISTAKE}. The owner's policy cannot be used; its last good version is in force." in found.notes
    assert found.used == {TOP: b"gate: {block: low}\n", NEAR: good[NEAR]}


def test_below_a_broken_file_at_the_top_the_defaults_are_the_floor_and_the_nearer_one_tightens_them() -> None:
    found = above(BROKEN, b"gate: {block: low}\non_incomplete: warn\nallow: [paths.exclude, on_incomplete]\n")
    merged = merge(LAX, found.document)
    assert found.mistakes == (f"{TOP}:2: gate.blok: there is no such key",)
    assert (merged.policy.gate.block, merged.policy.on_incomplete, merged.policy.paths.exclude) == ("low", "fail", ())


@pytest.mark.parametrize("good", [{}, {TOP: BROKEN}])
def test_where_no_version_of_any_file_can_be_used_a_repository_loosens_nothing(good: dict[str, bytes]) -> None:
    found = read_above([(TOP, BROKEN)], good.get)
    merged = merge(LAX, found.document)
    assert (merged.policy.gate.block, merged.policy.on_incomplete) == ("high", "fail")
    assert len(found.mistakes) == 1
    assert found.used == {}


def test_a_file_that_is_no_text_names_no_line() -> None:
    assert read_above([(TOP, b"\xff")], NOTHING.get).mistakes == (f"{TOP}: the policy is not UTF-8 text",)
