"""Positions on a diff, in the words that GitLab asks for: held against diffs that are made anew for every example."""

from __future__ import annotations

import difflib
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from providers.gitlab.positions import Diff, FileDiff, Refs, hunks, line_code, place

REFS = Refs("b" * 40, "5" * 40, "e" * 40)
BEFORE = [f"line {n}" for n in range(1, 41)]
AFTER = [*BEFORE[:9], "changed", "added", *BEFORE[10:28], *BEFORE[30:]]
"""Line 10 becomes two, lines 29 and 30 go."""


def unified(before: list[str], after: list[str], context: int = 3) -> str:
    lines = list(difflib.unified_diff(before, after, n=context, lineterm=""))[2:]
    return "\n".join(lines) + ("\n" if lines else "")


def diff_of(before: list[str], after: list[str], old_path: str = "app.py", new_path: str = "app.py") -> Diff:
    return Diff(REFS, (FileDiff("other.py", "other.py", "@@ -1 +1 @@\n-x\n+y\n"), FileDiff(old_path, new_path, unified(before, after))))


def lines_of(position: dict[str, object] | None) -> tuple[object, object] | None:
    return None if position is None else (position.get("old_line"), position.get("new_line"))


def test_an_added_line_has_its_new_number_alone() -> None:
    position = place(diff_of(BEFORE, AFTER), "app.py", 11, 11)
    assert position == {
        "position_type": "text",
        "base_sha": REFS.base,
        "start_sha": REFS.start,
        "head_sha": REFS.head,
        "old_path": "app.py",
        "new_path": "app.py",
        "new_line": 11,
    }


def test_an_unchanged_line_of_a_hunk_has_both_numbers() -> None:
    assert lines_of(place(diff_of(BEFORE, AFTER), "app.py", 12, 12)) == (11, 12)
    assert lines_of(place(diff_of(BEFORE, AFTER), "app.py", 30, 30)) == (31, 30)


def test_a_removed_line_has_its_old_number_alone() -> None:
    assert lines_of(place(diff_of(BEFORE, AFTER), "app.py", 29, 29, side="old")) == (29, None)
    assert lines_of(place(diff_of(BEFORE, AFTER), "app.py", 31, 31, side="old")) == (31, 30)


def test_a_line_between_the_hunks_has_no_position() -> None:
    for line in (1, 6, 15, 20, 36, 40, 0, 999):
        assert place(diff_of(BEFORE, AFTER), "app.py", line, line) is None


def test_a_file_that_did_not_change_has_no_position() -> None:
    assert place(diff_of(BEFORE, AFTER), "elsewhere.py", 1, 1) is None


def test_a_renamed_file_is_named_both_ways_and_found_by_the_name_of_its_side() -> None:
    renamed = diff_of(BEFORE, AFTER, "old/app.py", "new/app.py")
    for path, side in (("new/app.py", "new"), ("old/app.py", "old")):
        position = place(renamed, path, 10, 10, side="new" if side == "new" else "old")
        assert position is not None
        assert (position["old_path"], position["new_path"]) == ("old/app.py", "new/app.py")
    assert place(renamed, "old/app.py", 10, 10) is None


def test_several_lines_stand_under_the_last_and_name_both_ends() -> None:
    position = place(diff_of(BEFORE, AFTER), "app.py", 10, 12)
    assert lines_of(position) == (11, 12)
    name = hashlib.sha1(b"app.py", usedforsecurity=False).hexdigest()
    assert position is not None
    assert position["line_range"] == {
        "start": {"line_code": f"{name}_11_10", "type": "new", "new_line": 10},
        "end": {"line_code": f"{name}_11_12", "type": "old", "old_line": 11, "new_line": 12},
    }


def test_lines_that_leave_their_hunk_have_no_position() -> None:
    for first, last in ((5, 10), (10, 30), (12, 16), (12, 11)):
        assert place(diff_of(BEFORE, AFTER), "app.py", first, last) is None


def test_the_first_line_of_a_new_file_follows_no_old_one() -> None:
    made = diff_of([], ["a", "b"], "new.py", "new.py")
    position = place(made, "new.py", 1, 2)
    assert lines_of(position) == (None, 2)
    assert position is not None
    assert position["line_range"] == {
        "start": {"line_code": line_code("new.py", 0, 1), "type": "new", "new_line": 1},
        "end": {"line_code": line_code("new.py", 0, 2), "type": "new", "new_line": 2},
    }


def test_what_gitlab_does_not_show_is_asked_of_gitlab_as_an_added_line() -> None:
    hidden = Diff(REFS, (FileDiff("old.py", "big.py", ""),), whole=False)
    position = place(hidden, "big.py", 10, 12)
    assert lines_of(position) == (None, 12)
    assert position is not None
    assert (position["old_path"], "line_range" in position) == ("old.py", False)
    assert lines_of(place(hidden, "beyond.py", 7, 7)) == (None, 7)


def test_the_end_of_a_file_without_a_line_end_is_no_line() -> None:
    text = "@@ -1,2 +1,2 @@\n same\n-old\n\\ No newline at end of file\n+new\n\\ No newline at end of file\n"
    (hunk,) = hunks(text)
    assert [(line.old, line.new) for line in hunk] == [(1, 1), (2, None), (None, 2)]


def test_lines_of_code_that_look_like_a_hunks_header_are_lines() -> None:
    text = "@@ -1,2 +1,3 @@\n @@ -9 +9 @@\n+-- removed\n-++ added\n++@@ -3,3 +3,3 @@\n"
    (hunk,) = hunks(text)
    assert [(line.old, line.new) for line in hunk] == [(1, 1), (None, 2), (2, None), (None, 3)]


def test_unusual_separators_inside_of_a_line_end_none() -> None:
    text = "@@ -0,0 +1,2 @@\n+a\u2028b\x0cc\x85d\r\n+second\n"
    (hunk,) = hunks(text)
    assert [line.new for line in hunk] == [1, 2]


@given(st.text(max_size=400))
def test_no_text_instead_of_a_diff_breaks_it(text: str) -> None:
    for hunk in hunks(text):
        assert all(line.old is not None or line.new is not None for line in hunk)


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "@@ -1 +1 @@", "-x", "+y", " z"]), max_size=30)


@given(LINES, LINES, st.integers(0, 4))
def test_every_line_of_a_diff_has_the_numbers_that_it_has_in_both_files(before: list[str], after: list[str], context: int) -> None:
    text = unified(before, after, context)
    matcher = difflib.SequenceMatcher(None, before, after)
    added = {n + 1 for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal" for n in range(start, end)}
    seen = [line for hunk in hunks(text) for line in hunk]
    assert {line.new for line in seen if line.old is None} == added
    for line in seen:
        if line.old is not None and line.new is not None:
            assert before[line.old - 1] == after[line.new - 1]
    diff = Diff(REFS, (FileDiff("app.py", "app.py", text),))
    for number in added:
        assert lines_of(place(diff, "app.py", number, number)) == (None, number)
