"""The line of a branch: its commits by their first parents, as its readers saw them come in."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import GitError
from pipeline.model.ids import BlobId, CommitId
from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.objects import PATCH, checked

MESSAGE = 10_000
"""Characters of a message that are read."""
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class LineCommit:
    """One commit of the line."""

    commit: CommitId
    parents: tuple[CommitId, ...]
    when: int
    """Committer's time, seconds since 1970, as the commit says."""
    message: str
    """Hostile text, at most MESSAGE characters."""


def read_line(git: Git, tip: CommitId, limit: int) -> list[LineCommit]:
    """The newest `limit` commits of the line that ends at `tip`, newest first. Raises GitError."""
    said = git.read(
        "log", "--first-parent", "--no-patch", f"--max-count={limit}", "--no-show-signature", "--no-mailmap", "--no-notes",
        "--no-decorate", "--no-color", "--encoding=UTF-8", "--format=%H%x00%ct%x00%P%x00%B%x00", "--end-of-options", checked(tip),
    )  # fmt: skip
    return list(_commits(said.stdout.split(b"\0")[:-1]))


def _commits(tokens: list[bytes]) -> Iterator[LineCommit]:
    for name, when, parents, message in zip(*[iter(tokens)] * 4, strict=False):
        stamp = int(when) if when.lstrip(b"-").isdigit() and len(when) < 20 else 0
        above = tuple(CommitId(one) for one in parents.decode("ascii").split())
        text = message.decode("utf-8", "replace").strip()[:MESSAGE]
        yield LineCommit(CommitId(name.strip().decode("ascii")), above, stamp, text)


def branch_of_head(git: Git) -> str:
    """The branch that HEAD names; empty when a commit is checked out without one. Hostile text."""
    said = git.read("symbolic-ref", "--quiet", "--short", "HEAD", codes=(0, 1))
    return said.stdout.decode("utf-8", "replace").strip()


def is_shallow(git: Git) -> bool:
    """True when the history of the repository ends where it was cut off."""
    return git.read("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def tip_of(git: Git, revision: str) -> CommitId | None:
    """The commit that a branch, tag or name means; None when there is none."""
    with contextlib.suppress(GitError):
        said = git.read("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return CommitId(said.stdout.decode("ascii").strip())
    return None


def replaced_lines(git: Git, before: BlobId, after: BlobId) -> list[tuple[int, int]]:
    """Lines of `before` that `after` does not have any more, as ranges with both ends. Raises GitError."""
    said = git.read("diff", *PATCH, "--end-of-options", checked(before), checked(after))
    if said.truncated:
        return [(1, 1 << 31)]
    found = []
    for line in said.stdout.split(b"\n"):
        if hunk := _HUNK.match(line):
            first, count = int(hunk[1]), int(hunk[2] or b"1")
            if count:
                found.append((first, first + count - 1))
    return found
