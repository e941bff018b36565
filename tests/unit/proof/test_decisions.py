"""From facts to a word: each check of the gate, and what it makes of its numbers."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.fix import ExploitRun, ExploitTest, FileEdit, Patch, Proof, ProofCheck, ProofWord
from pipeline.model.fix import TestRun as Ran
from pipeline.triage import proof
from pipeline.triage.baseline import compare
from pipeline.triage.proof import (
    Broken,
    Watched,
    check_broken,
    check_covered,
    check_gone,
    check_new,
    check_put_back,
    check_residue,
    check_tests,
    decide_proof,
    mapped_line,
)

RULE = Rule("python.sql-injection", "title", "message", Severity.HIGH, Confidence.HIGH, 89)
OTHER = dataclasses.replace(RULE, id="python.unsafe-yaml")
PATCH = Patch((FileEdit("a.py", b"1\n2\n3\n", b"1\nx\ny\n3\n"),))


def finding(fingerprint: str = "one", line: int = 2, rule: Rule = RULE, path: str = "a.py", secret: bool = False) -> Finding:
    return Finding(rule, Location(path, line, line), fingerprint, "semgrep", secret=Secret("key", "") if secret else None)


def gone(before: list[Finding], after: list[Finding]) -> ProofCheck:
    return check_gone(finding(), compare(before, after, covered=lambda _: True), before, after, PATCH)


def new(before: list[Finding], after: list[Finding]) -> ProofCheck:
    return check_new(finding(), compare(before, after, covered=lambda _: True), before, after, PATCH)


def run(passed: int = 0, failed: tuple[str, ...] = (), said: str = "") -> Ran:
    return Ran("tests", tuple(f"t{n}" for n in range(passed)), failed, 0, 1.0, said)


def test_a_finding_that_is_gone_is_gone_with_its_numbers() -> None:
    check = gone([finding(), finding("two", 9)], [finding("two", 10)])
    assert (check.passed, check.before, check.after) == (True, 2, 1)


@pytest.mark.parametrize(
    ("before", "after", "passed", "said"),
    [
        ([], [], None, "does not fire"),
        ([finding()], [finding()], False, "still fires"),
        ([finding()], [finding("changed")], False, "as often as before"),
        ([finding(), finding()], [finding(), finding()], False, "still fires"),
        ([finding(line=1), finding("b", 3)], [finding("c", 1)], True, ""),
    ],
)
def test_a_finding_that_is_not_gone_is_said_so(before: list[Finding], after: list[Finding], passed: bool | None, said: str) -> None:
    check = gone(before, after)
    assert check.passed is passed
    assert said in check.said


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        # the changed statement has two weaknesses; one is mended, the other one stays in other words
        ([finding("old", 2, OTHER)], [finding("same in other words", 3, OTHER)], True),
        ([finding("old", 2, OTHER)], [finding("a", 2, OTHER), finding("b", 3, OTHER)], False),
        ([finding("old", 1, OTHER)], [finding("elsewhere", 3, OTHER)], False),
        ([finding("old", 2, OTHER)], [finding("another file", 3, OTHER, "b.py")], False),
        ([], [finding("the mended rule itself", 3)], False),
        ([finding("old", 2, secret=True)], [finding("another value", 3, secret=True)], False),
    ],
)
def test_another_rule_that_fired_on_the_changed_statement_may_fire_there_still(
    before: list[Finding], after: list[Finding], passed: bool
) -> None:
    assert new([finding(), *before], after).passed is passed


def test_one_twin_mended_at_another_place_does_not_mend_this_one() -> None:
    twin = dataclasses.replace(finding(), location=Location("a.py", 1, 1))
    later = dataclasses.replace(finding(), location=Location("a.py", 3, 3))
    after = [dataclasses.replace(finding(), location=Location("a.py", 1, 1))]
    check = check_gone(twin, compare([twin, later], after, covered=lambda _: True), [twin, later], after, PATCH)
    assert check.passed is False
    assert "still fires at line 1" in check.said


@pytest.mark.parametrize(("line", "now"), [(1, 1), (2, 0), (3, 4)])
def test_a_line_is_followed_through_the_patch(line: int, now: int) -> None:
    assert mapped_line(PATCH, Location("a.py", line, line)) == now


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        ([2], [], True),
        ([2, 9], [9], True),
        ([], [], True),
        ([2], [1], False),
        ([2, 9], [2], False),
        ([2], [3], False),
        ([], [9], True),
    ],
)
def test_residues_must_fall_and_none_may_stand_on_an_added_line(before: list[int], after: list[int], passed: bool) -> None:
    places = [[Location("a.py", line, line) for line in lines] for lines in (before, after)]
    assert check_residue(places[0], places[1], PATCH, finding()).passed is passed


def test_anything_new_from_any_engine_is_refused() -> None:
    assert new([finding(), finding("x", 8, OTHER)], [finding("x", 9, OTHER)]).passed is True
    assert new([finding()], [finding("x", 3, OTHER)]).passed is False
    assert new([finding()], [finding("x", 3, OTHER, "b.py")]).passed is False


def test_another_weakness_of_a_line_that_the_fix_rewrites_is_not_new() -> None:
    assert new([finding(), finding("y", 2, OTHER)], [finding("z", 3, OTHER)]).passed is True
    assert new([finding(), finding("y", 2, OTHER)], [finding("z", 2, OTHER), finding("w", 3, OTHER)]).passed is False
    assert new([finding(), finding("y", 1, OTHER)], [finding("z", 3, OTHER)]).passed is False
    assert new([finding(), finding("y", 2, OTHER)], [finding("z", 4, OTHER)]).passed is False


def test_a_secret_on_an_added_line_is_refused_also_when_it_looks_like_an_old_one() -> None:
    old = finding("s", 1, OTHER, secret=True)
    check = new([finding(), old], [old, finding("s", 2, OTHER, secret=True)])
    assert check.passed is False


@pytest.mark.parametrize(
    ("before", "after", "flaky", "passed", "said"),
    [
        (run(3), run(3), frozenset(), True, "3 tests passed before, 3 after"),
        (run(3), run(4), frozenset(), True, "3 tests passed before, 4 after"),
        (run(3, ("old",)), run(3, ("old",)), frozenset(), True, "1 failed before, 1 fail after"),
        (run(3), run(2, ("t2",)), frozenset(), False, "1 test that passed fails now: t2"),
        (run(3), run(2), frozenset(), False, "gone or fail"),
        (run(3), run(2, ("t2",)), frozenset({"t2"}), True, ""),
        (run(said="no python3"), run(), frozenset(), None, "no python3"),
        (run(0, ("t",)), run(0, ("t",)), frozenset(), None, "no test passes here even without the patch"),
        (run(3), run(said="the tests did not end"), frozenset(), False, "no longer run"),
    ],
)
def test_no_test_that_passed_may_fail(before: Ran, after: Ran, flaky: frozenset[str], passed: bool | None, said: str) -> None:
    check = check_tests(before, after, flaky)
    assert check.passed is passed
    assert said in check.said


@pytest.mark.parametrize(
    ("runs", "passed", "said"),
    [
        ([run(1, ("t1", "t2"))], True, "2 tests run the changed line, 2 of 2 fail when it is broken"),
        ([run(2), run(1)], True, "2 tests run the 2 changed statements"),
        ([run(3)], None, "no test fails when a.py:1 is broken"),
        ([run(1), run(3)], None, "no test fails when a.py:2 is broken"),
        ([], None, "no changed line can be executed"),
        ([run(said="the tests did not end within 15 s")], None, "did not end"),
        ([run(0, ("<tests>",))], True, "3 tests run"),
    ],
)
def test_every_changed_statement_needs_a_test_that_notices(runs: list[Ran], passed: bool | None, said: str) -> None:
    check = check_broken(run(3), [Broken("a.py", number + 1, one) for number, one in enumerate(runs)])
    assert check.passed is passed
    assert said in check.said


def test_a_flaky_test_is_no_guard() -> None:
    assert check_broken(run(3), [Broken("a.py", 1, run(2))], frozenset({"t2"})).passed is None


ALL = dict.fromkeys(proof.ORDER, True)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, ProofWord.VERIFIED),
        ({proof.TESTS: None}, ProofWord.RESCANNED),
        ({proof.COVERED: None}, ProofWord.RESCANNED),
        ({proof.BROKEN: None}, ProofWord.RESCANNED),
        ({proof.PUT_BACK: None}, ProofWord.VERIFIED),
        ({proof.TESTS: False}, ProofWord.REFUSED),
        ({proof.GONE: None}, ProofWord.UNCHECKED),
        ({proof.GONE: None, proof.PATHS: False}, ProofWord.REFUSED),
        *[({name: False}, ProofWord.REFUSED) for name in proof.ESSENTIAL],
        *[({name: None}, ProofWord.UNCHECKED) for name in proof.ESSENTIAL],
    ],
)
def test_the_word_is_never_better_than_the_worst_check(changed: dict[str, bool | None], word: ProofWord) -> None:
    checks = [ProofCheck(name, passed, "") for name, passed in {**ALL, **changed}.items()]
    assert decide_proof(checks, ("said",)).word is word


@pytest.mark.parametrize("name", sorted(proof.ESSENTIAL))
def test_a_check_that_was_not_made_is_no_pass(name: str) -> None:
    checks = [ProofCheck(other, True, "") for other in ALL if other != name]
    assert decide_proof(checks, ()).word is ProofWord.UNCHECKED


def test_what_is_not_proven_is_always_said() -> None:
    assert proof.not_proven(None, None, guarded=False) == ("the repository's tests did not run on it",)
    assert proof.not_proven(run(3), run(3), guarded=True) == ("no test sends hostile input here",)
    assert proof.not_proven(run(3), run(3), guarded=True, put_back=True) == ()
    assert "no test is known to run every changed line" in proof.not_proven(run(3), run(3), guarded=False)


HEALED = Ran("tests", ("attack", "t0", "t1"), (), 0, 1.0)
WEAK = run(2, ("attack",))


@pytest.mark.parametrize(
    ("again", "passed", "said"),
    [
        ([WEAK], True, "1 test fails with the old weakness, put back in 1 place"),
        ([WEAK, WEAK], True, "put back in 2 places"),
        ([WEAK, HEALED], None, "no test fails when a.py:2 is as it was before"),
        # half of a patch does not fit together: that the others fail is no witness
        ([Ran("tests", ("attack",), ("t0", "t1"), 1, 1.0)], None, "no test fails when a.py:1"),
        ([run(said="the tests did not end within 15 s")], None, "did not end"),
    ],
)
def test_only_a_test_that_the_patch_healed_guards_against_the_weakness(again: list[Ran], passed: bool | None, said: str) -> None:
    check = check_put_back(WEAK, HEALED, [Broken("a.py", number + 1, one) for number, one in enumerate(again)])
    assert check.passed is passed
    assert said in check.said


def test_without_a_healed_test_nobody_is_told_that_one_sends_hostile_input() -> None:
    assert check_put_back(run(3), run(3), ()).passed is None
    assert check_put_back(WEAK, HEALED, [Broken("a.py", 1, WEAK)], frozenset({"attack"})).passed is None


@pytest.mark.parametrize(
    ("offered", "who"), [(True, "the one that was made for this fix, tests/test_new.py, does"), (False, "was made for this fix does")]
)
def test_a_test_that_was_made_for_the_fix_is_named_as_the_one_that_fails_with_the_old_weakness(offered: bool, who: str) -> None:
    blind = check_put_back(run(3), run(3), ())
    alone = Proof(ProofWord.RESCANNED, (blind,), proof.not_proven(run(3), run(3), guarded=True))
    made = ExploitRun(ExploitTest("tests/test_new.py", b"", "an attack", "it got through"), "python3 -m unittest", run(0), run(1), offered)
    attacked = proof.with_exploit(alone, made, 2.0)
    assert attacked.checks[0].said == f"{proof.NONE_FAILS}; {'' if offered else 'the one that '}{who}"
    assert (attacked.checks[0].passed, attacked.not_proven) == (None, ())
    # What names of the repository stand in it is for the filter to say: where it may not be shown nothing tells of it.
    assert proof.without_exploit(attacked) == dataclasses.replace(alone, seconds=2.0)
    guarded = proof.with_exploit(dataclasses.replace(alone, checks=(ProofCheck(proof.PUT_BACK, True, "1 test fails"),)), made, 2.0)
    assert guarded.checks[0].said == "1 test fails"
    assert proof.without_exploit(guarded).not_proven == ()


@pytest.mark.parametrize(
    ("reached", "seen", "passed", "said"),
    [
        ([True], run(3), True, "1 of 1 changed statement is run by the tests"),
        ([True, True], run(3), True, "2 of 2 changed statements are run by the tests"),
        ([True, False], run(3), None, "no test runs a.py:2 (1 of 2 changed statements is run by the tests)"),
        ([False], run(2), None, "no test runs a.py:1 (0 of 1 changed statement are run by the tests), and 1 test fails for a mark in the"),
        ([False], run(said="the tests did not end within 15 s"), None, "whether a test runs a.py:1 is not known: the tests did not end"),
    ],
)
def test_how_many_changed_statements_are_run_is_counted(reached: list[bool], seen: Ran, passed: bool | None, said: str) -> None:
    check = check_covered([Watched("a.py", number + 1, one) for number, one in enumerate(reached)], run(3), seen)
    assert (check.passed, check.before, check.after) == (passed, len(reached), sum(reached))
    assert said in check.said


def test_tests_that_do_not_come_to_what_is_broken_say_nothing_of_it() -> None:
    check = check_broken(run(3), [Broken("a.py", 1, run(2), reached=False)])
    assert (check.passed, check.said) == (None, "with a.py:1 broken on purpose the tests end before they run it")


def test_a_test_that_passes_when_it_is_asked_again_is_no_guard() -> None:
    assert check_broken(run(3), [Broken("a.py", 1, run(2), again=run(3))]).passed is None
    assert check_broken(run(3), [Broken("a.py", 1, run(2), again=run(2))]).passed
