"""What the memories of all doubles have in common: a lock, a clock, numbers, and a folder for the repositories."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path


class Memory:
    """Read and change what is in it with `lock` held."""

    def __init__(self, folder: Path, first: Mapping[str, int]) -> None:
        """`first`: kind -> the number that the first of that kind gets."""
        self.folder = folder / "repositories"
        shutil.rmtree(self.folder, ignore_errors=True)  # the rest lives in memory: what an earlier process left is nobody's
        self.folder.mkdir(parents=True)
        self.lock = threading.RLock()
        self.offset = 0.0
        """Seconds that the world's clock is ahead of the machine's."""
        self._ids = {kind: itertools.count(number) for kind, number in first.items()}

    def seconds(self) -> float:
        """Now by the world's clock, in seconds since 1970."""
        return time.time() + self.offset

    def new_id(self, kind: str) -> int:
        """The next number of a kind."""
        return next(self._ids[kind])
