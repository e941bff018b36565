"""Pull requests whose trees were written object by object, worked by a whole Fixwright whose surroundings are watched."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.model.ids import CommitId
from pipeline.model.scan import ScanType
from pipeline.model.target import PullRequestRef
from providers.local.record import CheckRecord
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo
from tests.hostile import Listing, listing
from tests.unit.sandbox.repositories import Repository

STATE = {"local", "mirrors", *(f"fixwright.db{suffix}" for suffix in ("", "-shm", "-wal", ".migrate.lock"))}
AROUND = ("home", "cwd", "temporary", "bystander")


class BareRepo(LocalRepo):
    """A bare repository that trees are written into; nothing is ever checked out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = Repository.make(folder, bare=True)

    def tree_of(self, files: dict[bytes, bytes]) -> str:
        """A tree of regular files without folders."""
        entries = [("100644", name, str(self.origin.blob(content))) for name, content in sorted(files.items())]
        return self.origin.tree(entries)


@dataclass
class Watched:
    """A bench in a folder of its own, and what lies around it: a home, a current folder, a place for temporary files, a bystander."""

    bench: Bench
    repo: BareRepo
    place: Path
    base: CommitId
    before: Listing = field(default_factory=dict)

    @staticmethod
    def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, real: bool = False) -> Watched:
        """Everything made, with a base of one honest file.

        Args:
            real: with the real engines instead of instant ones.
        """
        for name in AROUND:
            (tmp_path / name).mkdir()
        (tmp_path / "bystander" / "precious.txt").write_text("not to be touched\n")
        (tmp_path / "home" / ".gitconfig").write_text("[user]\n\tname = Somebody\n")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
        monkeypatch.setenv("FIXWRIGHT_TMPDIR", str(tmp_path / "temporary"))
        monkeypatch.chdir(tmp_path / "cwd")
        repo = BareRepo(tmp_path / "work" / "shop.git")
        base = repo.origin.commit_tree(repo.tree_of({b"a.txt": b"fine\n"}))
        bench = Bench(tmp_path)
        if not real:
            bench.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[GoodFixer()])
        made = Watched(bench, repo, tmp_path, base)
        made.before = listing(*made._around())
        return made

    def _around(self) -> list[Path]:
        return [*(self.place / name for name in AROUND), self.repo.folder / "hooks"]

    def push(self, tree: str, branch: str = "feature", *, parents: tuple[str, ...] | None = None) -> CommitId:
        """A commit of a tree on the base, on a branch."""
        return self.repo.origin.commit_tree(tree, *((self.base,) if parents is None else parents), branch=branch)

    def review(self, branch: str = "feature") -> tuple[PullRequestRef, CheckRecord]:
        """Open a pull request, work until all is quiet, and the one check that came of it."""
        ref = self.bench.review(self.repo, branch)
        return ref, self.check(branch)

    def check(self, branch: str = "feature") -> CheckRecord:
        """The one check of a branch's head."""
        (check,) = self.bench.checks(self.repo, self.repo.origin.head(branch))
        assert check.status == "completed", check
        return check

    def ensure_untouched(self) -> None:
        """Nothing was written around the job, and nothing is left where it worked; the state folder has only what is ours."""
        assert listing(*self._around()) == self.before
        assert {path.name for path in self.bench.state.iterdir()} <= STATE
        for path in (self.bench.state / "mirrors").rglob("*"):
            assert os.fsencode(path).isascii()

    def mirrors(self) -> list[Path]:
        """The mirrors that are there."""
        return sorted((self.bench.state / "mirrors").glob("*.git"))

    def ensure_next_works(self) -> None:
        """An honest change after all that is judged as if nothing had been."""
        tree = self.repo.tree_of({b"a.txt": b"fine\n", b"b.txt": b"BAD\n"})
        self.push(tree, "honest")
        _, check = self.review("honest")
        assert (check.conclusion, "b.txt:1" in check.title) == ("failure", True), check.title


def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, real: bool = False) -> Watched:
    """See `Watched.make`."""
    return Watched.make(tmp_path, monkeypatch, real=real)
