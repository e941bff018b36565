"""Files of a commit, written where an engine can read them, under names that do no harm.

Nothing is checked out: contents come from git's objects, names are made safe here. Each tree lies in a private folder that nobody else
can enter; the tree itself is readable by others, because the sandbox runs as somebody else (as root it is bound there by us; see
`process`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.model.ids import BlobId
from pipeline.model.scan import Gap, GapClass, Tree, TreeFile
from pipeline.sandbox.isolation import SANDBOX_USER
from pipeline.sandbox.process import level


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How much is written at most; the rest becomes gaps."""

    files: int = 5_000
    file_bytes: int = 5_000_000
    total_bytes: int = 200_000_000
    depth: int = 64
    """Parts of a path; deeper ones get a flat name."""


TREE_LIMITS = TreeLimits()
"""Defaults, generous for source text: a change rarely has more than some hundred files, a source file rarely more than 100 kB. A schema
that a program wrote can have some MB; an engine that takes no such files leaves them out by itself."""

_SAFE_PART = re.compile(r"[A-Za-z0-9_+=@,%~^ .\[\](){}$!&'#-]{1,200}")
"""Printable ASCII that no engine and no file system takes for something else. Source files of people who write other scripts get a
synthetic name on disk; their real one is kept beside."""
_SAFE_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9_+-]{1,20}){1,2}")
_UNSAFE_START = ("-", " ", "~", "@", "!", "#")
_SILENCING = frozenset(
    {
        ".git",
        ".semgrepignore",
        ".gitignore",
        ".gitattributes",
        ".gitmodules",
        ".ignore",
        ".rgignore",
        ".gitleaks.toml",
        ".gitleaksignore",
        ".betterleaks.toml",
    }
)
"""Names that tell an engine to look away. Their content is looked at like any other; only the name on disk is another."""


def write_tree(root: Path, files: Iterable[tuple[str, BlobId, bytes]], *, limits: TreeLimits = TREE_LIMITS) -> Tree:
    """Write files below `root`, which must not exist yet.

    A name that could lead astray (`..`, absolute, `.git`, control characters, not UTF-8, a backslash, a leading dash, too long or too
    deep, or the place of another file as a folder) is replaced by `fixwright-names/000001.py`: a number and the extension, which tells
    engines the language.

    Args:
        files: (path in the repository, blob, content); consumed once, so that contents need not be in memory together.

    Returns:
        The tree; what exceeds a limit is among its gaps.
    """
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    handle = os.open(root, os.O_DIRECTORY | os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    written: list[TreeFile] = []
    gaps: list[Gap] = []
    taken: set[str] = set()
    total = 0
    try:
        for path, blob, content in files:
            reason = _too_much(len(written), total, len(content), limits)
            if reason:
                gaps.append(Gap("tree", path, reason, GapClass.LIMIT))
                continue
            name = _name_on_disk(path, len(written), taken, limits)
            _write(handle, name, content)
            total += len(content)
            written.append(TreeFile(path, name, blob, len(content)))
    finally:
        os.close(handle)
    return Tree(root, tuple(written), tuple(gaps))


def _too_much(count: int, total: int, size: int, limits: TreeLimits) -> str:
    if size > limits.file_bytes:
        return (
            f"larger than {limits.file_bytes // 1_000_000} MB"
            if limits.file_bytes >= 1_000_000
            else f"larger than {limits.file_bytes} bytes"
        )
    if count >= limits.files:
        return f"more than {limits.files} files"
    return f"all files together are larger than {limits.total_bytes // 1_000_000} MB" if total + size > limits.total_bytes else ""


def _name_on_disk(path: str, number: int, taken: set[str], limits: TreeLimits) -> str:
    """The path itself when it is harmless and free, else a synthetic one. `taken` has all files, and all folders with a `/` behind."""
    parts = path.split("/")
    folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
    folded = path.casefold()  # two names that differ in case only are one on some file systems
    free = folded not in taken and f"{folded}/" not in taken and not any(folder.casefold() in taken for folder in folders)
    if not (free and len(parts) <= limits.depth and len(path) <= 1_000 and all(_is_harmless(part) for part in parts)):
        suffix = "".join(PurePosixPath(parts[-1].encode("ascii", "replace").decode()).suffixes[-2:])
        suffix = suffix if _SAFE_SUFFIX.fullmatch(suffix) else (_SAFE_SUFFIX.search(suffix) or [""])[0]
        name = f"fixwright-names/{number + 1:06}{suffix}"
        folders, folded = ["fixwright-names"], name
        path = name
    taken.add(folded)
    taken.update(f"{folder.casefold()}/" for folder in folders)
    return path


def _is_harmless(part: str) -> bool:
    return (
        _SAFE_PART.fullmatch(part) is not None
        and not part.startswith(_UNSAFE_START)
        and not part.endswith((" ", "."))
        and part.casefold() not in _SILENCING
        and part != "fixwright-names"
    )


def _write(root: int, name: str, content: bytes) -> None:
    """Make the folders one by one and the file as new, following no link on the way."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as handles:
        here = root
        for folder in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o755, dir_fd=here)
            here = os.open(folder, os.O_DIRECTORY | os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            handles.callback(os.close, here)
            os.fchmod(here, 0o755)  # whatever the umask is
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(last, flags, 0o644, dir_fd=here), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A fresh folder that only we can enter, removed with all that is in it at the end, whatever happens.

    It lies in FIXWRIGHT_TMPDIR, else in the system's place for temporary files (TMPDIR). Where the sandbox has limits only and root
    starts it, `nobody` may pass through (but not list) it: there are no mounts then that could show what is inside.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"fixwright-{prefix}-", dir=os.environ.get("FIXWRIGHT_TMPDIR") or None)).resolve()
    try:
        if os.geteuid() == 0 and not level().isolates:
            os.chown(folder, -1, SANDBOX_USER)
            folder.chmod(0o710)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
