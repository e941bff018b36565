"""What processes take while something goes on: memory, and the time that honest deliveries wait."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from types import TracebackType

import httpx

from pipeline.sandbox.supervise import descendants
from tests.faults.hosts import Parcel
from tests.faults.stand import Stand
from tests.worlds.github.hooks import Delivery

LOOK_SECONDS = 0.02


def resident(pid: int) -> int:
    """Bytes that a process holds in memory; 0 when it has ended. Source: proc(5), VmRSS."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _is_ours(pid: int) -> bool:
    """True for Fixwright's own Python, a fork of it too; False for git and engines."""
    try:
        return b"tests.faults.points" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Memory:
    """The most that any single process below some parts held, looked at fifty times a second.

    Attributes:
        ours: bytes of the largest of Fixwright's own processes, `programs` of the largest git or engine below them.
        grew: bytes by which the largest of Fixwright's own is above the largest at the beginning.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._before = max(resident(pid) for pid in self._pids)
        self.ours, self.programs = self._before, 0

    @property
    def grew(self) -> int:
        """See above."""
        return self.ours - self._before

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            for part in self._pids:
                for pid in (part, *descendants(part)):
                    if pid == part or _is_ours(pid):
                        self.ours = max(self.ours, resident(pid))
                    else:
                        self.programs = max(self.programs, resident(pid))


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the web process to a delivery. `status` 0: none; `seconds` until it was there."""

    status: int
    seconds: float


def again_as_new(delivery: Delivery) -> Delivery:
    """The same event under an identity that was never seen: it is taken, written down and worked, and changes nothing."""
    identity = str(uuid.uuid4())
    return replace(delivery, id=identity, headers=delivery.headers | {"X-GitHub-Delivery": identity}, attempts=[])


def send(client: httpx.Client, stand: Stand, parcel: Parcel) -> Answer:
    """Deliver it, and time it."""
    begun = time.monotonic()
    try:
        status = client.post(f"{stand.url}{stand.host.path}", content=parcel.body, headers=parcel.headers).status_code
    except httpx.HTTPError:
        status = 0
    return Answer(status, time.monotonic() - begun)


class Visitors:
    """Honest deliveries that come in while something goes on, one after the other at a steady pace, on one connection.

    One in five is a push, which somebody has to work; the others are written down, and that is all.

    Args:
        every: seconds between two.
    """

    def __init__(self, stand: Stand, every: float = 0.1) -> None:
        self._stand, self._every = stand, every
        (*_, suite), (*_, push) = stand.world.hooks.of("check_suite", "requested"), stand.world.hooks.of("push")
        self._kinds = cycle((suite, suite, push, suite, suite))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._come, name="visitors", daemon=True)
        self.answers: list[Answer] = []
        self.sent: list[str] = []
        """Their identities."""

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join(30)

    def _come(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._end.wait(self._every):
                delivery = again_as_new(next(self._kinds))
                self.sent.append(delivery.id)
                self.answers.append(send(client, self._stand, delivery))

    @property
    def refused(self) -> list[int]:
        """Statuses of those that were not taken."""
        return [answer.status for answer in self.answers if not 200 <= answer.status < 300]


def p99(answers: Sequence[Answer]) -> float:
    """Seconds within which 99 of 100 were answered; of fewer than 100 the slowest counts."""
    assert answers, "nobody came"
    times = sorted(answer.seconds for answer in answers)
    return times[-(-len(times) * 99 // 100) - 1]
