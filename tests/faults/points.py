"""`python -m tests.faults.points COMMAND...`: Fixwright's own command line, in which a process dies or stops where a test says.

Nothing of the product is changed: the interpreter's own profiler looks on, and when the named function is called or left, the process that
is in it gets the signal. Web and relay look for an order when they start, a worker's child when it is forked.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from types import FrameType
from typing import Any, Literal

FOLDER = "FAULT_POINTS"
"""Environment variable: the folder in which orders lie. It begins with no `FIXWRIGHT_`, as it is none of its settings."""

WHERE = signal.SIGUSR2
"""Signal at which a process writes into its log where each of its threads is."""

HANGS = 300.0
"""Seconds; longer than any row waits."""

CLOCK = "FAULT_CLOCK"
"""Environment variable: a file with the seconds by which the process believes the time of day to be later than it is."""

What = Literal["kill", "kill both", "kill parent", "stop", "hang", "hold"]


@dataclass(frozen=True, slots=True)
class Point:
    """An order: the first process that gets there is struck, once."""

    where: str
    """`pipeline.stages.plan:plan`: a module and the qualified name of a function in it."""
    when: Literal["call", "return"] = "call"
    what: What = "kill"
    """`kill parent`: the worker dies and its child goes on; `stop`: SIGSTOP, and whoever ordered it sends SIGCONT; `hang`: it goes nowhere
    and swallows whatever should end it, while its other threads go on; `hold`: the same in a C call that lets no other thread run."""
    skip: int = 0
    """So many times are let pass, in each process."""
    process: str = "worker"
    """`web`, `relay` or `worker`: the last means the child in which a worker does a message."""


@dataclass(frozen=True, slots=True)
class Struck:
    """What happened: to whom, and when by the monotonic clock."""

    pid: int
    parent: int
    above: int
    """The parent's parent: of who works commands the worker of which that is a fork (`bot.worker.serve`)."""
    at: float


def _parent_of(process: int) -> int:
    """Its parent, as proc(5) has it: the second word behind the name, which may hold blanks and brackets itself."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


class Orders:
    """The folder of orders, from the side of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def give(self, point: Point) -> None:
        """From now on whoever gets there is struck. One order at a time. Raises AttributeError when there is no such function."""
        module, _, function = point.where.partition(":")
        code = reduce(getattr, function.split("."), importlib.import_module(module)).__code__
        assert code.co_qualname == function, f"{point.where} is the code of {code.co_qualname}"
        self.clear()
        temporary = self.folder / "order.part"
        temporary.write_text(json.dumps(asdict(point)))
        temporary.rename(self.folder / "order")

    def struck(self) -> Struck | None:
        """Whom it hit; None while it has not."""
        try:
            return Struck(**json.loads((self.folder / "struck").read_text()))
        except (OSError, ValueError):
            return None

    def clear(self) -> None:
        """Nobody is struck any more."""
        for name in ("order", "struck", "taken"):
            (self.folder / name).unlink(missing_ok=True)


def _order(folder: Path) -> Point | None:
    try:
        return Point(**json.loads((folder / "order").read_text()))
    except (OSError, ValueError):
        return None


def _strike(folder: Path, point: Point) -> None:
    try:
        os.close(os.open(folder / "taken", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    temporary = folder / "struck.part"
    temporary.write_text(json.dumps(asdict(Struck(os.getpid(), os.getppid(), _parent_of(os.getppid()), time.monotonic()))))
    temporary.rename(folder / "struck")
    if point.what == "kill both":
        # It would hear of its parent's death before it dies itself, and give back what it holds.
        ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(signal.SIG_IGN))
    if point.what in ("kill both", "kill parent"):
        os.kill(os.getppid(), signal.SIGKILL)
    if point.what in ("kill both", "kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if point.what == "stop":
        while writes_alone(os.getpid(), ("POSIX", "FLOCK")):  # another thread does
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGSTOP)
    if point.what == "hold":
        ctypes.PyDLL(None).sleep(int(HANGS))  # PyDLL: with the interpreter's lock
    until = time.monotonic() + HANGS
    while point.what == "hang" and time.monotonic() < until:
        with contextlib.suppress(BaseException):  # what a time limit raises is lost in it
            time.sleep(1)


def writes_alone(pid: int, kinds: tuple[str, ...] = ("POSIX",)) -> bool:
    """Whether a process is in the middle of what only one may do: nobody can tell of one that is stopped just then that it will not go on.
    POSIX: it writes to SQLite, which has one lock for all of that. FLOCK: a worker's child fetches into a mirror, where others wait for it
    until git's deadline; the worker itself always has one, on its folder. Source: proc(5), /proc/locks:
    `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120`."""
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(words[1] in kinds and words[2:5] == ["ADVISORY", "WRITE", str(pid)] for words in locks)


def _watch(folder: Path, point: Point) -> Callable[[FrameType, str, Any], None]:
    module, _, function = point.where.partition(":")
    name = function.rpartition(".")[2]
    left = [point.skip]

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != point.when or code.co_name != name:
            return
        if code.co_qualname != function or frame.f_globals.get("__name__") != module:
            return
        if left[0] > 0:
            left[0] -= 1
            return
        _strike(folder, point)

    return look


def _look(folder: Path, process: str) -> None:
    point = _order(folder)
    if point is not None and point.process == process:
        watch = _watch(folder, point)
        threading.setprofile(watch)
        sys.setprofile(watch)


def _set_clock(file: Path) -> None:
    """libfaketime would do it from outside, but its clock_nanosleep() refuses what Python 3.11 sleeps with (Debian 12: EINVAL)."""
    true = time.time
    time.time = lambda: true() + float(file.read_text())


def main() -> None:
    """Run the command line below the looking glass."""
    folder, process = Path(os.environ[FOLDER]), sys.argv[1]
    faulthandler.register(WHERE, all_threads=True)
    if clock := os.environ.get(CLOCK):
        _set_clock(Path(clock))
    if process == "worker":
        os.register_at_fork(after_in_child=lambda: _look(folder, "worker"))
    else:
        _look(folder, process)
    runpy.run_module("bot.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
