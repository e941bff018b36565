"""Comparing two trees step by step, for those that git cannot compare within limits.

A dozen small objects can make a tree of a billion paths. git lists them all in memory before it prints the first; here a tree is read
when it is its turn, and reading stops at the limit. Slower, so it is only used when git has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import MirrorDamaged
from pipeline.model.ids import BlobId
from pipeline.sandbox.gitrun import Git

_AT_ONCE = 64
"""Pairs of trees that are read with one process."""
_TREES_PER_ENTRY = 2
"""Trees that are read at most, for each entry that is wanted: folders full of folders without a file are endless, too."""
_TREE_BYTES = 64 << 20
_KEPT = 200_000
"""Entries of trees that are kept, so that a tree that stands in many places is read once."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One path that differs between two states."""

    path: str
    """Decoded with surrogateescape."""
    status: str
    """`A` added, `M` modified, `D` deleted, `T` type changed. Renames are a deletion and an addition."""
    old_mode: str
    """`100644`, `100755`, `120000` (symbolic link), `160000` (submodule), `000000` (absent)."""
    new_mode: str
    old_blob: BlobId
    """All zeros when absent."""
    new_blob: BlobId


@dataclass(frozen=True, slots=True)
class _Pair:
    """A folder on both sides; an object name is empty where it is absent."""

    path: str
    old: str
    new: str


_Entries = Mapping[str, tuple[str, str]]
"""(mode, object) by name."""


def walk(git: Git, old: str, new: str, limit: int) -> tuple[list[Changed], bool]:
    """As `Objects.changes`, for trees or commits by their full names; entries are in no promised order."""
    entries: list[Changed] = []
    waiting = [_Pair("", old, new)]
    known: dict[str, _Entries] = {}
    seen, too_large = 0, False
    while waiting and len(entries) <= limit and seen <= _AT_ONCE + _TREES_PER_ENTRY * limit:
        group = [waiting.pop() for _ in range(min(_AT_ONCE, len(waiting)))]
        seen += len(group)
        if sum(map(len, known.values())) > _KEPT:
            known.clear()
        too_large = _read(git, [name for pair in group for name in (pair.old, pair.new) if name], known) or too_large
        for pair in group:
            for item in _compare(pair, known.get(pair.old, {}), known.get(pair.new, {}), "0" * len(new)):
                if isinstance(item, Changed):
                    entries.append(item)
                else:
                    waiting.append(item)
    return entries[:limit], bool(waiting) or len(entries) > limit or too_large


def _read(git: Git, names: Sequence[str], known: dict[str, _Entries]) -> bool:
    """Add trees to those that are known; True when there is one with more entries than can be read, which is left out."""
    lacking = [name for name in dict.fromkeys(names) if name not in known]
    if not lacking:
        return False
    found = _trees(git, lacking)
    if found is not None:
        known.update(found)
        return False
    if len(lacking) == 1:
        return True
    return sum(_read(git, [name], known) for name in lacking) > 0


def _compare(pair: _Pair, old: _Entries, new: _Entries, absent: str) -> Iterator[Changed | _Pair]:
    """What differs between two folders: files, and folders to look into."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, ("000000", "")), new.get(name, ("000000", ""))
        if before == after:
            continue
        path = f"{pair.path}{name}"
        if "040000" in (before[0], after[0]):
            trees = [side[1] if side[0] == "040000" else "" for side in (before, after)]
            yield _Pair(f"{path}/", trees[0], trees[1])
            before, after = [("000000", "") if side[0] == "040000" else side for side in (before, after)]
        if before[1] or after[1]:
            status = "A" if not before[1] else "D" if not after[1] else "T" if before[0][:2] != after[0][:2] else "M"
            yield Changed(path, status, before[0], after[0], BlobId(before[1] or absent), BlobId(after[1] or absent))


def _trees(git: Git, names: Sequence[str]) -> dict[str, _Entries] | None:
    """Entries of trees, by the name that was asked for: of a tree, or of a commit. None when they are more than can be read at once."""
    wanted = list(dict.fromkeys(names))
    stdin = "".join(f"{name}^{{tree}}\n" for name in wanted).encode()
    said = git.read("cat-file", "--batch", "--buffer", stdin=stdin, output=_TREE_BYTES)
    if said.truncated:
        return None
    found: dict[str, _Entries] = {}
    place = 0
    for name in wanted:
        end = said.stdout.find(b"\n", place)
        words = said.stdout[place:end].decode("ascii", "replace").split(" ")
        if end < 0 or len(words) != 3 or words[1] != "tree":
            raise MirrorDamaged("a folder of the repository is missing in the mirror")
        size = int(words[2])
        found[name] = dict(_parsed(said.stdout[end + 1 : end + 1 + size], len(words[0]) // 2))
        place = end + 1 + size + 1
    return found


def _parsed(tree: bytes, width: int) -> Iterator[tuple[str, tuple[str, str]]]:
    """Entries of a tree object: mode, blank, name, NUL, object name in binary (gitformat-pack)."""
    place = 0
    while place < len(tree):
        blank, end = tree.find(b" ", place), tree.find(b"\0", place)
        mode = tree[place:blank].decode("ascii", "replace").zfill(6)
        name = tree[blank + 1 : end].decode("utf-8", "surrogateescape")
        yield name, (mode, tree[end + 1 : end + 1 + width].hex())
        place = end + 1 + width
