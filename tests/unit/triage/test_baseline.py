"""What is new, what is gone, and what nobody looked at again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import Finding
from pipeline.triage.baseline import Compared, compare
from tests.build_reports import leak, weakness


def everywhere(_: Finding) -> bool:
    return True


def lines(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return [(f.location.path, f.location.line) for f in findings]


def at(path: str, line: int, what: str = "w") -> Finding:
    return weakness(path, line, what=what)


def test_a_finding_that_moved_within_its_file_is_not_new() -> None:
    result = compare([at("a.py", 10)], [at("a.py", 90)], covered=everywhere)
    assert (result.new, result.fixed) == ((), ())
    assert lines(result.unchanged) == [("a.py", 90)]


def test_a_finding_whose_file_was_renamed_is_not_new() -> None:
    result = compare([at("a.py", 10)], [at("b/a.py", 10)], covered=everywhere)
    assert (result.new, result.fixed) == ((), ())


def test_of_three_copies_where_two_were_known_exactly_one_is_new_and_it_is_the_far_one() -> None:
    result = compare([at("a.py", 10), at("a.py", 50)], [at("a.py", 15), at("a.py", 35), at("a.py", 55)], covered=everywhere)
    assert lines(result.new) == [("a.py", 35)]
    assert lines(result.unchanged) == [("a.py", 15), ("a.py", 55)]
    assert result.fixed == ()


def test_a_copy_in_another_file_is_new_while_the_original_stays() -> None:
    result = compare([at("a.py", 10)], [at("a.py", 11), at("b.py", 10)], covered=everywhere)
    assert lines(result.new) == [("b.py", 10)]


def test_a_renamed_file_is_matched_before_code_that_moved_into_a_known_file() -> None:
    kept = at("z.py", 1, "other")
    result = compare([at("old/m.py", 10), kept], [at("new/m.py", 10), at("z.py", 30), kept], covered=everywhere)
    assert lines(result.new) == [("z.py", 30)]


def test_equal_file_names_decide_between_two_renames() -> None:
    base = [at("x/one.py", 5), at("x/two.py", 5)]
    head = [at("y/two.py", 5), at("y/one.py", 5), at("y/three.py", 5)]
    assert lines(compare(base, head, covered=everywhere).new) == [("y/three.py", 5)]


def test_a_finding_that_is_gone_is_fixed_only_when_its_place_was_looked_at_again() -> None:
    looked, missed = at("a.py", 1), at("b.py", 1, "v")
    result = compare([looked, missed], [], covered=lambda f: f.location.path == "a.py")
    assert result.fixed == (looked,)
    assert result.not_reevaluated == (missed,)


def test_a_file_that_nobody_looked_at_cannot_make_a_new_copy_look_old() -> None:
    result = compare([at("a.py", 1)], [at("b.py", 1)], covered=lambda f: False)
    assert lines(result.new) == [("b.py", 1)]
    assert lines(result.not_reevaluated) == [("a.py", 1)]


def test_another_value_of_a_secret_on_the_same_line_is_new() -> None:
    result = compare([leak(value="old")], [leak(value="new")], covered=everywhere)
    assert len(result.new) == 1
    assert len(result.fixed) == 1


FINDINGS = st.lists(
    st.builds(
        at,
        st.sampled_from(["a.py", "b.py", "c/a.py", "c/d.py"]),
        st.integers(1, 60),
        st.sampled_from(["w", "v", "u"]),
    ),
    max_size=14,
)


@given(FINDINGS, st.integers(0, 50), st.randoms())
def test_moving_renaming_and_reordering_never_makes_anything_new(base: list[Finding], shift: int, random: object) -> None:
    renamed = {"a.py": "moved/a.py", "b.py": "b.py", "c/a.py": "x/y/a.py", "c/d.py": "a.py"}
    head = [
        replace(
            f, location=replace(f.location, path=renamed[f.location.path], line=f.location.line + shift, end_line=f.location.line + shift)
        )
        for f in base
    ]
    random.shuffle(head)  # type: ignore[attr-defined]  # hypothesis hands in a random.Random
    result = compare(base, head, covered=everywhere)
    assert (result.new, result.fixed, result.not_reevaluated) == ((), (), ())
    assert len(result.unchanged) == len(head)


def numbers(result: Compared) -> list[int]:
    return [len(part) for part in (result.new, result.unchanged, result.fixed, result.not_reevaluated)]


@given(FINDINGS, FINDINGS, st.sets(st.sampled_from(["a.py", "b.py", "c/a.py", "c/d.py"])), st.randoms())
def test_every_finding_ends_in_exactly_one_place_whatever_the_order(
    base: list[Finding], head: list[Finding], unseen: set[str], random: object
) -> None:
    def covered(finding: Finding) -> bool:
        return finding.location.path not in unseen

    result = compare(base, head, covered=covered)
    assert Counter([*result.new, *result.unchanged]) == Counter(head)
    assert len(result.unchanged) + len(result.fixed) + len(result.not_reevaluated) == len(base)
    assert all(covered(f) for f in result.fixed)
    assert not any(covered(f) for f in result.not_reevaluated)
    for shuffled in (base, head):
        random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands in a random.Random
    assert compare(base, head, covered=covered) == result


@given(FINDINGS, FINDINGS)
def test_the_number_of_new_findings_is_what_the_head_has_more_of(base: list[Finding], head: list[Finding]) -> None:
    result = compare(base, head, covered=everywhere)
    more = Counter(f.fingerprint for f in head) - Counter(f.fingerprint for f in base)
    less = Counter(f.fingerprint for f in base) - Counter(f.fingerprint for f in head)
    assert Counter(f.fingerprint for f in result.new) == more
    assert Counter(f.fingerprint for f in result.fixed) == less


def test_twenty_thousand_equal_findings_are_matched_in_seconds() -> None:
    base = [at("a.py", n * 3) for n in range(20_000)]
    head = [at("a.py", n * 3 + 1) for n in range(20_001)]
    started = time.process_time()
    result = compare(base, head, covered=everywhere)
    assert time.process_time() - started < 20
    assert numbers(result) == [1, 20_000, 0, 0]
