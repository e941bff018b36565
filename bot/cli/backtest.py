"""`fixwright backtest REPO`: what would have been said of the changes that were merged last, and what became of those lines."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pipeline.fixers
import pipeline.scanners
import pipeline.triage
from bot import __version__
from bot.cli import OK, UNCHECKED, show
from bot.cli._backtestdocument import Run, render_json, render_markdown, render_text
from bot.cli._backtestpage import render_html
from bot.cli.folders import policy_places
from bot.settings import engines_dir, state_dir
from bot.statefolder import make_state_dir
from pipeline.errors import CommitMissing, GitUnavailable, UsageError
from pipeline.escaping import visible
from pipeline.model.ids import CommitId
from pipeline.plugins import discover
from pipeline.ports import Fixer
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.gitrun import Git, Transport
from pipeline.sandbox.mainline import branch_of_head, is_shallow, tip_of
from pipeline.sandbox.worktree import git_folder
from pipeline.stages.backtest import Tools, replay
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import available_scanners
from pipeline.stages.pastchanges import past_changes
from pipeline.store.filecache import FileCache

FORMATS = {"text": render_text, "markdown": render_markdown, "json": render_json, "html": render_html}
MOST = 10_000
"""Changes of one run."""
CLONE_SECONDS = 3_600.0
PROGRESS_SECONDS = 5.0
_SOURCES = ("scanners", "triage", "semgrepjson.py", "syntax.py", "rulebook.py", "model/finding.py", "stages/examine.py", "sandbox/tree.py")
"""Of our own code, what makes findings."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("backtest", help="what it would have said of the changes that were merged last; nothing is written")
    parser.add_argument("repository", metavar="REPO", help="a git repository on this machine, or the https address of one")
    parser.add_argument("--last", type=int, default=100, metavar="N", help="how many changes (default: 100)")
    parser.add_argument("--branch", metavar="REV", help="the branch they were merged into (default: what is checked out)")
    parser.add_argument(
        "--by", choices=("auto", "merges", "commits"), default="auto", help="what is a change: merged branches and squashes, or each commit"
    )
    parser.add_argument("--format", choices=[*FORMATS], default="text", help="how it is told (default: text)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there instead of stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0, whatever would have been said; 3 when something could not be checked here."""
    if not 1 <= args.last <= MOST:
        raise UsageError(f"--last takes a number from 1 to {MOST:,}")
    started = time.monotonic()
    folder = _folder()
    place = _open(args.repository, args.branch, folder)
    line = past_changes(place.mirror, place.tip, place.branch, args.last, args.by)
    with _cache(folder) as cache:
        tools = Tools(
            mirror=place.mirror,
            scanners=available_scanners(None),
            fixers=tuple(discover(pipeline.fixers, "FIXER", Fixer).values()),
            control=RunControl(engines_dir(), lambda: True),
            cache=cache,
            key=_key(folder),
            places=policy_places(),
            version=__version__,
        )
        replayed = replay(tools, line.changes, place.tip, _Progress())
    told = Run(place.name, place.branch, place.tip, line.by, args.last, replayed, time.monotonic() - started, __version__)
    _write(args.output, FORMATS[args.format](told))
    if told.unchecked:
        print("fixwright: not everything could be checked here; see: fixwright doctor, fixwright engines install", file=sys.stderr)
    return UNCHECKED if told.unchecked else OK


# --- the repository -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    mirror: Mirror
    tip: CommitId
    branch: str
    name: str


def _open(repository: str, branch: str | None, folder: Path) -> _Place:
    """Raises UsageError for what is no whole repository; GitUnavailable when a server cannot be reached."""
    if "://" in repository:
        return _fetched(repository, branch, folder)
    path = Path(repository)
    if not path.is_dir():
        hint = "a folder, or an address: https://host/owner/name.git"
        raise UsageError(f"there is no folder {visible(repository)}", hint=hint)
    found = git_folder(path)
    if found is None:
        raise UsageError(f"{visible(repository)} is no git repository", hint="there are no changes to look at again without a history")
    git = Git(found)
    if is_shallow(git):
        hint = "fetch the rest first: git fetch --unshallow"
        raise UsageError(f"{visible(repository)} is a shallow clone: its history is cut off, so changes cannot be judged", hint=hint)
    tip = tip_of(git, branch or "HEAD")
    if tip is None:
        raise UsageError(f"{visible(branch)} names no commit there" if branch else f"{visible(repository)} has no commit yet")
    return _Place(Mirror(git), tip, branch or branch_of_head(git), path.resolve().name)


def _fetched(address: str, branch: str | None, folder: Path) -> _Place:
    """A copy of our own, without the contents of files until they are needed; a second run fetches what is new."""
    if branch is not None:
        raise UsageError("--branch is for a repository on this machine", hint="of an address the default branch is taken")
    try:
        Transport(address, allow_local=True).config()
    except GitUnavailable as error:
        raise UsageError(error.message, hint="clone it, and give the folder") from None
    name = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    mirror = Mirror.open(folder / "clones" / name, address, allow_local=True, deadline=CLONE_SECONDS)
    print(f"fixwright: fetching {visible(address)}", file=sys.stderr)
    try:
        tip = mirror.fetch_head()
    except CommitMissing:
        raise UsageError(f"{visible(address)} has no commit yet") from None
    return _Place(mirror, tip, "", address)


# --- what is kept ---------------------------------------------------------------------------------------------------------------------


def _folder() -> Path:
    """Where results and clones are kept. Raises NotConfigured."""
    state = state_dir()
    make_state_dir(state)
    folder = state / "backtest"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _key(folder: Path) -> bytes:
    """Tells values of secrets apart from run to run; made once, and for this command alone."""
    place = folder / "key"
    with suppress(FileExistsError):
        fresh = folder / f"key.{os.getpid()}"
        fresh.write_bytes(b"")
        fresh.chmod(0o600)
        fresh.write_bytes(secrets.token_bytes(32))
        try:
            os.link(fresh, place)  # whole, or not at all, also when two begin at once
        finally:
            fresh.unlink()
    return place.read_bytes()


@contextmanager
def _cache(folder: Path) -> Iterator[FileCache]:
    cache = FileCache(folder / "said.sqlite", _origin())
    try:
        yield cache
        cache.trim()
    finally:
        cache.close()


def _origin() -> bytes:
    """Digest of the code that makes findings: engines and rules are named by the entries themselves."""
    root = Path(pipeline.triage.__path__[0]).parent
    digest = hashlib.sha256(__version__.encode())
    for name in _SOURCES:
        for path in sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]:
            digest.update(path.read_bytes())
    return digest.digest()


# --- what is shown --------------------------------------------------------------------------------------------------------------------


class _Progress:
    """How far it is, on stderr: one line that changes on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        """So many changes are judged."""
        now = time.monotonic()
        if not self._terminal and done not in (0, of) and now - self._last < PROGRESS_SECONDS:
            return
        self._last = now
        text = f"fixwright: {done} of {of} changes judged, {now - self._started:.0f} s"
        print(f"\r{text}" if self._terminal else text, end="" if self._terminal and done < of else "\n", file=sys.stderr, flush=True)


def _write(file: Path | None, document: bytes) -> None:
    if file is None:
        show(document)
        return
    try:
        file.write_bytes(document)
    except OSError as error:
        raise UsageError(f"{visible(str(file))} cannot be written: {error.strerror}") from None
