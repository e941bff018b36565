"""Programs in the sandbox that lost whom they worked for.

Each asks the kernel to be killed with its parent, and nearly always that is enough. But who starts a sandbox is several processes, each of
which asks only once it runs: one whose parent is killed in the milliseconds before that is never told. bubblewrap's inner process (0.8.0)
then waits for ever for a word from its dead outer one. So every such program carries on its command line whom it works for, and whoever
comes next on the machine ends those of the dead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
from pathlib import Path

from pipeline.sandbox.isolation import SANDBOX_USER
from pipeline.sandbox.supervise import text_of

log = logging.getLogger(__name__)

_MARK = re.compile(r"fixwright-owner-(?P<namespace>\d+)-(?P<pid>\d+)-(?P<birth>\d+)")
_PROC = Path("/proc")


def mark() -> str:
    """Who we are, as a word on a command line: the process namespace in which our number counts, our number, and when we were born, because
    numbers are given again (proc(5): start time in clock ticks since boot). It says nothing that a hostile program could use."""
    return f"fixwright-owner-{_namespace()}-{os.getpid()}-{_birth(os.getpid())}"


def end_orphans() -> int:
    """Kill the programs whose owner is dead; how many. Only our own and the sandbox user's, and only of our process namespace: in another
    one the same number is somebody else."""
    ended = sum(_kill(pid, owner) for pid, owner in marked() if not _lives(owner))
    if ended:
        log.info("sandbox.orphans_ended", extra={"processes": ended})
    return ended


def marked() -> list[tuple[int, str]]:
    """The programs that say whom they work for, and what each says."""
    users = {os.geteuid()} | ({SANDBOX_USER} if os.geteuid() == 0 else set())
    try:
        numbers = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    except OSError:  # no /proc, and nothing to be seen
        return []
    said = ((pid, _owner(pid)) for pid in numbers)
    return [(pid, owner) for pid, owner in said if owner and _user(pid) in users]


def _lives(owner: str) -> bool:
    """Whether it lives, or may live where we cannot see it."""
    found = _MARK.fullmatch(owner)
    return found is None or found["namespace"] != _namespace() or _birth(int(found["pid"])) == found["birth"]


def _user(pid: int) -> int | None:
    """Its real user. Not the owner of its folder in /proc: that is root for a program that may not be looked into."""
    for line in text_of(_PROC / str(pid) / "status").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return None


def _owner(pid: int) -> str:
    """Whom a process works for; empty when it does not say."""
    words = text_of(_PROC / str(pid) / "cmdline").split("\0")
    return next((word for word in words if _MARK.fullmatch(word)), "")


def _kill(pid: int, owner: str) -> bool:
    """Kill a process if it is still the one that said so."""
    with contextlib.suppress(OSError):  # it ended meanwhile
        handle = os.pidfd_open(pid)
        try:
            if _owner(pid) == owner:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False


def _namespace() -> str:
    """Number of our process namespace: pid_namespaces(7), `pid:[4026531836]`."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return "0"


def _birth(pid: int) -> str:
    """When a process was born, in clock ticks since boot; empty when it is dead, also while its parent has not asked for its end.
    Fields 3 and 22 of /proc/pid/stat, after the name in brackets."""
    fields = text_of(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return "" if not fields or fields[0] in "ZX" else fields[19]
