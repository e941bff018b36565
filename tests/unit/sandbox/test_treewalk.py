"""Comparing step by step says the same as git does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.objects import Objects
from pipeline.sandbox.treewalk import walk
from tests.unit.sandbox.repositories import Repository

NAMES = st.sampled_from(["a", "b", "b.c", "a.py", "\u00fc"])
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.tuples(st.sampled_from(["1", "2"]), st.booleans()), max_size=6
)


def without_clashes(files: dict[str, tuple[str, bool]]) -> dict[str, tuple[str, bool]]:
    """A name cannot be a file and a folder at once."""
    return {path: file for path, file in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.make(tmp_path_factory.mktemp("walk") / "origin.git", bare=True)


def written(origin: Repository, files: dict[str, tuple[str, bool]]) -> str:
    index = {"GIT_INDEX_FILE": str(origin.path / "index")}
    Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    lines = [
        f"{'100755' if executable else '100644'} {origin.blob(content.encode())}\t{path}\n" for path, (content, executable) in files.items()
    ]
    origin.git("update-index", "--add", "--index-info", stdin="".join(lines).encode(), env=index)
    return origin.git("write-tree", env=index).decode().strip()


@given(before=TREES, after=TREES)
@settings(max_examples=15, deadline=None)
def test_both_ways_of_comparing_agree(origin: Repository, before: dict[str, tuple[str, bool]], after: dict[str, tuple[str, bool]]) -> None:
    old = origin.commit_tree(written(origin, without_clashes(before)))
    new = origin.commit_tree(written(origin, without_clashes(after)))
    git = Git(origin.path)
    by_git = Objects(git).changes(old, new)
    by_steps, truncated = walk(git, old, new, 5000)
    assert sorted(by_steps, key=repr) == sorted(by_git[0], key=repr)
    assert not truncated


def test_folders_full_of_folders_without_a_file_end_too(origin: Repository) -> None:
    target, mode = origin.tree([]), "40000"
    for _ in range(12):
        target = origin.tree([(mode, b"%d" % number, target) for number in range(10)])
    old, new = origin.commit_tree(origin.tree([])), origin.commit_tree(target)
    entries, truncated = walk(Git(origin.path), old, new, 100)
    assert (entries, truncated) == ([], True)
