"""Reading a git repository's objects: what changed, what is in a file. Nothing is checked out and nothing of the repository is run.

Paths come from trees that a stranger made: any bytes but NUL. They are decoded with `surrogateescape`, so that they can be encoded back,
and are never given to a file system here.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import CommitMissing, GitError, MirrorDamaged, UsageError
from pipeline.model.ids import BlobId, CommitId
from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.treewalk import Changed, walk

log = logging.getLogger(__name__)

READING = "reading"
"""Folder inside a mirror through which it is read; see `Mirror`."""
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_EMPTY_TREE = {40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", 64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"}
"""git knows the empty tree without having it."""
_RAW = ("--raw", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
PATCH = ("-p", "-U0", "--full-index", "--text", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
"""Options of a comparison by lines that no attribute or configuration of the repository can turn off."""
_PATH = 4_096 + 250
"""Bytes that one entry of `--raw` may need; longer paths end a listing as truncated."""
_TOGETHER = 32 << 20
"""Bytes of blobs that are read with one process, so that a large tree is never in memory as a whole."""
_ARGUMENTS = 100_000
"""Bytes of paths on one command line. The kernel takes 128 KiB for one argument and, with the smallest stack limit, as much for all."""
_ENDLESS: deque[str] = deque(maxlen=64)
"""Commits whose trees git could not compare within limits, so that a review does not try again at each of its steps."""
_HISTORY_BYTES = 32 << 20
"""Bytes of a listing of commits with what they changed."""
_WHOLE_FILE = (1, 1 << 31)
_HUNK = re.compile(rb"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class CommitChanges:
    """One commit and what it changed; for a merge, only what is unlike every parent."""

    commit: CommitId
    changed: tuple[Changed, ...]
    author: str
    """As the commit says; anybody can write anything there."""
    when: int
    """Author's time, seconds since 1970, as the commit says."""


def checked(name: str) -> str:
    """A full object name, or UsageError: nothing else ever reaches git's command line as a revision."""
    if not _NAME.fullmatch(name):
        raise UsageError("not a full object name of 40 or 64 hex digits")
    return name


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one repository. Errors of all methods: GitError, MirrorDamaged."""

    git: Git
    """git on that repository."""

    def lacking(self, commits: Iterable[CommitId]) -> list[CommitId]:
        """Those of `commits` that are not here, in their order; one question for all. Of a damaged copy, which cannot answer: all."""
        wanted = list(dict.fromkeys(commits))
        if not wanted:
            return []
        stdin = "".join(f"{checked(commit)}^{{commit}}\n" for commit in wanted).encode()
        asked = ("cat-file", "--batch-check=%(objecttype)", "--buffer")
        said = self.git.read(*asked, stdin=stdin, output=len(wanted) * 200, codes=(0, 1, 128))
        kinds = said.stdout.decode("ascii", "replace").splitlines()
        if len(kinds) != len(wanted):
            return wanted
        return [commit for commit, kind in zip(wanted, kinds, strict=True) if kind != "commit"]

    def changes(self, old: CommitId | None, new: CommitId, *, limit: int = 5000) -> tuple[list[Changed], bool]:
        """What differs between two commits, in git's order of paths.

        Args:
            old: None: everything in `new` is an addition.
            limit: entries; reading stops there, however many there are (a few objects can make billions of paths).

        Returns:
            The entries, and whether there were more.
        """
        before = checked(old) if old is not None else _EMPTY_TREE[len(new)]
        output = min(256 << 20, limit * _PATH)
        if new in _ENDLESS:
            return walk(self.git, before, checked(new), limit)
        try:
            said = self.git.read("diff-tree", "-r", *_RAW, "--end-of-options", before, checked(new), output=output, quick=True)
        except (MirrorDamaged, CommitMissing):
            raise
        except GitError:  # git collects all before it prints any: a tree made to be endless takes its memory or its time
            log.warning("mirror.read_by_steps", extra={"commit": new})
            _ENDLESS.append(new)
            return walk(self.git, before, checked(new), limit)
        entries = list(_raw_entries(said.stdout.split(b"\0")))
        return entries[:limit], said.truncated or len(entries) > limit

    def entries(self, commit: CommitId, *, limit: int) -> tuple[list[Changed], bool]:
        """The whole tree of a commit, as additions."""
        return self.changes(None, commit, limit=limit)

    def history(self, base: CommitId, head: CommitId, *, limit: int = 250, entries: int = 20_000) -> tuple[list[CommitChanges], bool]:
        """The commits that are in `head` and not in `base`, oldest first, the newest `limit` of them.

        Args:
            entries: changed paths of all commits together; reading stops there.

        Returns:
            The commits, and whether something is left out: more commits or entries than that, or beyond what was fetched.
        """
        which = ("--reverse", "--topo-order", f"--max-count={limit + 1}", "--end-of-options", checked(head), f"^{checked(base)}")
        try:
            if head in _ENDLESS:
                raise GitError("its trees cannot be compared by git")
            said = self.git.read("log", "-r", "-c", "--root", *_RAW, *_PLAIN, _FORM, *which, output=_HISTORY_BYTES, quick=True)
            commits, truncated = _within(_commits(said.stdout.split(b"\0")), entries)
            truncated = truncated or said.truncated
        except (MirrorDamaged, CommitMissing):
            raise
        except GitError:
            log.warning("mirror.history_by_steps", extra={"commit": head})
            commits, truncated = self._history_by_steps(which, entries)
        cut = self.boundary()
        kept = [commit for commit in commits if commit.commit not in cut]  # a cut commit shows its whole tree as its change
        truncated = truncated or len(commits) > limit or len(kept) < len(commits)
        return kept[-limit:], truncated

    def _history_by_steps(self, which: Sequence[str], entries: int) -> tuple[list[CommitChanges], bool]:
        """As git's own listing, for commits whose trees it cannot compare within limits."""
        said = self.git.read("log", "--no-patch", *_PLAIN, _FORM + "%P%x00", *which, output=_HISTORY_BYTES)
        cut = self.boundary()
        commits: list[CommitChanges] = []
        left = entries
        rest = iter(said.stdout.split(b"\0")[:-1])
        for token in rest:
            when, author, above = next(rest, b""), next(rest, b""), next(rest, b"")
            name = token.lstrip(b"\n")[1:].decode("ascii")
            parents = [] if name in cut else above.decode("ascii").split()
            sides = [walk(self.git, parent, name, left) for parent in (parents or [_EMPTY_TREE[len(name)]])]
            changed = _unlike_all([found for found, _ in sides])
            commits.append(_commit(name, when, author, changed))
            left -= max(len(found) for found, _ in sides)
            if left <= 0 or any(more for _, more in sides):
                return commits, True
        return commits, said.truncated

    def messages(self, tip: CommitId, limit: int) -> list[str]:
        """Messages of the newest commits before and at `tip` that are here and merge nothing, newest first; hostile text."""
        said = self.git.read(
            "log", "--no-patch", "--no-merges", f"--max-count={limit}", *_PLAIN, "--format=%B%x00", "--end-of-options", checked(tip),
            output=limit * 20_000, quick=True,
        )  # fmt: skip
        return [part.decode("utf-8", "replace").lstrip("\n") for part in said.stdout.split(b"\0")[:-1]]

    def boundary(self) -> frozenset[str]:
        """Commits whose parents were not fetched (gitformat-shallow)."""
        try:
            return frozenset((self.git.git_dir / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()

    def sizes(self, blobs: Iterable[BlobId]) -> dict[BlobId, int]:
        """Bytes of each blob; what is not here, or is no blob, is missing in the answer."""
        wanted = list(dict.fromkeys(blobs))
        if not wanted:
            return {}
        stdin = "".join(f"{checked(blob)}\n" for blob in wanted).encode()
        said = self.git.read("cat-file", "--batch-check", "--buffer", stdin=stdin, output=len(wanted) * 200)
        found = {}
        for line in said.stdout.decode("ascii", "replace").splitlines():
            name, kind, *size = line.split(" ")
            if kind == "blob":
                found[BlobId(name)] = int(size[0])
        return found

    def read(self, blobs: Iterable[BlobId], *, max_size: int) -> Iterator[tuple[BlobId, bytes]]:
        """Contents, in the order asked; what is missing or larger than `max_size` bytes is left out."""
        wanted = list(dict.fromkeys(blobs))
        if len(wanted) == 1:  # most of what is read is one file: its size is told with its content
            yield from self._alone(wanted[0], max_size)
            return
        sizes = {blob: size for blob, size in self.sizes(wanted).items() if size <= max_size}
        for group in _groups([blob for blob in wanted if blob in sizes], sizes):
            expected = sum(sizes[blob] + 200 for blob in group)
            stdin = "".join(f"{blob}\n" for blob in group).encode()
            said = self.git.read("cat-file", "--batch", "--buffer", stdin=stdin, output=expected)
            yield from _contents(said.stdout)

    def _alone(self, blob: BlobId, max_size: int) -> Iterator[tuple[BlobId, bytes]]:
        """As `read`, of one blob: where there is more than `max_size` of it git is ended."""
        said = self.git.read("cat-file", "--batch", stdin=f"{checked(blob)}\n".encode(), output=max_size + 200)
        head, _, rest = said.stdout.partition(b"\n")
        words = head.decode("ascii", "replace").split(" ")
        if len(words) == 3 and words[1] == "blob" and words[2].isdigit() and (size := int(words[2])) <= max_size:
            if len(rest) <= size:
                raise MirrorDamaged("git cat-file answered less than a blob")
            yield BlobId(words[0]), rest[:size]

    def file(self, commit: CommitId, path: str, *, max_size: int = 1_000_000) -> bytes | None:
        """Content of a regular file, None when there is none at that path or it is larger than `max_size` bytes."""
        blob = self.blob_at(commit, path)
        return None if blob is None else next((content for _, content in self.read([blob], max_size=max_size)), None)

    def blob_at(self, commit: CommitId, path: str) -> BlobId | None:
        """The blob of a regular file; None for anything else, such as a symbolic link."""
        if "\0" in path or not set(path.split("/")).isdisjoint({"", ".", ".."}) or _length(path) > _ARGUMENTS:
            return None
        said = self.git.read("ls-tree", "-z", "--full-tree", checked(commit), "--", path)
        for record in said.stdout.split(b"\0"):
            about, _, name = record.partition(b"\t")
            if name == path.encode("utf-8", "surrogateescape"):
                mode, _, blob = about.decode("ascii").split(" ")
                return BlobId(blob) if mode in ("100644", "100755") else None
        return None

    def added_lines(self, old: CommitId | None, new: CommitId, paths: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """Lines of `new` that were added or changed since `old`.

        Returns:
            By path, ranges of 1-based line numbers, both ends included. A path without such lines is missing. A file whose difference is
            too large to be read (256 MB) is one range beyond any end.
        """
        pairs = self.pairs(old, new, paths)
        before = checked(old) if old is not None else _EMPTY_TREE[len(new)]
        names = list(pairs)
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for group in _on_one_line(names):
            said = self.git.read("diff-tree", "-r", *PATCH, "--end-of-options", before, checked(new), "--", *group)
            found |= hunks(said.stdout, cut=said.truncated)
        unnamed = {path: [_WHOLE_FILE] for path in paths if _length(path) > _ARGUMENTS}
        return {**lines_of(pairs, found), **unnamed}

    def pairs(self, old: CommitId | None, new: CommitId, paths: Iterable[str]) -> dict[str, tuple[BlobId, BlobId]]:
        """Blobs (old, new) of those of the paths that are in `new` and differ from `old`; a path too long for a command line is missing."""
        before = checked(old) if old is not None else _EMPTY_TREE[len(new)]
        wanted = list(dict.fromkeys(paths))
        found: dict[str, tuple[BlobId, BlobId]] = {}
        for group in _on_one_line(wanted):
            said = self.git.read("diff-tree", "-r", *_RAW, "--end-of-options", before, checked(new), "--", *group, quick=True)
            entries = _raw_entries(said.stdout.split(b"\0"))
            found |= {entry.path: (entry.old_blob, entry.new_blob) for entry in entries if entry.status != "D"}
        return {path: found[path] for path in wanted if path in found}

    def first_parent(self, commit: CommitId) -> CommitId | None:
        """What a commit was made upon; None for the first one of all, and where its history was not fetched so far."""
        said = self.git.read("rev-list", "--first-parent", "--max-count=2", "--end-of-options", checked(commit))
        line = said.stdout.decode("ascii").split()
        return CommitId(line[1]) if len(line) > 1 else None

    def merge_base(self, a: CommitId, b: CommitId) -> CommitId | None:
        """Where two lines of history part; None when they have nothing in common as far as it was fetched."""
        said = self.git.read("merge-base", "--end-of-options", checked(a), checked(b), codes=(0, 1))
        return CommitId(said.stdout.decode("ascii").strip()) if said.exit_code == 0 else None


def _length(path: str) -> int:
    return len(path.encode("utf-8", "surrogateescape"))


def _on_one_line(names: Iterable[str]) -> Iterator[list[str]]:
    """Names in groups that a command line can take. One that is too long for any is left out: nobody compares it by lines."""
    group: list[str] = []
    total = 0
    for name in names:
        size = _length(name) + 9  # with its NUL and its place in the list
        if _length(name) > _ARGUMENTS:
            continue
        if total + size > _ARGUMENTS:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def lines_of(
    pairs: Mapping[str, tuple[str, str]], found: Mapping[tuple[str, str], list[tuple[int, int]]]
) -> dict[str, list[tuple[int, int]]]:
    """Ranges by path, from ranges by pair of blobs. A pair that was not reached counts as changed altogether: never too little."""
    ranges = {}
    for path, (before, after) in pairs.items():
        if before == after:
            continue
        ranges[path] = found.get((before, after), [_WHOLE_FILE])
    return {path: lines for path, lines in ranges.items() if lines}


def hunks(patch: bytes, *, cut: bool = False) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Ranges on the new side by (old blob, new blob), from `diff -p -U0 --full-index`.

    The pair of blobs names a difference more safely than a path, which may be quoted or made to look like a header. Lines of a file
    always have `+`, `-` or `\\` in front, so a header is a header. When the patch was cut off, its last difference is left out.
    """
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    current: list[tuple[int, int]] | None = None
    pair = ("", "")
    for line in patch.split(b"\n"):
        if index := _INDEX.match(line):
            pair = (index[1].decode(), index[2].decode())
            current = found[pair] = []
        elif (hunk := _HUNK.match(line)) and current is not None:
            first, count = int(hunk[1]), int(hunk[2] or b"1")
            if count:
                current.append((first, first + count - 1))
    if cut:
        found.pop(pair, None)
    return found


def _raw_entries(tokens: Sequence[bytes]) -> Iterator[Changed]:
    """Entries of `--raw -z`; the last one is left out when it was cut off."""
    rest = iter(tokens[:-1])  # behind the last NUL is nothing, or half an entry
    for token in rest:
        if (entry := _entry(token, rest)) is not None:
            yield entry


def _entry(token: bytes, rest: Iterator[bytes]) -> Changed | None:
    """One entry: `:modes blobs status` and, as the next token, the path. A merge has a colon for each parent, and one more of each."""
    about = token.lstrip(b"\n")
    parents = len(about) - len(about.lstrip(b":"))
    if not parents:
        return None
    words = about[parents:].decode("ascii").split(" ")
    path = next(rest, None)
    if path is None or len(words) != 2 * parents + 3:
        return None
    status = words[-1]
    return Changed(
        path=path.decode("utf-8", "surrogateescape"),
        status=status[0] if len(set(status)) == 1 else "M",
        old_mode=words[0],
        new_mode=words[parents],
        old_blob=BlobId(words[parents + 1]),
        new_blob=BlobId(words[2 * parents + 1]),
    )


_FORM = "--format=%x02%H%x00%at%x00%an%x00"
_PLAIN = ("--no-show-signature", "--no-mailmap", "--no-notes", "--no-decorate", "--no-color", "--encoding=UTF-8")


def _commits(tokens: Sequence[bytes]) -> Iterator[CommitChanges]:
    """Commits of `log --raw -z` in the format of `Objects.history`."""
    rest = iter(tokens[:-1])
    head: tuple[str, bytes, bytes] | None = None
    changed: list[Changed] = []
    for token in rest:
        if token.lstrip(b"\n").startswith(b"\x02"):
            if head is not None:
                yield _commit(*head, changed)
            head, changed = (token.lstrip(b"\n")[1:].decode("ascii"), next(rest, b"0"), next(rest, b"")), []
        elif (entry := _entry(token, rest)) is not None:
            changed.append(entry)
    if head is not None:
        yield _commit(*head, changed)


def _commit(name: str, when: bytes, author: bytes, changed: Iterable[Changed]) -> CommitChanges:
    stamp = int(when) if when.lstrip(b"-").isdigit() and len(when) < 20 else 0
    return CommitChanges(CommitId(name), tuple(changed), author.decode("utf-8", "surrogateescape"), stamp)


def _within(commits: Iterable[CommitChanges], entries: int) -> tuple[list[CommitChanges], bool]:
    """Commits up to so many changed paths, the last one cut, and whether that left something out."""
    kept: list[CommitChanges] = []
    for commit in commits:
        if len(commit.changed) > entries:
            return [*kept, replace(commit, changed=commit.changed[:entries])], True
        entries -= len(commit.changed)
        kept.append(commit)
    return kept, False


def _unlike_all(sides: Sequence[Sequence[Changed]]) -> list[Changed]:
    """What a merge has that none of its parents has."""
    first, *others = sides
    common = [{(entry.path, entry.new_blob) for entry in side} for side in others]
    return [entry for entry in first if all((entry.path, entry.new_blob) in side for side in common)]


def _groups(blobs: Sequence[BlobId], sizes: Mapping[BlobId, int]) -> Iterator[list[BlobId]]:
    """Runs of blobs of at most `_TOGETHER` bytes, or of one blob."""
    group: list[BlobId] = []
    total = 0
    for blob in blobs:
        if group and total + sizes[blob] > _TOGETHER:
            yield group
            group, total = [], 0
        group.append(blob)
        total += sizes[blob]
    if group:
        yield group


def _contents(answer: bytes) -> Iterator[tuple[BlobId, bytes]]:
    """Blobs of an answer of `cat-file --batch`: `name blob size`, newline, content, newline."""
    place = 0
    while place < len(answer):
        end = answer.find(b"\n", place)
        words = answer[place:end].decode("ascii", "replace").split(" ")
        if end < 0 or len(words) != 3 or not words[2].isdigit():
            raise MirrorDamaged("git cat-file answered something else than a blob")
        size = int(words[2])
        yield BlobId(words[0]), answer[end + 1 : end + 1 + size]
        place = end + 1 + size + 1


def resolve(git: Git, revision: str) -> CommitId:
    """The commit that a person means with a branch, a tag or a short name. Raises GitError when there is none."""
    with contextlib.suppress(GitError):
        said = git.read("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return CommitId(said.stdout.decode("ascii").strip())
    raise GitError(f"{revision!r} names no commit here")


def empty_repository(git_dir: Path, hex_digits: int) -> None:
    """Write a bare repository without a process: what `git init --bare` makes, less hooks and templates, and its `reading` folder.

    Args:
        hex_digits: 40 or 64, the length of object names there.
    """
    core = "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n\tfileMode = true\n[extensions]\n"
    form = "\tobjectFormat = sha256\n" if hex_digits == 64 else ""
    partial = '\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n\tpartialCloneFilter = blob:none\n'
    for folder in ("objects/pack", "objects/info", "refs/heads", f"{READING}/refs"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    (git_dir / "config").write_text(core + form + partial)
    (git_dir / READING / "config").write_text(core + form)
    for shared in ("objects", "shallow"):
        if not (git_dir / READING / shared).is_symlink():
            (git_dir / READING / shared).symlink_to(f"../{shared}")
    for folder in (READING, ""):  # last: it is what makes the folder a repository
        (git_dir / folder / "HEAD").write_text("ref: refs/heads/main\n")
