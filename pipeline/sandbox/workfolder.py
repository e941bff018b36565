"""One folder for all temporary files of a worker: whatever way it ends, somebody clears it.

A killed process removes nothing. Its parent clears the folder when it outlives its child; else the next worker of this machine does, who
sees by the lock that nobody lives in it any more. A lock, unlike a process id, cannot be taken over by a stranger.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "fixwright-worker-"


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """A folder that is ours alone."""

    path: Path

    def clear(self) -> None:
        """Remove all that is in it."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def temporary_place() -> Path:
    """Where temporary files go: FIXWRIGHT_TMPDIR, else TMPDIR."""
    return Path(os.environ.get("FIXWRIGHT_TMPDIR") or tempfile.gettempdir())


@contextmanager
def work_folder(place: Path | None = None) -> Iterator[WorkFolder]:
    """A fresh folder in which this process and its forks make their temporary files from now on.

    It may be passed through but not listed by others: the sandbox runs as somebody else. Folders of workers that died are removed first.

    Args:
        place: where it is made; by default in `temporary_place`.
    """
    place = place or temporary_place()
    _remove_abandoned(place)
    path, lock = _locked_folder(place)
    before = tempfile.tempdir, os.environ.get("FIXWRIGHT_TMPDIR")
    try:
        tempfile.tempdir = str(path)
        os.environ["FIXWRIGHT_TMPDIR"] = str(path)
        yield WorkFolder(path)
    finally:
        tempfile.tempdir = before[0]
        if before[1] is None:
            del os.environ["FIXWRIGHT_TMPDIR"]
        else:
            os.environ["FIXWRIGHT_TMPDIR"] = before[1]
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A fresh folder, and the descriptor that keeps it ours: forks share the lock, so it ends with the last of them."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        path.chmod(0o711)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)  # another worker that starts now took it for abandoned before we had the lock


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # removed meanwhile, or of another user
            continue
        try:
            if os.fstat(handle).st_uid == os.geteuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:  # somebody lives there
            continue
        finally:
            os.close(handle)
