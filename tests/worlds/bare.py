"""A bare repository, driven by git's plumbing. What the double knows of code comes from here, never from memory."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

NO_COMMIT = "0" * 40
DIFF_SECONDS = 5.0
"""A difference that takes longer is shown as none, as hosts do with what is too large."""
MOST_OF_A_FILE = 500_000
"""Bytes. Of a larger file no difference is shown (GitHub docs, "Repository limits": 500 KB of a single file)."""
_SHA = re.compile(r"[0-9a-f]{40}")
_PERSON = re.compile(rb"(?P<name>.*) <(?P<email>[^>]*)> (?P<at>\d+) (?P<zone>[+-]\d{4})")
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "The host",
    "GIT_AUTHOR_EMAIL": "host@example.com",
    "GIT_COMMITTER_NAME": "The host",
    "GIT_COMMITTER_EMAIL": "host@example.com",
    "LC_ALL": "C",
    "PATH": os.environ.get("PATH", os.defpath),
}
_CONFIG = (
    ("uploadpack.allowFilter", "true"),  # hosts serve partial clones
    ("uploadpack.allowAnySHA1InWant", "true"),  # and any reachable or unreachable commit by name
    ("http.receivepack", "true"),
    ("core.logAllRefUpdates", "false"),
    ("gc.auto", "0"),
)


class GitFailed(Exception):
    """A git command said no; the text is its standard error."""


@dataclass(frozen=True, slots=True)
class Person:
    """An author or committer."""

    name: str
    email: str
    at: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A parsed commit object."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree. `sha` None removes it."""

    mode: str
    path: str
    sha: str | None
    type: str = "blob"
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file of a diff."""

    path: str
    old_path: str
    status: str
    """`added`, `removed`, `modified`, `renamed` or `changed`."""
    blob: str | None
    additions: int
    deletions: int
    patch: str | None
    """Hunks without the header lines; None for a binary file or an unchanged rename."""
    old_mode: str = "100644"
    mode: str = "100644"


class BareRepository:
    """The bare repository at `path`."""

    def __init__(self, path: Path, own: Sequence[str]) -> None:
        self.path = path
        self.own = tuple(own)
        """Prefixes of the refs that the host keeps itself and nobody may push: `refs/pull`."""
        self._commits: dict[str, Commit] = {}
        self._diffs: dict[tuple[str, str], tuple[FileDiff, ...]] = {}
        self._bases: dict[tuple[str, str], str] = {}
        self._merges: dict[tuple[str, str], str] = {}
        self._ranges: dict[tuple[str, str], list[str]] = {}
        self._known: set[str] = set()
        """Commits that are here, by their full names."""

    @classmethod
    def create(cls, path: Path, *, own: Sequence[str], borrowing: BareRepository | None = None, branch: str = "main") -> BareRepository:
        """Make it. `own`: see there. `borrowing`: a fork, whose objects are those of its parent too."""
        repository = cls(path, own)
        subprocess.run(["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", str(path)], check=True, env=ENVIRONMENT)
        with (path / "config").open("a", encoding="utf-8") as config:  # one process less for each line
            config.writelines(_line_of(key, value) for key, value in [*_CONFIG, *(("receive.hideRefs", prefix) for prefix in own)])
        if borrowing is not None:
            (path / "objects/info/alternates").write_text(f"{borrowing.path / 'objects'}\n")
        return repository

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        may_fail: bool = False,
        seconds: float = 120.0,
    ) -> bytes:
        """Standard output of a git command. Raises GitFailed, unless it `may_fail`: then a failure is no output."""
        command = ["git", f"--git-dir={self.path}", *arguments]
        finished = subprocess.run(
            command, input=stdin, capture_output=True, env=ENVIRONMENT | dict(environment or {}), timeout=seconds, check=False
        )
        if finished.returncode == 0:
            return finished.stdout
        if may_fail:
            return b""
        raise GitFailed(finished.stderr.decode(errors="replace").strip())

    def _line(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        return self.run(*arguments, stdin=stdin, environment=environment).decode().strip()

    # --- refs ---

    def refs(self) -> dict[str, str]:
        """All refs but those that the host keeps itself."""
        listed = self.run("for-each-ref", "--format=%(objectname) %(refname)").decode().splitlines()
        pairs = (line.split(" ", 1) for line in listed)
        return {name: sha for sha, name in pairs if not name.startswith(tuple(f"{prefix}/" for prefix in self.own))}

    def branch(self, name: str) -> str | None:
        """The commit that a branch points to."""
        return self.ref(f"refs/heads/{name}")

    def ref(self, name: str) -> str | None:
        """The object that a full ref name points to."""
        if name.startswith("refs/") and not {"", ".", ".."} & set(name.split("/")) and "\0" not in name:
            # As git writes a ref that moved last: a process for each look would be a good part of what a world does.
            with suppress(OSError, UnicodeError):
                if _SHA.fullmatch(kept := (self.path / name).read_text("ascii").strip()):
                    return kept
            if not (self.path / name).exists() and not (self.path / "packed-refs").exists():
                return None
        shown = self.run("show-ref", "--verify", "--", name, may_fail=True).decode().split()
        return shown[0] if shown else None

    def resolve(self, revision: str) -> str | None:
        """The commit behind a branch, tag, full or short sha; None when there is none."""
        if revision.startswith("-") or ".." in revision or "@{" in revision or "\n" in revision:
            return None
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/{revision}", revision)
        if revision in self._known and not any(self.ref(name) for name in names[:2]):
            return revision
        asked = "".join(f"{name}^{{commit}}\n" for name in names).encode("utf-8", "replace")
        found = (line.split() for line in self.run("cat-file", "--batch-check", stdin=asked).decode("utf-8", "replace").splitlines())
        commit = next((words[0] for words in found if len(words) == 3 and words[1] == "commit"), None)
        if commit == revision:
            self._known.add(commit)
        return commit

    def type_of(self, sha: str) -> str | None:
        """`blob`, `tree`, `commit`, `tag`, or None for an object that is not here."""
        if not _SHA.fullmatch(sha):
            return None
        return self.run("cat-file", "-t", sha, may_fail=True).decode().strip() or None

    def set_ref(self, name: str, new: str, old: str | None = None) -> None:
        """Move or make a ref; `old` all zeros: it must not exist yet. Raises GitFailed."""
        self.run("update-ref", "--no-deref", name, new, *([old] if old is not None else []))

    def delete_ref(self, name: str) -> None:
        """Remove a ref."""
        self.run("update-ref", "-d", name)

    def valid_ref(self, name: str) -> bool:
        """True for a name that git allows and that has two slashes."""
        return name.startswith("refs/") and name.count("/") >= 2 and self._line_ok("check-ref-format", name)

    def _line_ok(self, *arguments: str) -> bool:
        return subprocess.run(["git", *arguments], capture_output=True, env=ENVIRONMENT, check=False).returncode == 0

    # --- objects ---

    def write_blob(self, content: bytes) -> str:
        """Store a blob, as a loose object: a git process for each file would be the most of what a world does."""
        whole = b"blob %d\0" % len(content) + content
        sha = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        place = self.path / "objects" / sha[:2] / sha[2:]
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix="tmp_obj_", delete=False) as made:
                made.write(zlib.compress(whole, 1))
            Path(made.name).chmod(0o444)
            Path(made.name).replace(place)  # whole or not at all: others read meanwhile
        return sha

    def read_blob(self, sha: str) -> bytes:
        """Content of a blob. Raises GitFailed."""
        return self.run("cat-file", "blob", sha)

    def entries(self, tree: str, *, recursive: bool = False) -> list[Entry]:
        """Entries of a tree, or of a whole commit's tree. Raises GitFailed."""
        listed = self.run("ls-tree", "-z", "-l", *(["-r", "-t"] if recursive else []), tree).decode(errors="surrogateescape")
        entries = []
        for line in filter(None, listed.split("\0")):
            facts, _, path = line.partition("\t")
            mode, kind, sha, size = facts.split()
            entries.append(Entry(mode, path, sha, kind, None if size == "-" else int(size)))
        return entries

    def entry(self, commit: str, path: str) -> Entry | None:
        """What a path is in a commit."""
        listed = (
            self.run("ls-tree", "-z", "-l", "--full-tree", commit, "--", path, may_fail=True).decode(errors="surrogateescape").rstrip("\0")
        )
        if not listed or path.endswith("/"):
            return None
        facts, _, name = listed.partition("\t")
        mode, kind, sha, size = facts.split()
        return Entry(mode, name, sha, kind, None if size == "-" else int(size))

    def write_tree(self, base: str | None, entries: Iterable[Entry]) -> str:
        """A tree made of `base` and the changes. Raises GitFailed for a path that git refuses."""
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            environment = {"GIT_INDEX_FILE": f"{folder}/index"}
            if base is not None:
                self.run("read-tree", base, environment=environment)
            changes = list(entries)
            for entry in changes:
                if entry.type == "tree" and entry.sha is not None:
                    self.run(
                        "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", entry.path, environment=environment, may_fail=True
                    )
                    self.run("read-tree", f"--prefix={entry.path}/", entry.sha, environment=environment)
            lines = [
                f"0 {NO_COMMIT}\t{entry.path}" if entry.sha is None else f"{entry.mode} {entry.sha}\t{entry.path}"
                for entry in changes
                if entry.sha is None or entry.type != "tree"
            ]
            packed = "".join(f"{line}\0" for line in lines).encode(errors="surrogateescape")
            self.run("update-index", "-z", "--index-info", stdin=packed, environment=environment)
            return self._line("write-tree", environment=environment)

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, author: Person, committer: Person, *, signature: str = ""
    ) -> str:
        """Store a commit object; `signature` becomes its `gpgsig` header."""
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"{role} {who.name} <{who.email}> {who.at} +0000" for role, who in (("author", author), ("committer", committer))]
        if signature:
            lines.append("gpgsig " + signature.rstrip("\n").replace("\n", "\n "))
        content = ("\n".join(lines) + "\n\n" + message).encode(errors="surrogateescape")
        return self._line("hash-object", "-t", "commit", "-w", "--stdin", stdin=content)

    def commit(self, sha: str) -> Commit:
        """A commit object, parsed. Raises GitFailed."""
        if sha not in self._commits:
            head, _, message = self.run("cat-file", "commit", sha).partition(b"\n\n")
            fields = [line.partition(b" ")[::2] for line in head.split(b"\n") if not line.startswith(b" ")]
            people = dict(fields)
            self._commits[sha] = Commit(
                sha,
                people[b"tree"].decode(),
                tuple(value.decode() for name, value in fields if name == b"parent"),
                _person(people[b"author"]),
                _person(people[b"committer"]),
                message.decode(errors="replace"),
            )
        return self._commits[sha]

    # --- history ---

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor."""
        if (one, other) in self._bases:
            return self._bases[one, other]
        found = self.run("merge-base", one, other, may_fail=True).decode().strip() or None
        if found and _SHA.fullmatch(one) and _SHA.fullmatch(other):
            self._bases[one, other] = found
        return found

    def is_ancestor(self, old: str, new: str) -> bool:
        """True when `new` contains `old`."""
        return self.merge_base(old, new) == old

    def commits(self, base: str, head: str) -> list[str]:
        """Commits of `head` that `base` lacks, oldest first."""
        if (base, head) not in self._ranges:
            found = self.run("rev-list", "--reverse", "--topo-order", f"^{base}", head).decode().split()
            if not (_SHA.fullmatch(base) and _SHA.fullmatch(head)):
                return found
            self._ranges[base, head] = found
        return [*self._ranges[base, head]]

    def history(self, head: str, limit: int = 1000) -> list[str]:
        """Commits from `head` back."""
        return self.run("rev-list", f"--max-count={limit}", head).decode().split()

    def merge(self, base: str, head: str) -> str | None:
        """Tree of `head` merged into `base`; None when they conflict."""
        if (base, head) in self._merges:
            return self._merges[base, head]
        tree = self.run("merge-tree", "--write-tree", base, head, may_fail=True).decode().split("\n")[0].strip() or None
        if tree and _SHA.fullmatch(base) and _SHA.fullmatch(head):
            self._merges[base, head] = tree
        return tree

    def diff(self, old: str, new: str) -> tuple[FileDiff, ...]:
        """The files that differ between two commits or trees, with renames found and three lines of context."""
        if (old, new) not in self._diffs:
            try:
                self._diffs[old, new] = tuple(self._diff(old, new))
            except subprocess.TimeoutExpired:
                self._diffs[old, new] = ()
        return self._diffs[old, new]

    def _diff(self, old: str, new: str) -> list[FileDiff]:
        options = [
            "-M",
            "-r",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--full-index",
            "--no-abbrev",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        ]
        raw = self.run("diff-tree", *options, "--raw", "-z", old, new, seconds=DIFF_SECONDS).decode(errors="surrogateescape").split("\0")
        whole = ("-c", f"core.bigFileThreshold={MOST_OF_A_FILE}", "diff-tree", *options, "-p", "--submodule=short", old, new)
        text = self.run(*whole, seconds=DIFF_SECONDS).decode(errors="replace")
        patches = re.split(r"^diff --git .*\n", text, flags=re.MULTILINE)[1:]
        files: list[FileDiff] = []
        position = 0
        while position < len(raw) - 1:
            old_mode, mode, _, blob, letter = raw[position].removeprefix(":").split()
            renamed = letter[0] in "RC"
            old_path, path = (raw[position + 1], raw[position + 2]) if renamed else (raw[position + 1], raw[position + 1])
            position += 3 if renamed else 2
            files.append(replace(_file_diff(letter[0], old_path, path, blob, patches[len(files)]), old_mode=old_mode, mode=mode))
        return files


def _line_of(key: str, value: str) -> str:
    """A setting as git's configuration file has it; `receive.hideRefs` keeps people from pushing there ("deny updating a hidden ref")."""
    section, _, name = key.partition(".")
    return f"[{section}]\n\t{name} = {value}\n"


def _file_diff(letter: str, old_path: str, path: str, blob: str, patch: str) -> FileDiff:
    start = re.search(r"^@@ ", patch, flags=re.MULTILINE)
    hunks = patch[start.start() :].rstrip("\n") if start else None
    lines = hunks.split("\n") if hunks else []
    status = {"A": "added", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}.get(letter, "modified")
    counts = [sum(line.startswith(sign) for line in lines) for sign in "+-"]
    return FileDiff(path, old_path, status, None if blob == NO_COMMIT else blob, counts[0], counts[1], hunks)


def _person(line: bytes) -> Person:
    found = _PERSON.fullmatch(line)
    if found is None:
        return Person("", "", 0)
    return Person(found["name"].decode(errors="replace"), found["email"].decode(errors="replace"), int(found["at"]))
