"""Files lie where they should, and nowhere else, whatever they are called."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.ids import BlobId
from pipeline.model.scan import GapClass
from pipeline.sandbox.tree import TreeLimits, private_folder, write_tree

BLOB = BlobId("a" * 40)


@pytest.mark.parametrize(
    "path", ["a.py", "src/app/views.py", "with space/[x] (1).ts", "a.b.c/d-e_f.js", ".github/workflows/ci.yml", "Makefile"]
)
def test_an_ordinary_name_stays_as_it_is(path: str, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", [(path, BLOB, b"content")])
    assert tree.files[0].on_disk == path
    assert (tree.root / path).read_bytes() == b"content"
    assert tree.files[0].size == 7


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        ("../outside.py", ".py"),
        ("/etc/absolute.py", ".py"),
        ("a/../../b.py", ".py"),
        ("a//b.py", ".py"),
        ("./a.py", ".py"),
        (".git/hooks/post-checkout", ""),
        (".GIT/x.py", ".py"),
        ("a\nb.py", ".py"),
        ("a\\b.ts", ".ts"),
        ("\udcff\udcfe.tsx", ".tsx"),
        ("-rf.py", ".py"),
        ("x/--config=a.js", ".js"),
        ("a" * 300 + ".py", ".py"),
        ("d/" * 70 + "deep.py", ".py"),
        (".semgrepignore", ""),
        ("src/.semgrepignore", ""),
        (".gitleaks.toml", ".toml"),
        ("trailing ", ""),
        ("\u0444\u0430\u0439\u043b.py", ".py"),
        ("a.\u0440y", ""),
        ("", ""),
    ],
)
def test_another_name_is_replaced_and_keeps_its_extension(path: str, extension: str, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", [(path, BLOB, b"x")])
    (file,) = tree.files
    assert file.path == path
    assert file.on_disk == f"fixwright-names/000001{extension}"
    assert (tree.root / file.on_disk).read_bytes() == b"x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["tree"]


def test_names_that_want_the_same_place_get_places_of_their_own(tmp_path: Path) -> None:
    paths = ["a", "a/b", "A", "c/d", "c", "fixwright-names/000001.py", "a"]
    tree = write_tree(tmp_path / "tree", [(path, BLOB, path.encode()) for path in paths])
    assert [file.path for file in tree.files] == paths
    assert len({file.on_disk.casefold() for file in tree.files}) == len(paths)
    assert [(tree.root / file.on_disk).read_bytes() for file in tree.files] == [path.encode() for path in paths]


@given(st.lists(st.text(st.characters(blacklist_characters="\0"), max_size=40), max_size=8))
@settings(max_examples=60, deadline=None)
def test_whatever_the_names_every_file_can_be_read_back(names: list[str]) -> None:
    with private_folder("test") as folder:
        tree = write_tree(folder / "tree", [(name, BLOB, name.encode("utf-8", "surrogatepass")) for name in names])
        assert [file.path for file in tree.files] == names
        for file, name in zip(tree.files, names, strict=True):
            place = tree.root / file.on_disk
            assert place.resolve().is_relative_to(tree.root.resolve())
            assert place.read_bytes() == name.encode("utf-8", "surrogatepass")


def test_what_exceeds_a_limit_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    limits = TreeLimits(files=2, file_bytes=10, total_bytes=15)
    files = [
        ("big.py", BLOB, b"x" * 11),
        ("one.py", BLOB, b"x" * 10),
        ("two.py", BLOB, b"x" * 6),
        ("three.py", BLOB, b"x"),
        ("four.py", BLOB, b""),
    ]
    tree = write_tree(tmp_path / "tree", files, limits=limits)
    assert [file.path for file in tree.files] == ["one.py", "three.py"]
    assert [(gap.path, gap.gap_class) for gap in tree.gaps] == [(path, GapClass.LIMIT) for path in ("big.py", "two.py", "four.py")]
    assert [gap.reason for gap in tree.gaps] == ["larger than 10 bytes", "all files together are larger than 0 MB", "more than 2 files"]


def test_files_can_be_read_by_the_sandbox_s_user_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        tree = write_tree(tmp_path / "tree", [("a/b.py", BLOB, b"x")])
    finally:
        os.umask(old)
    assert stat.S_IMODE(tree.root.stat().st_mode) == 0o755
    assert stat.S_IMODE((tree.root / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree.root / "a/b.py").stat().st_mode) == 0o644


def test_a_tree_is_never_written_into_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(FileExistsError):
        write_tree(tmp_path / "tree", [])


def test_a_private_folder_is_ours_alone_and_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_TMPDIR", str(tmp_path))
    with private_folder("scan") as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) & 0o007 == 0
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_private_folder_vanishes_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_TMPDIR", str(tmp_path))
    with pytest.raises(RuntimeError), private_folder("scan") as folder:
        (folder / "file").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
