"""How a rule is heard: never because of luck, and quiet soon when people let its findings stand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rulebook import load, measured
from pipeline.triage.precision import ENOUGH, FOR_SURE, Outcomes, Voice, bounds, standings, voice_of

NOTHING = Outcomes()


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (5, 10, 0.237, 0.763), (81, 263, 0.255, 0.366)],
)
def test_bounds_are_wilsons(right: int, of: int, low: float, high: float) -> None:
    # The last one is Newcombe's example (Statistics in Medicine 17, 1998, table I, method 3).
    assert bounds(right, of) == pytest.approx((low, high), abs=6e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_share_lies_between_its_bounds(right: int, wrong: int) -> None:
    low, high = bounds(right, right + wrong)
    share = right / (right + wrong) if right + wrong else 0.5
    assert 0.0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0
    wider = bounds(right, right + wrong, FOR_SURE)
    assert wider[0] <= low + 1e-9
    assert high <= wider[1] + 1e-9


def test_a_rule_of_which_nothing_is_known_speaks_beside_a_fix_alone() -> None:
    assert voice_of(NOTHING, NOTHING) is Voice.WITH_A_FIX


def test_a_rule_speaks_when_enough_was_decided_and_nine_of_ten_were_right() -> None:
    assert voice_of(Outcomes(fixed=ENOUGH - 1), NOTHING) is Voice.WITH_A_FIX
    assert voice_of(Outcomes(fixed=ENOUGH), NOTHING) is Voice.SPEAKS
    assert voice_of(Outcomes(fixed=ENOUGH // 2), Outcomes(fixed=ENOUGH // 2)) is Voice.SPEAKS
    assert voice_of(Outcomes(fixed=18, wrong=2), NOTHING) is Voice.SPEAKS
    assert voice_of(Outcomes(fixed=17, wrong=3), NOTHING) is Voice.WITH_A_FIX
    assert voice_of(Outcomes(fixed=17), Outcomes(let_stand=3, fixed=5)) is Voice.WITH_A_FIX


def test_what_was_measured_elsewhere_does_not_outvote_the_people_here() -> None:
    assert voice_of(Outcomes(fixed=1000), Outcomes(let_stand=20)) is Voice.QUIET
    assert voice_of(Outcomes(fixed=1000), Outcomes(wrong=20)) is Voice.QUIET


def test_waivers_that_ended_by_themselves_say_nothing() -> None:
    assert voice_of(NOTHING, Outcomes(expired=100)) is Voice.WITH_A_FIX


def test_a_rule_that_is_only_watched_is_never_heard() -> None:
    assert voice_of(Outcomes(fixed=1000), Outcomes(fixed=1000), shadow=True) is Voice.SHADOW


def quiet_after(chance: random.Random, share: float, events: int) -> int | None:
    """After how many answers a rule went quiet of whose findings this share is right; None: never."""
    here = NOTHING
    for number in range(1, events + 1):
        here += Outcomes(fixed=1) if chance.random() < share else Outcomes(let_stand=1)
        if voice_of(NOTHING, here) is Voice.QUIET:
            return number
    return None


def test_a_rule_that_is_wrong_four_times_of_five_is_quiet_soon_and_a_good_one_never() -> None:
    chance = random.Random(8)
    bad = [quiet_after(chance, 0.2, 100) for _ in range(200)]
    assert None not in bad
    assert sorted(number for number in bad if number is not None)[190] <= 12
    good = [quiet_after(chance, 0.95, 500) for _ in range(200)]
    assert good == [None] * 200
    # At the bar itself it is a matter of chance, and looked at 100 times each: one in twenty at most.
    fair = [quiet_after(chance, 0.9, 100) for _ in range(200)]
    assert sum(number is not None for number in fair) <= 10


def test_what_is_shipped_names_rules_that_there_are() -> None:
    assert set(measured()) <= set(load().rules)
    assert all(one.right >= 0 and one.wrong >= 0 and one.right + one.wrong for one in measured().values())


def test_rules_of_other_versions_stay_in_the_list() -> None:
    rules = load().rules
    found = standings(rules, measured(), {"python.of-old": Outcomes(fixed=1)})
    assert [one.id for one in found] == sorted({*rules, "python.of-old"})
    (old,) = [one for one in found if one.id == "python.of-old"]
    assert (old.rule, old.known) == (None, Outcomes(fixed=1))
    assert {one.voice for one in found if one.rule is not None and one.rule.shadow} <= {Voice.SHADOW}
