"""One state of a repository, to read from and to lay out on disk: a commit in a mirror, or a person's folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.model.fix import FileEdit
from pipeline.model.ids import BlobId, CommitId

if TYPE_CHECKING:
    from pipeline.sandbox.git import Mirror, Worktree

MAX_SOURCE = 1_000_000
"""Bytes. Larger files are no source that a person wrote: `read` answers None for them."""

MAX_FILES = 20_000
"""Files that are laid out for a test run."""

MAX_TOTAL = 500_000_000
"""Bytes that are laid out for a test run."""

MAX_FILE = 50_000_000
"""Bytes of one file that is laid out for a test run."""

REGULAR = ("100644", "100755")


class RepositoryFiles(Protocol):
    """One state of a repository: `pipeline.ports.SourceFiles`, and the whole of it on disk for its tests."""

    def read(self, path: str) -> bytes | None:
        """Content of a regular file of at most MAX_SOURCE bytes, else None."""

    def paths(self) -> Sequence[str]:
        """Names of all regular files, sorted."""

    def materialise(self, folder: Path) -> str:
        """Write all regular files below an empty private folder. Returns why it could not be done, or `""`."""


class CommitFiles:
    """The state of a commit in a bare mirror. Contents are fetched when they are asked for."""

    def __init__(self, mirror: Mirror, commit: CommitId) -> None:
        self._mirror = mirror
        self._commit = commit
        self._entries: dict[str, tuple[BlobId, str]] | None = None
        self._whole = True

    def _listed(self) -> dict[str, tuple[BlobId, str]]:
        if self._entries is None:
            entries, truncated = self._mirror.entries(self._commit, limit=MAX_FILES)
            self._whole = not truncated
            self._entries = {e.path: (e.new_blob, e.new_mode) for e in entries if e.new_mode in REGULAR}
        return self._entries

    def read(self, path: str) -> bytes | None:
        """See `RepositoryFiles.read`."""
        return self._mirror.file(self._commit, path, max_size=MAX_SOURCE)

    def paths(self) -> Sequence[str]:
        """See `RepositoryFiles.paths`."""
        return sorted(self._listed())

    def materialise(self, folder: Path) -> str:
        """See `RepositoryFiles.materialise`."""
        entries = self._listed()
        if not self._whole:
            return f"the repository has more than {MAX_FILES} files"
        blobs = {blob for blob, _ in entries.values()}
        self._mirror.ensure_blobs(blobs)
        sizes = self._mirror.sizes(blobs)
        if sum(sizes.get(blob, 0) for blob, _ in entries.values()) > MAX_TOTAL:
            return f"the repository is larger than {MAX_TOTAL // 1_000_000} MB"
        places: dict[BlobId, list[tuple[str, bool]]] = {}
        for path, (blob, mode) in entries.items():
            places.setdefault(blob, []).append((path, mode == "100755"))

        def contents() -> Iterator[tuple[str, bytes, bool]]:
            for blob, content in self._mirror.read(blobs, max_size=MAX_FILE):
                for path, executable in places[blob]:
                    yield path, content, executable

        return lay_out(folder, contents())


class FolderFiles:
    """The state of a person's folder, as it is on disk now: what git tracks or would track, or everything where there is no git."""

    def __init__(self, worktree: Worktree) -> None:
        self._worktree = worktree
        self._files: dict[str, Path] | None = None

    def _listed(self) -> dict[str, Path]:
        if self._files is None:
            self._files = dict(self._worktree.files(MAX_FILES + 1))
        return self._files

    def read(self, path: str) -> bytes | None:
        """See `RepositoryFiles.read`."""
        place = self._listed().get(path)
        return None if place is None else _read(place, MAX_SOURCE)[0]

    def paths(self) -> Sequence[str]:
        """See `RepositoryFiles.paths`."""
        return sorted(self._listed())

    def materialise(self, folder: Path) -> str:
        """See `RepositoryFiles.materialise`."""
        if len(self._listed()) > MAX_FILES:
            return f"the folder has more than {MAX_FILES} files"

        def contents() -> Iterator[tuple[str, bytes, bool]]:
            for path, place in self._listed().items():
                content, executable = _read(place, MAX_FILE)
                if content is not None:
                    yield path, content, executable

        return lay_out(folder, contents())


def _read(place: Path, limit: int) -> tuple[bytes | None, bool]:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None, False
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > limit:
            return None, False
        return file.read(limit), bool(state.st_mode & stat.S_IXUSR)


def lay_out(folder: Path, files: Iterable[tuple[str, bytes, bool]]) -> str:
    """Write files below an empty private folder: regular files only, none outside of it. Returns why it could not be done, or `""`."""
    total = 0
    for path, content, executable in files:
        total += len(content)
        if total > MAX_TOTAL:
            return f"the repository is larger than {MAX_TOTAL // 1_000_000} MB"
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part or part.lower() == ".git" for part in parts):
            continue
        place = folder.joinpath(*parts)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755 if executable else 0o644)
        except OSError as error:
            return f"a file of the repository cannot be written here: {error.strerror}"
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return ""


def put(folder: Path, edit: FileEdit) -> None:
    """Carry out one edit in a folder that `lay_out` made. Only regular files below it are touched."""
    place = folder.joinpath(*edit.path.split("/"))
    if edit.after is None:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(edit.after)
