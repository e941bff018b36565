"""Looking after mirrors: what is in many pieces is put together, what nobody uses goes, and nobody is disturbed."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from pipeline.errors import GitUnavailable
from pipeline.model.ids import CommitId
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.upkeep import drop_mirror, drop_unused, free_bytes, repack_one
from tests.harness import LocalRepo


def _mirror(tmp_path: Path, commits: int) -> tuple[Mirror, list[str], Path]:
    """A mirror that fetched so many commits one by one."""
    repo = LocalRepo(tmp_path / "repo")
    place = tmp_path / "mirrors" / "one.git"
    mirror = Mirror.open(place, str(repo.folder), allow_local=True)
    made = []
    for number in range(commits):
        commit = repo.commit({f"{number}.txt": f"{number}\n"})
        mirror.fetch([(commit, 1)])
        made.append(commit)
    return mirror, [str(commit) for commit in made], place


def test_a_mirror_in_many_pieces_is_put_together_and_loses_nothing(tmp_path: Path) -> None:
    mirror, commits, place = _mirror(tmp_path, 4)
    packs = len(list(place.glob("objects/pack/*.pack")))
    assert packs >= 4
    assert not repack_one(place.parent, packs)
    assert repack_one(place.parent, packs - 1)
    assert len(list(place.glob("objects/pack/*.pack"))) < packs
    changed, _ = mirror.changes(None, CommitId(commits[-1]))
    assert not mirror.lacking(CommitId(commit) for commit in commits)
    assert [entry.path for entry in changed] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert not repack_one(tmp_path / "nothing here")


def test_a_damaged_mirror_is_removed_and_fetched_anew_by_who_wants_it(tmp_path: Path) -> None:
    mirror, commits, place = _mirror(tmp_path, 4)
    for pack in place.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])
    assert repack_one(place.parent, 3)
    assert not place.exists()
    mirror.fetch([(CommitId(commits[-1]), 1)])
    assert not mirror.lacking([CommitId(commits[-1])])


def test_a_mirror_that_is_being_fetched_into_is_not_removed(tmp_path: Path) -> None:
    place = tmp_path / "busy.git"
    place.mkdir()
    long_ago = time.time() - 90 * 86_400
    with Path(f"{place}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in (place, Path(lock.name)):
            os.utime(path, (long_ago, long_ago))
        with pytest.raises(GitUnavailable):
            drop_mirror(place)
        assert place.exists()
        os.utime(Path(lock.name), (long_ago, long_ago))
        assert drop_unused(tmp_path, 30 * 86_400) == 0
        assert place.exists()


def test_room_is_told_for_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.2)
