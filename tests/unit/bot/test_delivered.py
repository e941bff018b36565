"""What `fixwright fix` leaves on the disk: all of a patch or nothing, and never an empty one."""

from __future__ import annotations

import stat
from argparse import Namespace
from pathlib import Path

import pytest

from bot.cli.fix import _apply, _deliver
from pipeline.errors import UsageError
from pipeline.model.fix import FileEdit, Patch


def edits(*made: tuple[str, bytes | None, bytes]) -> Patch:
    return Patch(tuple(FileEdit(*one) for one in made), "a patch")


def test_a_file_keeps_its_mode_and_a_new_one_is_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_bytes(b"old\n")
    (tmp_path / "run.sh").chmod(0o755)
    _apply(tmp_path, edits(("run.sh", b"old\n", b"new\n"), ("tests/test_new.py", None, b"pass\n")))
    assert (tmp_path / "run.sh").read_bytes() == b"new\n"
    assert stat.S_IMODE((tmp_path / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "tests" / "test_new.py").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["run.sh", "test_new.py", "tests"]


@pytest.mark.parametrize("other", ["changed", "gone", "link", "folder"])
def test_nothing_is_written_when_one_of_the_files_is_another_one_now(tmp_path: Path, other: str) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(b"old\n")
    if other == "changed":
        (tmp_path / "b.py").write_bytes(b"saved meanwhile\n")
    else:
        (tmp_path / "b.py").unlink()
    if other == "link":
        (tmp_path / "b.py").symlink_to("a.py")
    if other == "folder":
        (tmp_path / "b.py").mkdir()
    with pytest.raises(UsageError, match=r"b\.py"):
        _apply(tmp_path, edits(("a.py", b"old\n", b"new\n"), ("b.py", b"old\n", b"new\n")))
    assert (tmp_path / "a.py").read_bytes() == b"old\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"a.py", "b.py"}


def test_no_patch_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = tmp_path / "fix.diff"
    _deliver(Namespace(apply=False, patch=wanted, path=tmp_path), edits())
    assert not wanted.exists()
    assert "was not written" in capsys.readouterr().err
    _deliver(Namespace(apply=False, patch=wanted, path=tmp_path), edits(("a.py", b"old\n", b"new\n")))
    assert wanted.read_bytes().startswith(b"diff --git")
