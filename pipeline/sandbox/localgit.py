"""A git repository on our own disk that we may write to: the local provider's branches and commits, without a checkout."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import CommitMissing, GitError, PatchRefused
from pipeline.model.fix import FileEdit
from pipeline.model.ids import CommitId
from pipeline.sandbox.gitrun import Git

NAME, EMAIL = "Fixwright", "fixwright@localhost"
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,200}")
_HEX = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
ZERO = "0" * 40
FOLDER = "040000"
REGULAR = ("100644", "100755")
"""Modes of what a patch may write: never a link, a submodule or a folder."""


class LocalRepository:
    """Bare or not. Raises GitError and its subclasses only."""

    def __init__(self, path: Path) -> None:
        folder = path / ".git" if (path / ".git").is_dir() else path
        self._git = Git(folder)

    def branch(self, name: str) -> CommitId | None:
        """Tip of a branch, None when there is none. Raises GitError for a name that no branch can have."""
        said = self._git.read(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{_branch(name)}^{{commit}}", codes=(0, 1)
        )
        text = said.stdout.decode().strip()
        return CommitId(text) if said.exit_code == 0 and _HEX.fullmatch(text) else None

    def default_branch(self) -> str:
        """What HEAD names, also before it has a commit."""
        said = self._git.read("symbolic-ref", "--quiet", "--short", "HEAD", codes=(0, 1))
        return said.stdout.decode("utf-8", "replace").strip() or "main"

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        """Best common ancestor, None for unrelated histories."""
        said = self._git.read("merge-base", "--end-of-options", _commit(one), _commit(other), codes=(0, 1))
        return CommitId(said.stdout.decode().split()[0]) if said.exit_code == 0 else None

    def count(self, base: CommitId, head: CommitId) -> int:
        """How many commits base..head has."""
        said = self._git.read("rev-list", "--count", "--end-of-options", f"{_commit(base)}..{_commit(head)}")
        return int(said.stdout)

    def subject(self, commit: CommitId) -> str:
        """First line of a commit message; hostile text."""
        said = self._git.read("log", "-1", "--format=%s", "--end-of-options", _commit(commit))
        return said.stdout.decode("utf-8", "replace").strip()

    def config(self, key: str) -> list[str]:
        """Values that the owner of the repository's folder has set for a key; trees cannot set them."""
        said = self._git.read("config", "--file", str(self._git.git_dir / "config"), "--get-all", key, codes=(0, 1))
        return said.stdout.decode("utf-8", "replace").split("\n")[:-1]

    def is_ours(self, commit: CommitId) -> bool:
        """True when we made a commit."""
        said = self._git.read("log", "-1", "--format=%ce", "--end-of-options", _commit(commit))
        return said.stdout.decode("utf-8", "replace").strip() == EMAIL

    def commit(self, parent: CommitId, edits: Sequence[FileEdit], message: str) -> CommitId:
        """A commit on `parent` with these edits. The same arguments give the same commit: its date is the parent's.

        Raises:
            PatchRefused: an edit's `before` is not what the parent has, is no regular file, or names what git would not track; or all
            together change nothing.
        """
        with tempfile.TemporaryDirectory(prefix="fixwright-index-") as folder:
            indexed = replace(self._git, extra_env={"GIT_INDEX_FILE": str(Path(folder) / "index")})
            indexed.read("read-tree", _commit(parent))
            for edit in edits:
                self._stage(indexed, parent, edit)
            tree = indexed.read("write-tree").stdout.decode().strip()
        if tree == self._git.read("rev-parse", "--verify", "--end-of-options", f"{_commit(parent)}^{{tree}}").stdout.decode().strip():
            raise PatchRefused("the patch changes nothing on that commit")
        when = self._git.read("log", "-1", "--format=%ct +0000", "--end-of-options", _commit(parent)).stdout.decode().strip()
        people = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _identity(when)}
        author = replace(self._git, extra_env=people)
        made = author.read("commit-tree", tree, "-p", _commit(parent), stdin=message.encode("utf-8", "replace"))
        return CommitId(made.stdout.decode().strip())

    def _stage(self, indexed: Git, parent: CommitId, edit: FileEdit) -> None:
        path = edit.path.encode("utf-8", "surrogateescape")
        mode, before = self._entry(parent, edit.path)
        if mode not in ("", *REGULAR):
            raise PatchRefused(f"{edit.path!r} is no regular file (mode {mode})")
        if (edit.before is None) != (not before) or (before and self._blob(edit.before or b"", write=False) != before):
            raise PatchRefused(f"the patch does not fit: {edit.path!r} is not what it was made for")
        mode = mode or REGULAR[0]
        if edit.after is None:
            line = b"0 " + ZERO.encode() + b"\t" + path
        else:
            line = f"{mode} {self._blob(edit.after, write=True)}\t".encode() + path
        indexed.read("update-index", "-z", "--index-info", stdin=line + b"\0")

    def _entry(self, parent: CommitId, path: str) -> tuple[str, str]:
        """Mode and blob of a path in a commit, empty when there is nothing. Raises PatchRefused for one that leads elsewhere."""
        parts = path.split("/")
        # git itself drops such a path with a warning and goes on.
        if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
            raise PatchRefused(f"{path!r} is no path that can be committed")
        for depth in range(1, len(parts) + 1):
            listed = self._git.read("ls-tree", "-z", "--end-of-options", _commit(parent), "--", "/".join(parts[:depth])).stdout
            if not listed:
                return "", ""
            mode, _, name = listed.split(b"\t", 1)[0].decode().split()
            if depth < len(parts) and mode != FOLDER:
                raise PatchRefused(f"{path!r} leads through something that is no folder")
        return mode, name

    def _blob(self, content: bytes, *, write: bool) -> str:
        arguments = ["hash-object", "--stdin", "--no-filters", *(["-w"] if write else [])]
        return self._git.read(*arguments, stdin=content).stdout.decode().strip()

    def is_checked_out(self, name: str) -> bool:
        """True when some folder shows that branch: with a new tip beneath it, its files would look like changes."""
        said = self._git.read("worktree", "list", "--porcelain", "-z").stdout
        return f"branch refs/heads/{_branch(name)}".encode() in said.split(b"\0")

    def remove_branch(self, name: str, tip: CommitId) -> None:
        """Remove a branch that still points to `tip`. Raises GitError when somebody else moved it."""
        self._git.read("update-ref", "-d", "--end-of-options", f"refs/heads/{_branch(name)}", _commit(tip))

    def move_branch(self, name: str, new: CommitId, old: CommitId | None) -> None:
        """Point a branch to a commit, when it still points to `old`. Raises GitError when somebody else moved it."""
        self._git.read("update-ref", "--end-of-options", f"refs/heads/{_branch(name)}", _commit(new), _commit(old) if old else ZERO)


def _identity(when: str) -> list[tuple[str, str]]:
    return [("NAME", NAME), ("EMAIL", EMAIL), ("DATE", when)]


def is_branch_name(name: str) -> bool:
    """True for names of branches that we use: plainer than what git allows (git-check-ref-format)."""
    return bool(_BRANCH.fullmatch(name)) and not name.endswith((".lock", "/", ".")) and not any(bad in name for bad in ("..", "//", "@{"))


def _branch(name: str) -> str:
    if not is_branch_name(name):
        raise GitError(f"{name!r} is no branch name that we use")
    return name


def _commit(commit: str) -> str:
    if not _HEX.fullmatch(commit):
        raise CommitMissing("not the full name of a commit")
    return commit
