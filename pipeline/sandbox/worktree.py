"""A person's folder on disk, for the command line: a git repository with a working tree, or just files.

It may be a clone of something hostile, so its configuration and attributes choose no program here (`gitrun`), files are opened without
following any link, and nothing is written into it: what must be compared is put into a temporary object store.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import GitError, UsageError
from pipeline.model.ids import BlobId, CommitId
from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.mirror import Mirror
from pipeline.sandbox.objects import PATCH, Objects, hunks, lines_of, resolve
from pipeline.sandbox.treewalk import Changed

MAX_FILE = 100 << 20
"""Bytes. A larger file is listed, but never read."""
_NEVER = frozenset({".git", ".hg", ".svn"})


@dataclass(frozen=True, slots=True)
class Worktree:
    """Files of a folder. Names are relative to `root`, with `/` between parts, decoded with surrogateescape."""

    root: Path
    """Top of the working tree; the folder itself when it is no repository."""
    inside: str
    """`""`, or the folder below `root` that was asked for, with a `/` at the end: only its files are listed."""
    git: Git | None

    @staticmethod
    def open(path: Path) -> Worktree:
        """The folder at `path`, which may lie inside a repository.

        Raises:
            UsageError: it is no folder, or a bare repository.
        """
        folder = path.resolve()
        if not folder.is_dir():
            raise UsageError(f"{path} is not a folder")
        for top in (folder, *folder.parents):
            if (git_dir := _git_dir(top)) is not None:
                inside = "" if top == folder else f"{folder.relative_to(top).as_posix()}/"
                git = Git(git_dir, extra_env={"GIT_WORK_TREE": str(top)})
                return Worktree(top, inside, git)
        if _looks_like_git_dir(folder):
            raise UsageError(f"{path} is a bare git repository: it has no files to look at", hint="give a folder with files")
        return Worktree(folder, "", None)

    @property
    def is_git(self) -> bool:
        """True when it has history to compare with."""
        return self.git is not None

    def files(self, limit: int = 100_000) -> list[tuple[str, Path]]:
        """(name, path) of regular files, sorted: tracked ones and untracked ones that are not ignored; without git, all.

        Links are left out, and so is what lies behind one. At most `limit`.
        """
        names = self._listed() if self.git else self._walked()
        found = []
        for name in names:
            path = self.root / name
            if self._is_ours(path):
                found.append((name, path))
                if len(found) == limit:
                    break
        return sorted(found)

    def read(self, name: str) -> bytes | None:
        """Content of a regular file, None when it is none (any more), is larger than MAX_FILE, or lies behind a link."""
        path = self.root / name
        if not self._is_ours(path):
            return None
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                about = os.fstat(descriptor)
                return file.read() if stat.S_ISREG(about.st_mode) and about.st_size <= MAX_FILE else None
        return None

    def resolve(self, rev: str) -> CommitId:
        """The commit that a branch, tag or short name means. Raises GitError; UsageError without git."""
        return resolve(self._git(), rev)

    def named(self, rev: str) -> CommitId:
        """The same for what a person typed: UsageError when it means no commit."""
        try:
            return self.resolve(rev)
        except GitError as error:
            raise UsageError(error.message, hint="a shallow clone may have to fetch it first") from None

    def head(self) -> CommitId | None:
        """The commit that is checked out; None without git, and before the first commit."""
        if self.git is None:
            return None
        try:
            return self.resolve("HEAD")
        except GitError:
            return None

    def merge_base(self, a: CommitId, b: CommitId) -> CommitId | None:
        """Where two commits' histories part; None when they have nothing in common.

        Raises:
            UsageError: nothing in common is known, and the clone is shallow: what is missing may be just that.
        """
        objects = Objects(self._git())
        found = objects.merge_base(a, b)
        if found is None and objects.boundary():
            raise UsageError(
                f"{a[:12]} and {b[:12]} have no commit in common as far as this shallow clone goes",
                hint="fetch the whole history: git fetch --unshallow; in a pipeline of GitLab, GIT_DEPTH: 0",
            )
        return found

    def as_mirror(self) -> Mirror:
        """The repository's objects; nothing can be fetched."""
        return Mirror(Git(self._git().git_dir))

    def changed_since(self, commit: CommitId) -> list[Changed]:
        """What differs between a commit and the files on disk, untracked ones included.

        Compared by content as it lies on the disk, without the repository's filters: those are programs.
        """
        before = {entry.path: entry for entry in self.as_mirror().entries(commit, limit=1_000_000)[0]}
        changed = []
        present = set()
        for name, path in self.files(limit=1_000_000):
            present.add(name)
            old = before.get(name)
            content = self.read(name)
            if content is None:
                continue
            blob = _blob_name(content, len(commit))
            if old is not None and old.new_blob == blob:
                continue
            mode = "100755" if path.stat().st_mode & 0o100 else "100644"
            absent = BlobId("0" * len(commit))
            changed.append(
                Changed(name, "M" if old else "A", old.new_mode if old else "000000", mode, old.new_blob if old else absent, blob)
            )
        for name, old in before.items():
            if name not in present and name.startswith(self.inside) and not (self.root / name).exists():
                changed.append(Changed(name, "D", old.new_mode, "000000", old.new_blob, BlobId("0" * len(commit))))
        return sorted(changed, key=lambda entry: entry.path)

    def added_lines(self, commit: CommitId, paths: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """As `Objects.added_lines`, from a commit to the files on disk."""
        wanted = set(paths)
        changed = [entry for entry in self.changed_since(commit) if entry.path in wanted and entry.status != "D"]
        pairs = {entry.path: (entry.old_blob, entry.new_blob) for entry in changed}
        return lines_of(pairs, self._compare(changed) if changed else {})

    def _compare(self, changed: Sequence[Changed]) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """Differences of pairs of blobs, of which the new ones are not in the repository: two flat trees in a store of our own."""
        git = self._git()
        with tempfile.TemporaryDirectory(prefix="fixwright-objects-") as store:
            for entry in changed:
                content = self.read(entry.path)
                if content is not None:
                    _write_loose(Path(store), entry.new_blob, content)
            own = Git(git.git_dir, extra_env={"GIT_OBJECT_DIRECTORY": store, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(_object_dir(git))})
            before = _flat_tree(own, [entry.old_blob for entry in changed])
            after = _flat_tree(own, [entry.new_blob for entry in changed])
            return hunks(own.read("diff-tree", "-r", *PATCH, "--end-of-options", before, after).stdout)

    def _git(self) -> Git:
        if self.git is None:
            raise UsageError(f"{self.root} is not a git repository")
        return self.git

    def _listed(self) -> Iterator[str]:
        """What git knows and does not ignore."""
        said = self._git().read(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", "--", *([self.inside] if self.inside else [])
        )
        for name in sorted(set(said.stdout.split(b"\0")[:-1])):
            yield name.decode("utf-8", "surrogateescape")

    def _walked(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name not in _NEVER)
            for name in sorted(files):
                yield Path(folder, name).relative_to(self.root).as_posix()

    def _is_ours(self, path: Path) -> bool:
        """A regular file, and no link on the way to it."""
        try:
            return stat.S_ISREG(path.lstat().st_mode) and os.path.realpath(path.parent) == str(path.parent)
        except (OSError, ValueError):
            return False


def git_folder(path: Path) -> Path | None:
    """The repository at `path`, bare or not, or the one in which that folder lies; None where there is none."""
    folder = path.resolve()
    if _looks_like_git_dir(folder):
        return folder
    return next((found for top in (folder, *folder.parents) if (found := _git_dir(top)) is not None), None)


def _git_dir(top: Path) -> Path | None:
    """The repository of a working tree: `.git`, or where a file of that name points to (worktrees and submodules)."""
    dot = top / ".git"
    if dot.is_dir():
        return dot if _looks_like_git_dir(dot) else None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        word, _, place = dot.read_text("utf-8").strip().partition(": ")
        if word == "gitdir" and (target := (top / place).resolve()).is_dir():
            return target
    return None


def _looks_like_git_dir(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and ((folder / "objects").is_dir() or (folder / "commondir").is_file())


def _object_dir(git: Git) -> Path:
    said = git.read("rev-parse", "--git-path", "objects")
    return (git.git_dir / os.fsdecode(said.stdout.rstrip(b"\n"))).resolve()


def _blob_name(content: bytes, hex_digits: int) -> BlobId:
    """What git would call this content: gitformat-pack, "object name"."""
    digest = hashlib.sha256() if hex_digits == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return BlobId(digest.hexdigest())


def _write_loose(store: Path, name: BlobId, content: bytes) -> None:
    """Write a loose object; one whose content changed since it was named is written all the same, and git then refuses it."""
    folder = store / name[:2]
    folder.mkdir(exist_ok=True)
    (folder / name[2:]).write_bytes(zlib.compress(b"blob %d\0" % len(content) + content, 1))


def _flat_tree(git: Git, blobs: Sequence[BlobId]) -> str:
    """A tree with these blobs under numbers as names."""
    lines = "".join(f"100644 blob {blob}\t{number:09}\n" for number, blob in enumerate(blobs) if blob.strip("0"))
    return git.read("mktree", stdin=lines.encode()).stdout.decode("ascii").strip()
