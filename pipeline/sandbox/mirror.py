"""Our bare copy of a repository: exactly the commits that were asked for, as shallow as they may be, and of the files only those read.

First contact with a repository of 5,000 files moves 0.4 MB this way, where a clone moves hundreds (docs, benchmarks). One process at a
time writes to a mirror; reading needs no lock. A mirror is a cache: when anything is wrong with it, it is dropped and made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import CommitMissing, GitUnavailable, MirrorDamaged, ObjectsRefused
from pipeline.model.ids import BlobId, CommitId
from pipeline.ports import GitCredentials
from pipeline.sandbox.gitrun import Git, Transport, WantsRefused, is_legacy_fault
from pipeline.sandbox.objects import READING, Objects, checked, empty_repository

log = logging.getLogger(__name__)

_NO_CREDENTIALS = GitCredentials()
_REFS = "refs/fixwright"
_WHOLE = "refs/heads/whole"
"""The ref of `fetch_head`, among none of which some are forgotten."""
_KEPT_REFS = 64
"""How many fetched commits keep a ref. A ref tells the server what we have, so that it sends only what differs; objects stay without."""
_TOGETHER = 32
"""Up to this depth all commits are fetched in one go: a round trip to the server costs more than some commits too many."""
_BEFORE = (50, 1_000)
"""Generations of the base that are fetched when a change seems to have more commits than its host says."""
_NO_TALK = (("fetch.negotiationAlgorithm", "noop"),)
"""For contents: a server that is told which commits we have thinks that we have their contents, too, and sends nothing."""
_QUIET = (
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--filter=blob:none",
    "--stdin",
)


@dataclass(frozen=True, slots=True)
class Mirror(Objects):
    """A bare mirror; `Objects` has the reading. Errors of every method: GitUnavailable, MirrorDamaged.

    `git` reads through `reading/`, a second git folder over the same objects, whose configuration knows no server to fetch from: there a
    missing object is missing, and not a download in the middle of a listing.
    """

    remote: Git | None = None
    """git on the mirror itself, for fetching; None for a repository that is not ours to write to."""
    deadline: float = 120.0
    """Seconds that one fetch may take."""

    @staticmethod
    def open(
        path: Path, url: str, credentials: GitCredentials = _NO_CREDENTIALS, *, allow_local: bool = False, deadline: float = 120.0
    ) -> Mirror:
        """The mirror at `path` of the repository at `url`; made on the first fetch.

        Args:
            path: ours alone, its folder too.
            url: https, http on loopback, or a folder when `allow_local`. Without credentials in it.
            credentials: sent to that host only, and written nowhere.
            deadline: seconds for one fetch, waiting for another process's fetch included.

        Raises:
            GitUnavailable: a URL that is not fetched from.
        """
        transport = Transport(url, credentials, allow_local)
        transport.config()
        place = path.absolute()
        return Mirror(Git(place / READING), Git(place, transport), deadline)

    def fetch(self, wants: Sequence[tuple[CommitId, int]]) -> None:
        """Have exactly these commits, each with `depth` generations (1: the commit alone), without the contents of files.

        Twice is once: what is here already is not asked for. Falls back when the server cannot leave out contents (git then sends them)
        or names no single commits (all its branches are fetched).

        Raises:
            CommitMissing: the server does not have one of them.
            ObjectsRefused: what it sent fails git's checks. The mirror is dropped: what was refused may lie in it and would pass next time.
            GitUnavailable: the server cannot be reached or refuses us.
            MirrorDamaged: also a mirror made anew is.
        """
        for commit, _ in wants:
            checked(commit)

        def work(remote: Git) -> None:
            for depth, commits in _by_depth(wants):
                lacking = self._short([(commit, depth) for commit in commits])
                if lacking:
                    self._fetch_commits(remote, lacking, depth)

        if self._short(wants):
            self._writing(work, hex_digits=len(wants[0][0]))

    def separate(self, base: CommitId, head: CommitId, commits: int) -> None:
        """Have as much of what is before `base` as tells the `commits` of a change from those that were there before it.

        A branch that began long ago and took in a newer `base` reaches its beginning by its own line too. As long as the way there from
        `base` is not here, old commits look like commits of the change, and where our copy ends, like some that were not fetched. Twice is
        once. After the last of `_BEFORE` it is left so: `history` says what it does not know.

        Raises:
            What `fetch` raises, but for a `base` that only we still have.
        """
        for depth in _BEFORE:
            if self._between(base, head, commits + 1) <= commits:
                return
            try:
                self.fetch([(base, depth)])
            except CommitMissing:  # pushed away from the server meanwhile: what is before it cannot be had any more
                if self.lacking([base, head]):  # our copy was damaged and begun anew: it is not here any more either
                    raise
                return

    def fetch_head(self) -> CommitId:
        """Have the whole history of the branch that the server's HEAD names, without the contents of files; its newest commit.

        Raises:
            CommitMissing: the server has no commit yet; and what `fetch` raises.
        """

        def work(remote: Git) -> None:
            stdin = f"+HEAD:{_WHOLE}\n".encode()
            try:
                remote.fetch(*_QUIET, "--force", "origin", stdin=stdin, wall=self.deadline)
            except ObjectsRefused as refused:
                if not is_legacy_fault(refused):
                    raise
                options = [word for word in _QUIET if not word.startswith("--filter")]  # see `_fetch_commits`
                remote.fetch("--no-filter", *options, "--force", "origin", stdin=stdin, wall=self.deadline, config=_NO_TALK)

        self._writing(work, hex_digits=40)
        said = self.remote.read("rev-parse", "--verify", "--end-of-options", f"{_WHOLE}^{{commit}}") if self.remote else None
        return CommitId(said.stdout.decode("ascii").strip()) if said else CommitId("")

    def ensure_blobs(self, blobs: Iterable[BlobId]) -> None:
        """Have the contents of these, fetched in one go as far as they are missing.

        Raises:
            GitUnavailable: also when the server does not give single blobs.
            MirrorDamaged: they were fetched, and cannot be read all the same.
        """
        wanted = list(dict.fromkeys(blobs))
        if self.remote is None or not self._missing(wanted):
            return

        def work(remote: Git) -> None:
            lacking = self._missing(wanted)
            if lacking:
                stdin = "".join(f"{checked(blob)}\n" for blob in lacking).encode()
                remote.fetch(*_QUIET, "origin", stdin=stdin, wall=self.deadline, config=_NO_TALK)
                if self._missing(lacking):
                    # git asks for nothing that the index of a pack names, whatever is left of the pack.
                    raise MirrorDamaged("contents that were fetched cannot be read")

        # Contents alone make no mirror: who tries again fetches first what they belong to.
        self._writing(work, hex_digits=len(wanted[0]), tries=1)

    def file(self, commit: CommitId, path: str, *, max_size: int = 1_000_000) -> bytes | None:
        """As `Objects.file`, fetching its content when it is not here."""
        blob = self.blob_at(commit, path)
        if blob is None:
            return None
        self.ensure_blobs([blob])
        return next((content for _, content in self.read([blob], max_size=max_size)), None)

    def added_lines(self, old: CommitId | None, new: CommitId, paths: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """As `Objects.added_lines`, fetching the contents that it must compare."""
        pairs = self.pairs(old, new, paths)
        self.ensure_blobs(blob for pair in pairs.values() for blob in pair if blob.strip("0"))
        return Objects.added_lines(self, old, new, paths)

    def drop(self) -> None:
        """Remove the mirror. Readers that are in the middle fail with MirrorDamaged or GitError."""
        if self.remote is not None:
            drop_folder(self.remote.git_dir)

    def incarnation(self) -> int:
        """Another number each time the mirror was made anew; 0 while there is none."""
        try:
            # HEAD is written once. Not the number of the file: a file system gives it to the next one.
            return 0 if self.remote is None else (self.remote.git_dir / "HEAD").stat().st_mtime_ns
        except OSError:
            return 0

    def drop_damaged(self, seen: int) -> bool:
        """Remove it when it is still the one that was seen damaged: another process may have made it anew meanwhile. True when removed.

        Raises:
            GitUnavailable: somebody else has been writing for too long.
        """
        if self.remote is None or not seen:
            return False
        with alone(self.remote.git_dir, self.deadline):
            if self.incarnation() != seen:
                return False
            drop_folder(self.remote.git_dir)
            return True

    # --- writing ----------------------------------------------------------------------------------------------------------------------

    def _writing(self, work: Callable[[Git], None], hex_digits: int, tries: int = 2) -> None:
        """Do `work` as the only writer, on a mirror that exists; again on a new one when it turns out damaged."""
        if self.remote is None:
            raise GitUnavailable("this repository is read as it is; nothing is fetched into it")
        place = self.remote.git_dir
        with alone(place, self.deadline):
            for attempt in range(1, tries + 1):
                if not place.is_dir() and os.path.lexists(place):
                    drop_folder(place)
                if not (place / "HEAD").is_file():
                    empty_repository(place, hex_digits)
                _remove_leftovers(place)
                try:
                    work(self.remote)
                    return
                except ObjectsRefused:
                    drop_folder(place)
                    raise
                except MirrorDamaged as error:
                    drop_folder(place)
                    log.warning("mirror.dropped", extra={"mirror": place.name, "reason": error.message, "attempt": attempt})
                    if attempt == tries:
                        raise

    def _fetch_commits(self, remote: Git, commits: Sequence[CommitId], depth: int) -> None:
        stdin = "".join(f"{commit}:{_REFS}/{commit}\n" for commit in commits).encode()
        options = (*_QUIET, f"--depth={depth}", "--force", "origin")
        try:
            remote.fetch(*options, stdin=stdin, wall=self.deadline)
        except ObjectsRefused as refused:
            if not is_legacy_fault(refused):
                raise
            # git hands the list of bearable faults on only when contents come along (seen with git 2.39).
            log.info("mirror.old_fault", extra={"mirror": remote.git_dir.name})
            whole = [word for word in options if not word.startswith("--filter")]
            remote.fetch("--no-filter", *whole, stdin=stdin, wall=self.deadline, config=_NO_TALK)
        except WantsRefused:
            log.info("mirror.whole_branches", extra={"mirror": remote.git_dir.name})
            whole = ["--unshallow"] if self.boundary() else []
            remote.fetch(*_QUIET, *whole, "origin", stdin=b"+refs/heads/*:refs/heads/*\n", wall=self.deadline)
        missing = self.lacking(commits)
        if missing:
            raise CommitMissing(f"the server does not have commit {missing[0]}")
        _forget_old_refs(remote.git_dir)

    def _short(self, wants: Sequence[tuple[CommitId, int]]) -> list[CommitId]:
        """Those that are not here, or not with as many generations as asked while there are more."""
        if not wants or not self._exists():
            return [commit for commit, _ in wants]
        lacking = set(self.lacking(commit for commit, _ in wants))
        return [commit for commit, depth in wants if commit in lacking or not self._reaches(commit, depth)]

    def _reaches(self, commit: CommitId, depth: int) -> bool:
        """True when `commit`, which is here, has as many generations as asked, or all that there are."""
        if depth <= 1:
            return True
        said = self.git.read("rev-list", "--first-parent", f"--max-count={depth}", "--end-of-options", commit)
        line = said.stdout.decode("ascii").split()
        return len(line) >= depth or line[-1] not in self.boundary()

    def _between(self, base: CommitId, head: CommitId, most: int) -> int:
        """Commits that `head` has and `base` has not, as far as this copy knows; counted up to `most`."""
        options = ("--count", f"--max-count={most}", "--end-of-options")
        return int(self.git.read("rev-list", *options, checked(head), f"^{checked(base)}").stdout)

    def _missing(self, blobs: Sequence[BlobId]) -> list[BlobId]:
        if not blobs or not self._exists():
            return list(blobs)
        here = self.sizes(blobs)
        return [blob for blob in blobs if blob not in here]

    def _exists(self) -> bool:
        return (self.git.git_dir / "HEAD").is_file()


@contextlib.contextmanager
def alone(place: Path, seconds: float) -> Iterator[None]:
    """Be the only writer of a mirror. The kernel lets go of the lock when a process dies."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{place}.lock").open("w") as lock:
        last = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= last:
                    raise GitUnavailable("another process has been fetching into this mirror for too long") from None
                time.sleep(0.05)
        yield


def drop_folder(place: Path) -> None:
    """Remove a mirror: out of the way at once, then its files."""
    with contextlib.suppress(FileNotFoundError):
        trash = Path(tempfile.mkdtemp(prefix=".dropped-", dir=place.parent))
        with contextlib.suppress(OSError):
            place.rename(trash / "git")
        shutil.rmtree(trash, ignore_errors=True)


def _by_depth(wants: Sequence[tuple[CommitId, int]]) -> list[tuple[int, list[CommitId]]]:
    """(depth, commits) for each fetch, the deepest first: it often brings the others along."""
    deepest = max(depth for _, depth in wants)
    if deepest <= _TOGETHER:
        return [(deepest, list(dict.fromkeys(commit for commit, _ in wants)))]
    depths = sorted({depth for _, depth in wants}, reverse=True)
    return [(depth, [commit for commit, wanted in wants if wanted == depth]) for depth in depths]


def _remove_leftovers(git_dir: Path) -> None:
    """What a killed git leaves behind. We are the only writer, so no live one owns it."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*"):
        for leftover in git_dir.glob(pattern):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _forget_old_refs(git_dir: Path) -> None:
    """Keep the newest refs; the others would be named to the server with every fetch."""
    folder = git_dir / _REFS
    refs = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(folder)] if folder.is_dir() else []
    for _, path in sorted(refs, reverse=True)[_KEPT_REFS:]:
        Path(path).unlink(missing_ok=True)
