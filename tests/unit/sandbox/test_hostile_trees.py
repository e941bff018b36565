"""Trees that no honest git makes: refused while they come in, or harmless when they are legal.

The table of attacks is that of facts measured on git 2.39: with its defaults, `git fetch` lets all of them in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ObjectsRefused
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.tree import write_tree
from tests.unit.sandbox.attacks import FILE, LEGAL, REFUSED, Attack, in_folder
from tests.unit.sandbox.repositories import Repository


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "origin.git", bare=True)


def mirror_of(origin: Repository, tmp_path: Path) -> Mirror:
    return Mirror.open(tmp_path / "mirrors" / "m.git", str(origin.path), allow_local=True)


@pytest.mark.parametrize("attack", REFUSED.values(), ids=REFUSED.keys())
def test_a_tree_that_fails_git_s_checks_is_refused_and_the_mirror_dropped(attack: Attack, origin: Repository, tmp_path: Path) -> None:
    good = origin.commit_tree(origin.tree([(FILE, b"a.py", origin.blob(b"1\n"))]))
    bad = origin.commit_tree(attack(origin), good)
    mirror = mirror_of(origin, tmp_path)
    mirror.fetch([(good, 1)])
    with pytest.raises(ObjectsRefused):
        mirror.fetch([(bad, 1)])
    assert not (tmp_path / "mirrors" / "m.git").exists(), "what was refused may lie in it and would pass the next time"
    with pytest.raises(ObjectsRefused):
        mirror.fetch([(bad, 1)])
    mirror.fetch([(good, 1)])
    assert not mirror.lacking([good])


@pytest.mark.parametrize("attack", LEGAL.values(), ids=LEGAL.keys())
def test_a_legal_but_hostile_name_is_listed_and_its_file_written_nowhere_but_in_the_tree(
    attack: Attack, origin: Repository, tmp_path: Path
) -> None:
    good = origin.commit_tree(origin.tree([]))
    bad = origin.commit_tree(attack(origin), good)
    mirror = mirror_of(origin, tmp_path)
    mirror.fetch([(good, 1), (bad, 2)])
    (changed,) = mirror.changes(good, bad)[0]
    assert changed.status == "A"
    assert mirror.history(good, bad)[0][0].changed == (changed,)
    if changed.new_mode not in ("100644", "100755"):
        return
    mirror.ensure_blobs([changed.new_blob])
    contents = [(changed.path, blob, content) for blob, content in mirror.read([changed.new_blob], max_size=1000)]
    (tmp_path / "private").mkdir()
    tree = write_tree(tmp_path / "private" / "tree", contents)
    (file,) = tree.files
    assert file.path == changed.path
    written = [path for path in (tmp_path / "private").rglob("*") if not path.is_dir()]
    assert [path.relative_to(tree.root).as_posix() for path in written] == [file.on_disk]
    assert file.on_disk.isascii()
    assert file.on_disk.isprintable()
    assert "\\" not in file.on_disk
    assert not file.on_disk.startswith("-")


@pytest.mark.parametrize("name", [b"a\nb.py", b"\xff\xfe.py", b"..\\x.py", b'quo"te.py', b"tab\t.py"])
def test_lines_of_a_file_with_a_hostile_name_are_found(name: bytes, origin: Repository, tmp_path: Path) -> None:
    base = origin.commit_tree(origin.tree([(FILE, name, origin.blob(b"1\n2\n"))]))
    head = origin.commit_tree(origin.tree([(FILE, name, origin.blob(b"1\n2\n3\n"))]), base)
    mirror = mirror_of(origin, tmp_path)
    mirror.fetch([(base, 1), (head, 1)])
    path = name.decode("utf-8", "surrogateescape")
    assert mirror.added_lines(base, head, [path]) == {path: [(3, 3)]}
    assert mirror.file(head, path) == b"1\n2\n3\n"


def test_a_hostile_tree_is_refused_also_when_an_old_fault_comes_first(origin: Repository, tmp_path: Path) -> None:
    tree = in_folder(b".git")(origin)
    raw = b"tree " + tree.encode() + b"\nauthor A 1 +0000\ncommitter A <a@b> 1 +0000\n\nold\n"
    bad = origin.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw).decode().strip()
    origin.git("update-ref", "refs/heads/main", bad)
    with pytest.raises(ObjectsRefused):
        mirror_of(origin, tmp_path).fetch([(origin.head("main"), 1)])


@pytest.mark.parametrize("fault", [b"author A <a@b> 1 +51800", b"author A <a@b 1 +0000", b"author A 1 +0000", b"author A <a@b>1 +0000"])
def test_the_faults_of_old_honest_repositories_are_no_reason_to_refuse(fault: bytes, origin: Repository, tmp_path: Path) -> None:
    tree = origin.tree([(FILE, b"a.py", origin.blob(b"1\n"))])
    raw = b"tree " + tree.encode() + b"\n" + fault + b"\ncommitter A <a@b> 1 +0000\n\nold\n"
    old = origin.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw).decode().strip()
    origin.git("update-ref", "refs/heads/main", old)
    mirror = mirror_of(origin, tmp_path)
    head = origin.head("main")
    mirror.fetch([(head, 1)])
    assert mirror.file(head, "a.py") == b"1\n"
