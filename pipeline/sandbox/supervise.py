"""Watching one running program: its clock, its output, its memory, and its end.

Nothing here decides what a program may see (`isolation`); it only makes sure that it ends, that all its children end with it, and that it
cannot fill our memory with its output.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from resource import struct_rusage
from typing import IO

from pipeline.errors import Superseded

_CHUNK = 65_536
_MEMORY_EVERY = 0.05
"""Seconds between two looks at the memory of all processes together."""
_GRACE = 1.0
"""Seconds that an already killed program may keep its pipes open."""
_NO_MEMORY = re.compile(rb"out of memory|memory exhausted|cannot allocate memory|MemoryError|bad_alloc|Out_of_memory", re.IGNORECASE)
_FATAL_SIGNALS = frozenset(range(1, 32))
_ASK_EVERY = 0.25
"""Seconds between two questions whether anybody still waits for what a program says."""
_ENDED_WHEN: contextvars.ContextVar[Callable[[], bool] | None] = contextvars.ContextVar("ended_when", default=None)


@contextlib.contextmanager
def ended_when(cancelled: Callable[[], bool]) -> Iterator[None]:
    """Programs that this thread starts within are ended, with all their children, soon after `cancelled` has become true.

    Args:
        cancelled: asked four times a second while one runs.

    Raises:
        Superseded: out of whatever waited for the program.
    """
    before = _ENDED_WHEN.set(cancelled)
    try:
        yield
    finally:
        _ENDED_WHEN.reset(before)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use before it is killed."""

    wall: float = 120.0
    """Seconds on the clock, for the program and all its children."""
    cpu: float = 120.0
    """Seconds of processor time, for each process (RLIMIT_CPU)."""
    memory: int = 2 << 30
    """Bytes of anonymous and shared memory, for all processes together (looked at 20 times a second) and for each (RLIMIT_DATA).
    Not RLIMIT_AS: Go, OCaml and V8 reserve address space that they never use."""
    file_size: int = 256 << 20
    """Bytes of the largest file it may write, and of the private /tmp as a whole."""
    processes: int = 256
    """Processes and threads at one time. Not applied to a trusted program, whose processes count with all others of the user."""
    output: int = 64 << 20
    """Bytes of standard output, and again of standard error; a program that writes more is killed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. At most one of the three reasons of ours is the cause of death; all False: it ended by itself."""

    exit_code: int
    """0 to 255; 128 + signal when a signal ended it."""
    stdout: bytes
    stderr: bytes
    seconds: float
    """On the clock."""
    timed_out: bool
    """It used up its wall-clock or processor time."""
    out_of_memory: bool
    """It asked for more memory than its limit."""
    truncated: bool
    """It wrote more than `Limits.output`: `stdout` and `stderr` are the beginnings."""
    signal: int
    """Number of the signal that ended it, 0 for none. A program inside a sandbox that itself exits with 128 + n looks the same."""

    @property
    def ok(self) -> bool:
        """It ended by itself, with exit code 0."""
        return self.exit_code == 0 and not (self.timed_out or self.out_of_memory or self.truncated)


@dataclass(slots=True)
class _Pipes:
    """Non-blocking reading of both outputs and writing of the input."""

    process: subprocess.Popen[bytes]
    limit: int
    stdin: memoryview
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    collected: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    truncated: bool = False
    open: int = 0

    def __post_init__(self) -> None:
        for name in ("stdout", "stderr"):
            self._watch(getattr(self.process, name), selectors.EVENT_READ, name)
            self.open += 1
        if self.process.stdin is not None:
            self._watch(self.process.stdin, selectors.EVENT_WRITE, "stdin")

    def _watch(self, stream: IO[bytes], event: int, name: str) -> None:
        os.set_blocking(stream.fileno(), False)
        self.selector.register(stream, event, name)

    def step(self, seconds: float) -> None:
        """Move what can be moved, waiting at most `seconds` for something to happen."""
        for key, _ in self.selector.select(max(seconds, 0.0)):
            stream = key.fileobj
            if key.data == "end" or isinstance(stream, int):
                continue
            if key.data == "stdin":
                self._write(key)
            else:
                self._read(key)

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            sent = os.write(key.fd, self.stdin[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # the program closed its input: it does not want the rest
            sent = len(self.stdin)
        self.stdin = self.stdin[sent:]
        if not self.stdin:
            self._close(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self.open -= 1
            self._close(key)
            return
        held = self.collected[key.data]
        room = self.limit - len(held)
        held += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room

    def _close(self, key: selectors.SelectorKey) -> None:
        self.selector.unregister(key.fileobj)
        with contextlib.suppress(OSError):  # flushing into a closed pipe
            getattr(self.process, key.data).close()

    def close(self) -> None:
        """Let go of everything that is still open."""
        for key in list(self.selector.get_map().values()):
            if key.data != "end":
                self._close(key)
        self.selector.close()


def supervise(process: subprocess.Popen[bytes], limits: Limits, stdin: bytes = b"") -> Finished:
    """Wait for a program that was started in a session of its own, within its limits; afterwards none of its processes is left.

    Args:
        process: with pipes for standard output and error, and for standard input when `stdin` is not empty.
        limits: `wall`, `memory` and `output` are enforced here; the others by the kernel, set by whoever started it.
        stdin: what it reads; a program that stops reading is no error.

    Raises:
        Superseded: see `ended_when`.
    """
    started = time.monotonic()
    cancelled, next_question = _ENDED_WHEN.get(), started + _ASK_EVERY
    pipes = _Pipes(process, limits.output, memoryview(stdin))
    end = _end_notice(process.pid, pipes.selector)
    timed_out = out_of_memory = False
    next_look = started + _MEMORY_EVERY
    ended = None
    try:
        while ended is None:
            now = time.monotonic()
            if now >= started + limits.wall:
                timed_out = True
            elif now >= next_look:
                out_of_memory = memory_of(process.pid) > limits.memory
                next_look = now + _MEMORY_EVERY
            if cancelled is not None and now >= next_question:
                next_question = now + _ASK_EVERY
                if cancelled():
                    raise Superseded("nobody waits any more for what this program says")
            if timed_out or out_of_memory or pipes.truncated:
                kill_tree(process.pid)
                ended = os.wait4(process.pid, 0)
                break
            pipes.step(min(next_look, started + limits.wall) - now if end is not None else 0.005)
            ended = _reap(process.pid)
        process.returncode = os.waitstatus_to_exitcode(ended[1])  # Popen did not see the end: os.wait4 took it
        kill_group(process.pid)  # what it left behind
        last = time.monotonic() + _GRACE
        while pipes.open and not pipes.truncated and time.monotonic() < last:
            pipes.step(last - time.monotonic())
    except BaseException:  # an interrupted worker leaves nothing running
        kill_tree(process.pid)
        process.wait()
        raise
    finally:
        pipes.close()
        if end is not None:
            os.close(end)
    cpu_spent = ended[2].ru_utime + ended[2].ru_stime >= limits.cpu
    return _finished(process.returncode, pipes, time.monotonic() - started, timed_out, out_of_memory, cpu_spent)


def _finished(code: int, pipes: _Pipes, seconds: float, timed_out: bool, out_of_memory: bool, cpu_spent: bool) -> Finished:
    """Tell the reasons apart. The kernel's own limits show only in how the program died and in its last words."""
    number = -code if code < 0 else (code - 128 if code - 128 in _FATAL_SIGNALS else 0)
    exit_code = 128 - code if code < 0 else code
    stderr = bytes(pipes.collected["stderr"])
    if not (timed_out or out_of_memory or pipes.truncated) and exit_code:
        timed_out = number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_spent)
        out_of_memory = not timed_out and _NO_MEMORY.search(stderr[-8192:]) is not None
    return Finished(
        exit_code=exit_code,
        stdout=bytes(pipes.collected["stdout"]),
        stderr=stderr,
        seconds=seconds,
        timed_out=timed_out,
        out_of_memory=out_of_memory,
        truncated=pipes.truncated and not timed_out and not out_of_memory,
        signal=number,
    )


def _end_notice(pid: int, selector: selectors.BaseSelector) -> int | None:
    """A descriptor that becomes readable when the process ends (pidfd_open(2), Linux 5.3); None where there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    selector.register(descriptor, selectors.EVENT_READ, "end")
    return descriptor


def _reap(pid: int) -> tuple[int, int, struct_rusage] | None:
    """How `pid` ended, None while it runs."""
    ended = os.wait4(pid, os.WNOHANG)
    return ended if ended[0] == pid else None


def kill_group(pid: int) -> None:
    """Kill the process group that `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """Kill a process with all its descendants, also those that left its group.

    They are stopped first, so that a program that forks without end does not outrun us; the root goes last, because it may be the
    one to which orphans fall (PR_SET_CHILD_SUBREAPER).
    """
    for _ in range(50):
        below = [child for child in descendants(pid) if not _is_zombie(child)]
        if not below:
            break
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for child in below:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, number)
        time.sleep(0.005)
    kill_group(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _is_zombie(pid: int) -> bool:
    """True when it is dead and only waits for its parent to ask (third field of /proc/pid/stat, after the name in brackets)."""
    return text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] in ([], ["Z"], ["X"])


def descendants(pid: int) -> Iterator[int]:
    """Processes below `pid` at this moment, parents before children. Source: proc(5), /proc/pid/task/tid/children."""
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for task in _listed(Path(f"/proc/{parent}/task")):
            children = [int(word) for word in text_of(task / "children").split()]
            waiting += children
            yield from children


def memory_of(pid: int) -> int:
    """Bytes of anonymous and shared memory that `pid` and its descendants hold now; program text and mapped files do not count."""
    total = 0
    for process in (pid, *descendants(pid)):
        for line in text_of(Path(f"/proc/{process}/status")).splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # ended meanwhile
        return []


def text_of(path: Path) -> str:
    """What a file of /proc says; empty when there is none (any more) or it is hidden from us."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # ended meanwhile, or a kernel without this file
        return ""
