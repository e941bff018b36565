"""The matrix: each fault is a function with its number and its name; `run_one` breaks, mends, and waits until everything is well."""

from __future__ import annotations

import importlib
import pkgutil
import random
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pipeline.errors import StoreError
from tests.faults.hosts import HERE, Home, HostName
from tests.faults.lives import Life, Seen
from tests.faults.points import Point, Struck
from tests.faults.stand import Stand

KILLED, ANY = 15.0, 30.0
"""Seconds within which a killed worker's work goes on in other hands, and all is well after anything else: what docs/reliability.md
promises."""
SETTLING: Final = 90.0
"""Seconds that a run is waited for; one that needs longer than it may is a failure all the same, but one with a number."""

Names = Literal["database", "queue"]


class DidNotStrike(Exception):
    """What was to break was never met: the run proves nothing."""


class NotChecked(Exception):
    """Something that this fault needs is not here; its text names it."""


@dataclass
class Run:
    """One fault at one step: what its function works with."""

    stand: Stand
    alike: Seen
    step: str
    random: random.Random
    changes: int
    """Pull requests that a row begins when it has no number of its own."""
    lives: list[Life] = field(default_factory=list)
    given_up: int = 0
    """Messages that must be dead in the end."""
    more: list[Callable[[], list[str]]] = field(default_factory=list)
    """Problems that only this row knows of."""
    _awaited: str = ""
    """The blow that has not hit yet."""
    _cured: float | None = None
    _took_over: float | None = None

    def begin(self, repository: Home | None = None, *, alike: bool = True, draft: bool = False) -> Life:
        """A person opens a pull request whose end is part of the row."""
        life = Life.begin(self.stand, self.alike if alike else None, repository, draft=draft)
        self.lives.append(life)
        return life

    def begin_all(self) -> list[Life]:
        """As many as a row begins."""
        return [self.begin() for _ in range(self.changes)]

    def strike(self, point: Point, seconds: float = 60.0) -> Callable[[], Struck]:
        """Order a blow; the answer waits until it has hit. A function of the host's provider may go by `HERE` and its common name.

        Raises DidNotStrike (the answer does) when nobody came there within `seconds`.
        """
        if point.where.startswith(HERE):
            point = replace(point, where=self.stand.host.functions[point.where.removeprefix(HERE)])
        self.stand.orders.give(point)
        self._awaited = f"{point.where} in {point.process}"
        return lambda: self._hit(seconds)

    def _hit(self, seconds: float) -> Struck:
        deadline = time.monotonic() + seconds
        while (struck := self.stand.orders.struck()) is None:
            if time.monotonic() > deadline:
                raise DidNotStrike(self._awaited)
            time.sleep(0.05)
        self._awaited = ""
        return struck

    def missed(self) -> list[str]:
        """What was ordered and has never struck."""
        return [*([self._awaited] if self._awaited else []), *self.stand.host.world.faults.untouched]

    def cured(self, at: float | None = None) -> None:
        """The fault is over, now or at a moment of the monotonic clock: from here on it is timed."""
        self._cured = time.monotonic() if at is None else at

    def taken_over(self, struck: Struck, seconds: float = SETTLING) -> None:
        """Wait until what the struck worker held is in other hands, or done: that is what is timed of a killed worker.

        `struck` is a worker's child, or was one: messages are held in the name of the worker, or of its fork for commands.
        """
        known = self.stand.is_known(struck.parent) or self.stand.is_known(struck.above)
        assert known, f"what a worker {struck.parent} holds cannot be found: it goes by another name"
        held = self.stand.held_by(struck.parent)
        self.stand.wait("somebody who goes on", lambda: not (held & self.stand.held_by(struck.parent)), seconds)
        self._took_over = time.monotonic() - struck.at
        self.cured(struck.at)
        self.stand.start()  # whoever supervises starts it again, and it clears what the dead one left

    @property
    def since(self) -> float:
        """When the fault was over."""
        assert self._cured is not None, "the row never said when its fault was over"
        return self._cured

    @property
    def took_over(self) -> float | None:
        """Seconds after which a killed worker's message was in other hands; None when no worker was killed."""
        return self._took_over

    def well(self, seconds: float = 60.0) -> None:
        """Wait until nothing is wrong any more, while the fault goes on."""
        deadline = time.monotonic() + seconds
        while problems := self.problems():
            assert time.monotonic() < deadline, f"not well within {seconds:.0f} s: {'; '.join(problems)}"
            time.sleep(0.2)

    def make_room(self) -> None:
        """Somebody closes what we opened: only so many pull requests of fixes are open in a repository, and the rows share one."""
        standing = [one for life in self.lives for one in self.stand.host.proposals(life.home) if one.is_open]
        for one in standing:
            if one.is_open:
                one.close()
        if standing:
            self.stand.quiet()

    def problems(self) -> list[str]:
        """What is not well yet."""
        try:
            found = [problem for life in self.lives for problem in life.problems()]
            unfinished, dead = self.stand.unfinished(), self.stand.dead()
        except StoreError as error:
            return [f"the database: {error.message}"]
        if unfinished:
            found.append(f"{unfinished} messages are unfinished")
        if len(dead) != self.given_up:
            found.append(f"{len(dead)} messages were given up, expected {self.given_up}: {dead}")
        if not found:  # what takes longer to look at
            found += [f"left behind: {left}" for left in (*self.stand.strays(), *self.stand.folders_left(), *self.stand.locks_left())]
            found += [f"a review has not ended: {review}" for review in self.stand.unended()]
            found += [f"a secret can be read: {place}" for place in self.stand.told()]
            found += [f"the double: {violation}" for violation in self.stand.host.world.violations]
            found += [problem for look in self.more for problem in look()]
        return found


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix.

    Args:
        number: of the row in the plan; several functions may share one.
        steps: where it strikes, each a run of its own.
        quick: the steps that belong to the fast subset.
        within: seconds in which all must be well once it is over.
        names: what else than the whole pairs it must run on.
        alone: True when it needs a stand of its own, as what it does is not undone.
        hosts: before which it runs.
    """

    number: int
    title: str
    strike: Callable[[Run], None]
    steps: tuple[str, ...]
    quick: tuple[str, ...]
    within: float
    names: tuple[Names, ...]
    alone: bool
    hosts: tuple[HostName, ...]

    @property
    def key(self) -> str:
        """Number and name of its function."""
        return f"{self.number:02d} {self.strike.__name__}"


MATRIX: list[Fault] = []
EVERY: Final[tuple[HostName, ...]] = ("github", "gitlab")
"""Hosts of a row that names none."""


def fault(
    number: int,
    title: str,
    *,
    steps: Sequence[str] = ("",),
    quick: Sequence[str] = (),
    within: float = ANY,
    names: Sequence[Names] = (),
    alone: bool = False,
    hosts: Sequence[HostName] = ("github",),
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Put a function into the matrix."""
    assert set(quick) <= set(steps), "only a step that there is can be quick"

    def register(strike: Callable[[Run], None]) -> Callable[[Run], None]:
        MATRIX.append(Fault(number, title, strike, tuple(steps), tuple(quick), within, tuple(names), alone, tuple(hosts)))
        return strike

    return register


def rows() -> list[Fault]:
    """All of them, in the order of their numbers."""
    if not MATRIX:
        from tests.faults import rows as package

        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")
    return sorted(MATRIX, key=lambda fault: fault.key)


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended. `recovery`: seconds from the end of the fault until all was well."""

    pair: str
    key: str
    step: str
    seed: int
    passed: bool
    recovery: float
    said: str = ""
    """What was wrong, or what is missing when it was not checked."""
    checked: bool = True
    commit: str = ""
    """Of what was measured; with a `+` when the tree had changes."""


def run_one(stand: Stand, alike: Seen, fault: Fault, step: str, *, seed: int, changes: int) -> Result:
    """Break, mend, wait. Never raises: a row that fails says why."""
    chance = random.Random(f"{seed} {fault.key} {step}")
    run = Run(stand, alike, step, chance, changes)
    run.given_up = len(stand.dead())
    names = (stand.pair.name, fault.key, step, seed)
    try:
        fault.strike(run)
        missed = run.missed()
        if missed:
            raise DidNotStrike("; ".join(missed))
        problems, recovery = _settle(run)
        if not problems:
            run.make_room()
    except DidNotStrike as missed:
        return Result(*names, passed=False, recovery=0.0, said=f"did not strike: {missed}\n{stand.tails()}")
    except NotChecked as missing:
        return Result(*names, passed=False, recovery=0.0, said=str(missing), checked=False)
    except Exception:  # noqa: BLE001  # the boundary of a row: whatever it met is its result
        return Result(*names, passed=False, recovery=0.0, said=traceback.format_exc()[-6_000:])
    finally:
        stand.settle_down()
    if recovery > fault.within and not problems:
        problems = [f"it took {recovery:.1f} s, at most {fault.within:.0f} s are promised"]
    said = "\n".join([*problems, stand.tails()]) if problems else ""
    return Result(*names, passed=not problems, recovery=recovery, said=said)


def _settle(run: Run) -> tuple[list[str], float]:
    """What is still wrong after SETTLING seconds, and how long it took until nothing was."""
    while True:
        problems = run.problems()
        took = time.monotonic() - run.since
        if not problems or took > SETTLING:
            return problems, took if run.took_over is None else run.took_over
        time.sleep(0.1)


def steps_of(faults: Sequence[Fault], *, quick: bool) -> Iterator[tuple[Fault, str]]:
    """Each run, in order."""
    for one in faults:
        for step in one.quick if quick else one.steps:
            yield one, step
