"""A person's folder: what is looked at, what is compared, and that nothing in it is run or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import GitError, GitUnavailable, UsageError
from pipeline.model.ids import CommitId
from pipeline.sandbox.git import Worktree
from tests.unit.sandbox.repositories import Repository


@pytest.fixture
def person(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "project")


def names(worktree: Worktree) -> list[str]:
    return [name for name, _ in worktree.files()]


def test_a_plain_folder_is_walked_without_links(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.py").write_text("1\n")
    (folder / "b.py").write_text("2\n")
    (folder / "link.py").symlink_to(folder / "b.py")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "c.py").write_text("3\n")
    (folder / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe.py")
    worktree = Worktree.open(folder)
    assert not worktree.is_git
    assert names(worktree) == ["b.py", "sub/a.py"]
    assert worktree.read("sub/a.py") == b"1\n"
    assert worktree.read("link.py") is None
    assert worktree.read("out/c.py") is None
    assert worktree.read("pipe.py") is None
    assert worktree.read("../outside/c.py") is None
    with pytest.raises(UsageError, match="not a git repository"):
        worktree.resolve("HEAD")


def test_a_repository_lists_tracked_and_untracked_files_but_not_ignored_ones(person: Repository) -> None:
    person.commit({"tracked.py": "1\n", ".gitignore": "ignored.py\n", "gone.py": "1\n"})
    for name in ("ignored.py", "untracked.py"):
        (person.path / name).write_text("x\n")
    (person.path / "gone.py").unlink()
    worktree = Worktree.open(person.path)
    assert worktree.is_git
    assert names(worktree) == [".gitignore", "tracked.py", "untracked.py"]
    assert len(worktree.files(limit=2)) == 2


def test_what_is_checked_out_is_known_where_there_is_something(tmp_path: Path, person: Repository) -> None:
    (tmp_path / "plain").mkdir()
    assert Worktree.open(tmp_path / "plain").head() is None
    assert Worktree.open(person.path).head() is None
    first = person.commit({"a.py": "1\n"})
    assert Worktree.open(person.path).head() == first


def test_histories_with_nothing_in_common_have_no_merge_base(person: Repository) -> None:
    one = person.commit({"a.py": "1\n"})
    person.git("checkout", "-q", "--orphan", "other")
    other = person.commit({"b.py": "2\n"})
    assert Worktree.open(person.path).merge_base(one, other) is None


def test_a_clone_that_is_too_shallow_for_the_merge_base_says_so(tmp_path: Path, person: Repository) -> None:
    person.commit({"a.py": "1\n"})
    person.git("checkout", "-q", "-b", "feature")
    change = person.commit({"b.py": "2\n"})
    person.git("checkout", "-q", "main")
    tip = person.commit({"c.py": "3\n"})
    person.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{person.path}", str(tmp_path / "clone"))
    clone = Worktree.open(tmp_path / "clone")
    with pytest.raises(UsageError, match="no commit in common as far as this shallow clone goes") as raised:
        clone.merge_base(tip, change)
    assert raised.value.hint
    assert "git fetch --unshallow" in raised.value.hint
    Repository(tmp_path / "clone").git("fetch", "-q", "--unshallow")
    assert clone.merge_base(tip, change)


def test_a_folder_inside_a_repository_shows_its_own_files_by_their_full_names(person: Repository) -> None:
    base = person.commit({"src/a.py": "1\n", "other/b.py": "1\n"})
    (person.path / "src" / "a.py").write_text("2\n")
    (person.path / "other" / "b.py").unlink()
    worktree = Worktree.open(person.path / "src")
    assert names(worktree) == ["src/a.py"]
    assert [entry.path for entry in worktree.changed_since(base)] == ["src/a.py"]


def test_a_tracked_folder_that_became_a_link_is_not_followed(person: Repository, tmp_path: Path) -> None:
    person.commit({"dir/a.py": "1\n"})
    (person.path / "dir" / "a.py").unlink()
    (person.path / "dir").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.py").write_text("secret\n")
    (person.path / "dir").symlink_to(tmp_path / "elsewhere")
    assert names(Worktree.open(person.path)) == []


def test_changes_against_a_commit_include_what_was_never_added(person: Repository) -> None:
    base = person.commit({"kept.py": "1\n", "edited.py": "1\n2\n", "gone.py": "1\n", "mode.sh": "1\n"})
    head = person.commit({"committed.py": "1\n"})
    (person.path / "edited.py").write_text("1\n2\n3\n")
    (person.path / "gone.py").unlink()
    (person.path / "new file.py").write_text("1\n2\n")
    worktree = Worktree.open(person.path)
    assert worktree.resolve("HEAD") == head
    assert worktree.merge_base(base, head) == base
    changed = worktree.changed_since(base)
    assert [(entry.status, entry.path) for entry in changed] == [
        ("A", "committed.py"),
        ("M", "edited.py"),
        ("D", "gone.py"),
        ("A", "new file.py"),
    ]
    assert changed[1].new_blob == person.blob(b"1\n2\n3\n")
    paths = [entry.path for entry in changed]
    assert worktree.added_lines(base, paths) == {"committed.py": [(1, 1)], "edited.py": [(3, 3)], "new file.py": [(1, 2)]}


def test_nothing_is_written_into_the_repository(person: Repository) -> None:
    base = person.commit({"a.py": "1\n"})
    (person.path / "a.py").write_text("2\n")
    before = sorted((path, path.stat().st_mtime_ns) for path in person.path.rglob("*"))
    worktree = Worktree.open(person.path)
    worktree.added_lines(base, ["a.py"])
    worktree.as_mirror().history(base, worktree.resolve("HEAD"))
    assert sorted((path, path.stat().st_mtime_ns) for path in person.path.rglob("*")) == before


def test_no_program_of_the_repository_s_configuration_is_run(person: Repository, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {mark}\ncat\n")
    program.chmod(0o755)
    base = person.commit({"a.py": "1\n", ".gitattributes": "*.py filter=evil diff=evil merge=evil\n"})
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "credential.helper",
        "alias.log",
        "uploadpack.packObjectsHook",
    ):
        person.git("config", key, str(program))
    person.git("config", "log.showSignature", "true")
    person.git("config", "core.hooksPath", str(tmp_path))
    (person.path / "a.py").write_text("1\n2\n")
    worktree = Worktree.open(person.path)
    head = worktree.resolve("HEAD")
    assert names(worktree) == [".gitattributes", "a.py"]
    assert worktree.added_lines(base, ["a.py"]) == {"a.py": [(2, 2)]}
    mirror = worktree.as_mirror()
    mirror.history(base, head)
    mirror.changes(None, head)
    assert mirror.file(head, "a.py") == b"1\n"
    assert not mark.exists()


def test_a_second_working_tree_and_its_pointer_are_understood(person: Repository, tmp_path: Path) -> None:
    base = person.commit({"a.py": "1\n"})
    person.git("worktree", "add", "-q", str(tmp_path / "second"))
    (tmp_path / "second" / "a.py").write_text("2\n")
    worktree = Worktree.open(tmp_path / "second")
    assert worktree.added_lines(base, ["a.py"]) == {"a.py": [(1, 1)]}


def test_what_cannot_be_opened_says_why(person: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        Worktree.open(tmp_path / "nothing")
    bare = Repository.make(tmp_path / "bare.git", bare=True)
    with pytest.raises(UsageError, match="bare"):
        Worktree.open(bare.path)
    person.commit({"a.py": "1\n"})
    for revision in ("no-such-branch", "--output=x", "HEAD:a.py"):
        with pytest.raises(GitError):
            Worktree.open(person.path).resolve(revision)


def test_nothing_can_be_fetched_into_a_person_s_repository(person: Repository) -> None:
    person.commit({"a.py": "1\n"})
    mirror = Worktree.open(person.path).as_mirror()
    with pytest.raises(GitUnavailable):
        mirror.fetch([(CommitId("0123456789" * 4), 1)])
    mirror.drop()
    assert (person.path / ".git" / "HEAD").exists()
