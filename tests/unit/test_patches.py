"""Unified diffs: ours are what git takes, foreign ones are read strictly."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PatchRefused
from pipeline.model.fix import FileEdit, Patch
from pipeline.patches import CONCEALED, added_lines, conceal, parse_diff, removed_lines, render_diff


class Memory:
    """A repository state in memory."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = contents

    def read(self, path: str) -> bytes | None:
        return self.contents.get(path)

    def paths(self) -> Sequence[str]:
        return sorted(self.contents)


LINES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"c\n", b"  d\r\n", b"\n", b"\xe4\n", b"- x\n", b"+ y\n", b"\\ z\n", b"@@ -1 +1 @@\n"]), max_size=30
)
TAIL = st.sampled_from([b"", b"end", b"-- ", b"\x0c"])
CONTENT = st.tuples(LINES, TAIL).map(lambda pair: b"".join(pair[0]) + pair[1])


@settings(max_examples=300, deadline=None)
@given(before=st.none() | CONTENT, after=st.none() | CONTENT)
def test_a_rendered_diff_reads_back_as_the_same_patch(before: bytes | None, after: bytes | None) -> None:
    if before == after:
        return
    edits = (FileEdit("src/a.py", before, after),)
    state = {"src/a.py": before} if before is not None else {}
    assert parse_diff(render_diff(Patch(edits)), Memory(state)).edits == edits


@settings(max_examples=60, deadline=None)
@given(before=CONTENT, after=CONTENT)
def test_git_apply_makes_of_our_diff_exactly_the_new_content(tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    if before == after:
        return
    folder = tmp_path_factory.mktemp("apply")
    (folder / "a b.py").write_bytes(before)
    diff = render_diff(Patch((FileEdit("a b.py", before, after),)))
    environment = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        cwd=folder,
        input=diff.encode("utf-8", "surrogateescape"),
        capture_output=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "a b.py").read_bytes() == after


def test_git_takes_a_diff_that_makes_and_deletes_files_with_strange_names(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / 'quo"te.py').write_bytes(b"x = 1\n")
    patch = Patch((FileEdit('quo"te.py', b"x = 1\n", None), FileEdit("sub/ümlaut.py", None, b"y = 2\n"), FileEdit("empty.py", None, b"")))
    environment = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=render_diff(patch).encode(), check=True, env=environment)
    assert not (tmp_path / 'quo"te.py').exists()
    assert (tmp_path / "sub/ümlaut.py").read_bytes() == b"y = 2\n"
    assert (tmp_path / "empty.py").read_bytes() == b""
    assert parse_diff(render_diff(patch), Memory({'quo"te.py': b"x = 1\n"})).paths == patch.paths


def test_a_plain_diff_without_git_headers_is_read() -> None:
    text = "--- a.py\t2026-01-01 10:00:00\n+++ a.py\t2026-01-02 10:00:00\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    assert parse_diff(text, Memory({"a.py": b"x\ny\n"})).edits == (FileEdit("a.py", b"x\ny\n", b"x\nz\n"),)


def test_moved_lines_are_followed_to_the_one_place_where_they_are() -> None:
    text = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    assert parse_diff(text, Memory({"a.py": b"0\n0\nx\ny\n"})).edits[0].after == b"0\n0\nx\nz\n"


def test_moved_lines_that_stand_in_two_places_are_refused() -> None:
    text = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    with pytest.raises(PatchRefused, match="does not fit"):
        parse_diff(text, Memory({"a.py": b"0\nx\ny\nx\ny\n"}))


def test_a_rename_becomes_a_deletion_and_a_new_file() -> None:
    text = "diff --git a/a.py b/a.txt\nsimilarity index 100%\nrename from a.py\nrename to a.txt\n"
    assert parse_diff(text, Memory({"a.py": b"x\n"})).edits == (FileEdit("a.py", b"x\n", None), FileEdit("a.txt", None, b"x\n"))


def hunk(path: str, *, header: str = "") -> str:
    return f"diff --git a/{path} b/{path}\n{header}--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no unified diff"),
        ("hello\nworld\n", "no unified diff"),
        ("@@ -1 +1 @@\n-x\n+y\n", "without a file name"),
        (hunk("../a.py"), "no path inside"),
        (hunk("/etc/passwd").replace("a//", "/").replace("b//", "/"), "no path inside"),
        (hunk(".git/config"), "git's own folder"),
        (hunk("sub/.GIT/hooks/x"), "git's own folder"),
        (hunk("C:/a.py").replace("a/C:", "C:").replace("b/C:", "C:"), "no path inside"),
        (hunk("a\\b.py"), "characters"),
        (hunk("a.py", header="old mode 100644\nnew mode 100755\n"), "changes the file mode"),
        (hunk("a.py", header="index 1111111..2222222 120000\n"), "symbolic link"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n", "symbolic link"),
        ("diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit 1\n", "submodule"),
        ("diff --git a/x b/x\nnew file mode 100755\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+#!/bin/sh\n", "executable"),
        ("diff --git a/a.py b/a.py\nindex 1..2 100644\nGIT binary patch\nliteral 3\nabc\n", "binary"),
        ("diff --git a/a.py b/a.py\nBinary files a/a.py and b/a.py differ\n", "binary"),
        ("diff --git a/a.py b/b.py\nsimilarity index 100%\ncopy from a.py\ncopy to b.py\n", "copies"),
        (hunk("a.py") + hunk("a.py"), "named twice"),
        (hunk("missing.py"), "does not exist"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1,3 +1 @@\n-x\n+y\n", "shorter than it says"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n+z\n", "longer than it says"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-other\n+y\n", "does not fit"),
        ("--- a/a.py\n+++ b/a.py\n", "no hunk"),
        ("--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+y\n", "exists already"),
        ("--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n", "does not fit"),
        ("--- a/two.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n", "more lines"),
        ("--- a/bin.py\n+++ b/bin.py\n@@ -1 +1 @@\n-x\n+y\n", "is binary"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+x\n", "changes nothing"),
        ('--- "a/\\q.py"\n+++ "b/\\q.py"\n@@ -1 +1 @@\n-x\n+y\n', "malformed"),
        ("x" * 1_000_001, "larger than"),
    ],
)
def test_what_is_no_plain_change_of_text_files_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(PatchRefused, match=why):
        parse_diff(text, Memory({"a.py": b"x\n", "two.py": b"x\ny\n", "bin.py": b"x\n\0"}))


def test_every_reason_is_listed() -> None:
    with pytest.raises(PatchRefused) as caught:
        parse_diff(hunk("one.py") + hunk("two.py"), Memory({}))
    assert len(caught.value.reasons) == 2


def test_added_and_removed_lines_carry_their_own_numbers() -> None:
    edit = FileEdit("a.py", b"1\n2\n3\n", b"1\nx\ny\n3\n4")
    assert added_lines(edit) == [(2, b"x"), (3, b"y"), (5, b"4")]
    assert removed_lines(edit) == [(2, b"2")]


def test_a_binary_content_has_no_text_diff() -> None:
    with pytest.raises(PatchRefused, match="binary"):
        render_diff(Patch((FileEdit("a.png", None, b"\0"),)))


def test_a_concealed_diff_shows_nothing_that_was_removed() -> None:
    value = "hunter2-" + "value"
    before = f"a\n-- {value}\nkey = '{value}'\nz\n".encode()
    patch = Patch((FileEdit("conf.py", before, b"a\nkey = read()\nz\n"),))
    shown = conceal(render_diff(patch))
    assert value not in shown
    assert "+key = read()" in shown
    assert "--- a/conf.py" in shown
    assert shown.count(CONCEALED) == 2
