"""A fork that goes on beside its parent: started again when it falls, gone when the parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PARENT = """
import signal, sys, time
from pathlib import Path
from pipeline.sandbox import fork

fork.AGAIN_SECONDS = 0.0
def work():
    with open(sys.argv[1], "a") as file:
        file.write("begun\\n")
    time.sleep(600)

beside = fork.Fork("beside", work)
for line in sys.stdin:
    getattr(beside, line.strip())()
    print(beside.pid, flush=True)
"""


class Parent:
    """A process with one fork, which does what it is told."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "said"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(self._said)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, word: str) -> int:
        """Have a method called; the number of the fork after that."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def begun(self) -> int:
        """How many forks have begun to work."""
        return self._said.read_text().count("begun") if self._said.exists() else 0


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def _wait(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_it_is_started_once_and_again_when_it_fell(parent: Parent) -> None:
    first = parent.tell("keep")
    _wait(lambda: parent.begun() == 1)
    assert Path(f"/proc/{first}/comm").read_text().strip() == "beside"
    assert parent.tell("keep") == first
    os.kill(first, signal.SIGKILL)
    _wait(lambda: not _lives(first))
    second = parent.tell("keep")
    assert second not in (0, first)
    _wait(lambda: parent.begun() == 2)
    assert parent.tell("stop") == 0
    assert not _lives(second)
    assert parent.tell("keep") == 0


def test_it_does_not_outlive_its_parent(parent: Parent) -> None:
    child = parent.tell("keep")
    _wait(parent.begun)
    parent.process.kill()
    _wait(lambda: not _lives(child))
