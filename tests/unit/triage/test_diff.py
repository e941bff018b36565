"""Where a thread can stand, and when a patch is one suggestion."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.finding import Location
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.diff import all_added, in_added, suggestion_of, thread_lines

ADDED = {"a.py": [(10, 12), (20, 20), (21, 23)]}


def test_a_finding_is_in_the_diff_when_its_first_line_was_added() -> None:
    assert in_added(Location("a.py", 12, 30), ADDED)
    assert not in_added(Location("a.py", 9, 12), ADDED)
    assert not in_added(Location("b.py", 10, 10), ADDED)


def test_a_thread_never_leaves_the_lines_that_were_added() -> None:
    assert thread_lines(Location("a.py", 11, 15), ADDED) == (11, 12)
    assert thread_lines(Location("a.py", 20, 22), ADDED) == (20, 22)
    assert thread_lines(Location("a.py", 13, 15), ADDED) is None


RANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=6)


@given(RANGES, st.integers(1, 30), st.integers(1, 30))
def test_ranges_mean_the_set_of_their_lines(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    members = {line for first, last in ranges for line in range(first, last + 1)}
    assert in_added(Location("a.py", start, start), {"a.py": ranges}) is (start in members)
    whole = start <= end and set(range(start, end + 1)) <= members
    assert all_added("a.py", start, end, {"a.py": ranges}) is whole


BEFORE = "import db\n\ndef find(name):\n    q = build(name)\n    return run(q)\n"


def patch(after: str, *, path: str = "a.py", before: str = BEFORE) -> Patch:
    return Patch((FileEdit(path, before.encode(), after.encode()),))


def apply(before: str, line: int, end_line: int, text: str) -> str:
    kept = before.split("\n")
    return "\n".join([*kept[: line - 1], *([text] if text else []), *kept[end_line:]])


def test_one_hunk_on_added_lines_is_a_suggestion() -> None:
    after = BEFORE.replace("    q = build(name)", "    q = SAFE\n    q.bind(name)")
    found = suggestion_of(patch(after), "a.py", [(3, 5)])
    assert found is not None
    assert (found.line, found.end_line, found.text) == (4, 4, "    q = SAFE\n    q.bind(name)")


def test_an_insertion_repeats_a_neighbour_that_was_added() -> None:
    after = BEFORE.replace("    return", "    check(q)\n    return")
    found = suggestion_of(patch(after), "a.py", [(4, 4)])
    assert found is not None
    assert apply(BEFORE, found.line, found.end_line, found.text) == after
    below = suggestion_of(patch(after), "a.py", [(5, 5)])
    assert below is not None
    assert apply(BEFORE, below.line, below.end_line, below.text) == after


def test_a_patch_that_leaves_the_added_lines_is_no_suggestion() -> None:
    assert suggestion_of(patch(BEFORE.replace("build", "safe")), "a.py", [(1, 2)]) is None


def test_a_patch_of_several_files_or_another_file_is_no_suggestion() -> None:
    one = patch(BEFORE.replace("build", "safe"))
    two = Patch((*one.edits, FileEdit("b.py", None, b"x\n")))
    assert suggestion_of(two, "a.py", [(1, 9)]) is None
    assert suggestion_of(one, "b.py", [(1, 9)]) is None


def test_lines_that_cannot_be_shown_are_never_suggested() -> None:
    for hidden in ("\u202e", "\x1b[31m", "<!-- fixwright:x -->", "\u200b"):
        assert suggestion_of(patch(BEFORE.replace("build", f"safe{hidden}")), "a.py", [(1, 9)]) is None
    windows = BEFORE.replace("\n", "\r\n")
    assert suggestion_of(patch(windows.replace("build", "safe"), before=windows), "a.py", [(1, 9)]) is None
    assert suggestion_of(Patch((FileEdit("a.py", b"\xff\n", b"x\n"),)), "a.py", [(1, 1)]) is None


LINES = st.lists(st.sampled_from(["a", "b", "  c", ""]), min_size=1, max_size=8)


@given(LINES, LINES, st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=3))
def test_a_suggestion_clicked_in_gives_exactly_the_patch(old: list[str], new: list[str], added: Sequence[tuple[int, int]]) -> None:
    before, after = "\n".join(old) + "\n", "\n".join(new) + "\n"
    found = suggestion_of(patch(after, before=before), "a.py", added)
    if found is None:
        return
    replaced = before.split("\n")
    lines = found.text.split("\n") if found.text or after.split("\n") != [*replaced[: found.line - 1], *replaced[found.end_line :]] else []
    assert "\n".join([*replaced[: found.line - 1], *lines, *replaced[found.end_line :]]) == after
    assert all_added("a.py", found.line, found.end_line, {"a.py": added})
