"""A tree in a folder, a control, and one run of a scanner: shared by the suites of the scanners."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.settings import engines_dir
from pipeline.errors import EngineMissing
from pipeline.model.finding import Finding
from pipeline.model.ids import BlobId
from pipeline.model.scan import Covered, FindingSeen, Gap, GapSeen, Output, ScanRequest, Tree
from pipeline.ports import Scanner
from pipeline.sandbox.tree import write_tree


@dataclass
class World:
    """What a scanner may know."""

    engines_dir: Path
    stopped: bool = False

    def cancelled(self) -> bool:
        return self.stopped

    def isolated(self) -> bool:
        return True


@dataclass(frozen=True)
class Seen:
    """Everything that a run said."""

    outputs: tuple[Output, ...]

    @property
    def findings(self) -> list[Finding]:
        return [o.finding for o in self.outputs if isinstance(o, FindingSeen)]

    @property
    def covered(self) -> set[str]:
        return {path for o in self.outputs if isinstance(o, Covered) for path in o.paths}

    @property
    def gaps(self) -> dict[str, Gap]:
        return {o.gap.path: o.gap for o in self.outputs if isinstance(o, GapSeen)}

    @property
    def places(self) -> list[tuple[str, str, int]]:
        return sorted((f.rule.id, f.location.path, f.location.line) for f in self.findings)


def tree(folder: Path, files: Mapping[str, str | bytes]) -> Tree:
    """The files as the stages would write them."""
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return write_tree(folder, ((path, BlobId(hashlib.sha256(content).hexdigest()), content) for path, content in contents.items()))


def look(scanner: Scanner, folder: Path, files: Mapping[str, str | bytes], *, seconds: float = 120.0, key: bytes = b"") -> Seen:
    """One scan with the installed engine."""
    return Seen(tuple(scanner.scan(ScanRequest(tree(folder, files), seconds, key), installed(scanner))))


def installed(scanner: Scanner) -> World:
    """The engines of this machine; skips the test when they are not there."""
    world = World(engines_dir())
    try:
        scanner.info(world)
    except EngineMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    return world
