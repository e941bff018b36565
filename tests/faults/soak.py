"""`make soak`: thousands of events in random order, with random faults from a seed. In the end everything is well, and nothing has grown.

The secrets engine is the real one; Semgrep answers at once, so that what is looked at is Fixwright and not the speed of an engine.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.errors import StoreError
from tests.databases import Postgres, programs, server
from tests.faults.lives import Life
from tests.faults.servers import PAIRS, SQLITE_VALKEY, Pair
from tests.faults.stand import Stand
from tests.worlds.faults import Abort, Status, garbage
from tests.worlds.github.model import Repository

EVENTS, SEED = 2_000, 20_261_122
REPOSITORIES: Final = 8
"""At least; of large runs one for each EVENTS_OF_ONE events, each in an installation of its own: what happens here in minutes would else
use up what the host allows an installation in an hour, and everything would rightly wait for the next one."""
EVENTS_OF_ONE: Final = 100
OPEN_AT_ONCE: Final = 30
BACKLOG: Final = 25
"""Unfinished messages above which no more happens: people do not wait for us, but two cores have to get through it."""
FAULT_EVERY: Final = 12.0
"""Seconds between two faults, on average."""
SETTLING: Final = 300.0
GROWTH_MB, GROWTH_FILES, KEYS = 24.0, 8, 400
"""What a process may have more in the last third than in the second, in MB and descriptors; and keys of the queue, ever."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How big everything is. Of each process: MB of resident memory and open descriptors; and keys of the queue."""

    after: int
    memory: dict[str, float]
    files: dict[str, int]
    keys: int


@dataclass
class Soak:
    """One run."""

    stand: Stand
    chance: random.Random
    lives: list[Life] = field(default_factory=list)
    closed: list[Life] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    repositories: list[Repository] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)

    def run(self, events: int) -> None:
        """Let so many things happen, one after the other, with faults in between; then wait until everything is well."""
        many = max(REPOSITORIES, events // EVENTS_OF_ONE)
        self.repositories = [self.stand.repository(f"soak-{number}", f"team-{number}") for number in range(many)]
        next_fault = time.monotonic() + FAULT_EVERY
        for number in range(events):
            self._happen()
            if number % 50 == 0:
                self._sample(number)
            if time.monotonic() >= next_fault:
                self._strike()
                next_fault = time.monotonic() + self.chance.uniform(0.5, 1.5) * FAULT_EVERY
            self._wait_for_room()
            if number % 200 == 199:
                print(f"{time.strftime('%H:%M:%S')} {number + 1} events, {sum(self.struck.values())} faults", flush=True)
        self.stand.settle_down()
        self._fetch_what_was_refused()
        self._sample(events)

    # --- what happens ---

    def _happen(self) -> None:
        """One event; a choice that is not possible now becomes another pull request."""
        choices: dict[str, tuple[int, Callable[[], bool]]] = {
            "opened": (20, self._open),
            "pushed": (30, self._push),
            "forced": (6, lambda: self._push(force=True)),
            "closed": (12, self._close),
            "reopened": (4, self._reopen),
            "title edited": (6, self._edit),
            "talked": (8, self._talk),
            "delivered again": (10, self._again),
            "pushed to main": (4, self._main),
        }
        full = len(self.lives) >= OPEN_AT_ONCE
        names = [name for name in choices if not (full and name in ("opened", "reopened"))]
        name = self.chance.choices(names, [choices[name][0] for name in names])[0]
        if not choices[name][1]():
            name = "opened"
            self._open()
        self.happened[name] += 1

    def _open(self) -> bool:
        life = Life.begin(self.stand, repository=self.chance.choice(self.repositories))
        self.lives.append(life)
        return True

    def _any(self) -> Life | None:
        return self.chance.choice(self.lives) if self.lives else None

    def _push(self, *, force: bool = False) -> bool:
        life = self._any()
        if life is not None:
            life.push(force=force)
        return life is not None

    def _close(self) -> bool:
        life = self._any()
        if life is not None:
            self.lives.remove(life)
            self.closed.append(life)
            self.stand.world.close("ada", life.pull)
        return life is not None

    def _reopen(self) -> bool:
        if not self.closed:
            return False
        life = self.closed.pop(self.chance.randrange(len(self.closed)))
        self.lives.append(life)
        self.stand.world.reopen("ada", life.pull)
        return True

    def _edit(self) -> bool:
        life = self._any()
        if life is not None:
            self.stand.world.edit_pull_request("ada", life.pull, title=f"Another title {self.chance.random()}")
        return life is not None

    def _talk(self) -> bool:
        life = self._any()
        if life is not None:
            self.stand.world.comment("bert", life.pull, self.chance.choice(("I like it", "/fixwright status", "please, not so fast")))
        return life is not None

    def _again(self) -> bool:
        known = self.stand.world.hooks.deliveries
        self.stand.world.hooks.again(self.chance.choice(known))
        return True

    def _main(self) -> bool:
        repository = self.chance.choice(self.repositories)
        self.stand.made += 1
        self.stand.world.commit(repository, "main", {f"notes/{self.stand.made}.md": f"Note {self.stand.made}\n"}, "A note")
        return True

    def _wait_for_room(self) -> None:
        deadline = time.monotonic() + SETTLING
        while time.monotonic() < deadline:
            with contextlib.suppress(StoreError):
                if self.stand.unfinished() < BACKLOG:
                    return
            self.stand.start()
            time.sleep(0.1)
        raise AssertionError(f"it is stuck\n{self.stand.tails()}")

    # --- what breaks ---

    def _strike(self) -> None:
        stand, parts = self.stand, self.stand.parts
        worker = parts[self.chance.choice(("worker-1", "worker-2"))]

        def child() -> None:
            for pid in worker.children():
                with contextlib.suppress(ProcessLookupError):
                    stand.signal(pid, signal.SIGKILL)

        def both() -> None:
            child()
            worker.kill()

        def lost_queue() -> None:
            stand.queue.kill()
            stand.queue.start()

        def emptied() -> None:
            with stand.queue.client() as client:
                client.flushall()

        def frozen() -> None:
            stand.queue.freeze()
            time.sleep(3)
            stand.queue.thaw()

        def sick() -> None:
            action = self.chance.choice((Status(502), Status(502, after_work=True), Abort(), Abort(after_work=True), garbage()))
            stand.world.faults.add("*", self.chance.choice(("/repos/", "/check-runs", "/pulls/", "[.]git/")), action, times=3)

        faults: dict[str, Callable[[], object]] = {
            "child killed": child,
            "worker and child killed": both,
            "worker killed": worker.kill,
            "worker stopped": lambda: worker.stop(40),
            "relay killed": parts["relay"].kill,
            "web killed": parts["web"].kill,
            "queue restarted": lost_queue,
            "queue emptied": emptied,
            "queue frozen": frozen,
            "host sick": sick,
        }
        name = self.chance.choice(list(faults))
        faults[name]()
        self.struck[name] += 1
        stand.start()

    def _fetch_what_was_refused(self) -> None:
        """What came while the web process was down is fetched from the host when the relay starts, and then hourly; so it starts again."""
        self.stand.world.hooks.wait()
        self.stand.quiet(SETTLING)
        self.stand.parts["relay"].stop()
        self.stand.start("relay")
        deadline = time.monotonic() + SETTLING
        while (problems := self.problems()) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not problems, "\n".join([*problems[:20], self.stand.tails()])

    # --- what is looked at ---

    def problems(self) -> list[str]:
        """What is not as it must be in the end."""
        try:
            found = [problem for life in self.lives for problem in life.problems()]
            unfinished, dead = self.stand.unfinished(), self.stand.dead()
        except StoreError as error:
            return [error.message]
        for life in self.closed:
            checks = [check for head in life.heads for check in self.stand.world.checks(life.repository, head)]
            found += [f"#{life.pull.number} is closed and a check is {check.status}" for check in checks if check.status != "completed"]
            found += [f"#{life.pull.number}: a false success" for check in checks if check.conclusion == "success"]
        found += [f"{unfinished} unfinished"] if unfinished else []
        found += [f"given up: {dead}"] if dead else []
        if not found:
            found += [f"left: {left}" for left in (*self.stand.strays(), *self.stand.folders_left(), *self.stand.locks_left())]
            found += [f"the double: {violation}" for violation in self.stand.world.violations]
        return found

    def _sample(self, after: int) -> None:
        memory, files = dict[str, float](), dict[str, int]()
        for name, part in self.stand.parts.items():
            with contextlib.suppress(OSError, StopIteration, AssertionError):
                status = Path(f"/proc/{part.pid}/status").read_text()
                memory[name] = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
                files[name] = len(list(Path(f"/proc/{part.pid}/fd").iterdir()))
        with self.stand.queue.client() as client:
            self.samples.append(Sample(after, memory, files, int(client.dbsize())))

    def grown(self) -> list[str]:
        """What is bigger in the last third than it was in the second."""
        third = len(self.samples) // 3
        before, after = self.samples[third : 2 * third], self.samples[2 * third :]
        found = []
        for name in self.stand.parts:
            mb = _most([s.memory[name] for s in after if name in s.memory]) - _most([s.memory[name] for s in before if name in s.memory])
            fds = _most([s.files[name] for s in after if name in s.files]) - _most([s.files[name] for s in before if name in s.files])
            found += [f"{name}: {mb:+.0f} MB"] if mb > GROWTH_MB else []
            found += [f"{name}: {fds:+.0f} descriptors"] if fds > GROWTH_FILES else []
        keys = max(sample.keys for sample in self.samples)
        return found + ([f"{keys} keys in the queue"] if keys > KEYS else [])

    def report(self) -> str:
        """For people: what happened, what broke, how big everything was."""
        lines = [f"events: {dict(self.happened)}", f"faults: {dict(self.struck)}", "after  keys  " + "  ".join(self.stand.parts)]
        for sample in self.samples[:: max(1, len(self.samples) // 10)]:
            sizes = "  ".join(f"{sample.memory.get(n, 0):.0f} MB/{sample.files.get(n, 0)}" for n in self.stand.parts)
            lines.append(f"{sample.after:5}  {sample.keys:4}  {sizes}")
        return "\n".join(lines)


def _most(values: Sequence[float]) -> float:
    return max(values, default=0.0)


def main() -> int:
    """0: everything was well in the end and nothing had grown; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--pair", choices=[pair.name for pair in PAIRS], default=SQLITE_VALKEY.name)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its processes end with it
    pair = next(pair for pair in PAIRS if pair.name == args.pair)
    print(f"seed {args.seed}; the same again: make soak ARGS='--seed {args.seed} --events {args.events} --pair {pair.name}'", flush=True)
    if pair.database == "sqlite":
        return soak(pair, None, args.events, args.seed)
    if programs() is None:
        print("PostgreSQL is not installed", file=sys.stderr)
        return 2
    with server() as postgres:
        return soak(pair, postgres, args.events, args.seed)


def soak(pair: Pair, postgres: Postgres | None, events: int, seed: int) -> int:
    """See `main`."""
    begun = time.monotonic()
    with Stand.open(pair, postgres, quick_semgrep=True) as stand:
        run = Soak(stand, random.Random(seed))
        try:
            run.run(events)
        except AssertionError as error:
            print(f"{run.report()}\nFAILED: {error}")
            return 1
        grown = run.grown()
        print(run.report())
    print(
        f"{events} events, {sum(run.struck.values())} faults, {time.monotonic() - begun:.0f} s: "
        + ("all is well" if not grown else f"grown: {grown}")
    )
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
