"""`make faults`: the whole matrix, its results a line each in build/faults, and the table in docs/reliability.md.

It can be stopped and started again: what passed with the same seed is not run again (`--anew` forgets it). Three pairs of servers run at a
time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from tests.databases import Postgres, programs, server
from tests.faults.lives import faultless
from tests.faults.matrix import EVERY, Fault, Result, rows, run_one, steps_of
from tests.faults.servers import PAIRS, WHOLE, Pair, QueueServer
from tests.faults.stand import ROOT, Stand
from tests.faults.table import render, write_page

RESULTS = ROOT / "build" / "faults"
PAGE = ROOT / "docs" / "reliability.md"
SEED = 20_261_122
CHANGES = 2


def main() -> int:
    """0: all passed; 1: some did not; 2: usage."""
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what a row has mounted or stopped is put right on the way out
    pairs = [pair for pair in PAIRS if (not args.pair or pair.name in args.pair) and args.host in (None, pair.host)]
    if args.list:
        print(
            "\n".join(f"{pair.name:23} {fault.key}{f' ({step})' if step else ''}" for pair in pairs for fault, step in _steps(pair, args))
        )
        return 0
    args.results.mkdir(parents=True, exist_ok=True)
    if args.anew:
        for pair in pairs:
            _forget(_results(args.results, pair), args.row)
    print(f"seed {args.seed}; the same again: make faults ARGS='--seed {args.seed}'")
    begun = time.monotonic()
    if len(pairs) == 1:
        with _postgres(pairs[0]) as postgres:
            _run_pair(pairs[0], postgres, args)
    else:
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda pair: _apart(pair, args), pairs))
    results = [one for pair in PAIRS for one in read(_results(args.results, pair), args.seed)]
    print(render(results))
    print(f"{len(results)} runs, {time.monotonic() - begun:.0f} s this time")
    if absent := _absent(pairs, results, args):
        print(f"{len(absent)} runs never came to an end, the first: {' '.join(absent[0])}; start it again")
        return 1
    if args.write and not (args.row or args.name or args.pair or args.host or args.quick):
        write_page(PAGE, results, args.seed)
    return 0 if results and all(one.passed for one in results if one.checked) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--row", type=int, action="append", help="only this row of the matrix; may be repeated")
    parser.add_argument("--step", help="only this step")
    parser.add_argument("--name", default="", help="only rows whose function has this in its name")
    parser.add_argument("--pair", action="append", choices=[pair.name for pair in PAIRS], help="only these servers")
    parser.add_argument("--host", choices=EVERY, help="only before this host")
    parser.add_argument("--list", action="store_true", help="name the runs, and begin none")
    parser.add_argument("--quick", action="store_true", help="only the fast subset")
    parser.add_argument("--anew", action="store_true", help="forget what passed before (of these rows, with --row)")
    parser.add_argument("--changes", type=int, default=CHANGES, help="pull requests of a run")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results, a file a pair, a line a run")
    parser.add_argument("--jobs", type=int, default=3, help="pairs of servers at a time")
    return parser.parse_args()


def _results(folder: Path, pair: Pair) -> Path:
    return folder / f"{pair.name}.jsonl"


def _absent(pairs: Sequence[Pair], results: Sequence[Result], args: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Pair, row and step of what was to be run and has no result: its process died, or was stopped."""
    there = {(one.pair, one.key, one.step) for one in results}
    wanted = [(pair.name, fault.key, step) for pair in pairs for fault, step in _steps(pair, args)]
    return [run for run in wanted if run not in there]


def _steps(pair: Pair, args: argparse.Namespace) -> list[tuple[Fault, str]]:
    return [(fault, step) for fault, step in steps_of(_wanted(pair, args), quick=args.quick) if args.step in (None, step)]


def _apart(pair: Pair, args: argparse.Namespace) -> None:
    """One pair in a process of its own: signals and the profiler belong to processes."""
    command = [sys.executable, "-m", "tests.faults", "--pair", pair.name, "--seed", str(args.seed), "--changes", str(args.changes)]
    command += ["--results", str(args.results), *(["--quick"] if args.quick else []), *(["--step", args.step] if args.step else [])]
    for row in args.row or ():
        command += ["--row", str(row)]
    command += ["--name", args.name] if args.name else []
    subprocess.run(command, cwd=ROOT, check=False)


@contextmanager
def _postgres(pair: Pair) -> Iterator[Postgres | None]:
    if pair.database != "postgresql" or programs() is None:
        yield None
        return
    with server() as postgres:
        yield postgres


def _wanted(pair: Pair, args: argparse.Namespace) -> list[Fault]:
    numbered = [fault for fault in rows() if not args.row or fault.number in args.row]
    chosen = [fault for fault in numbered if args.name in fault.key and pair.host in fault.hosts]
    return chosen if pair in WHOLE else [fault for fault in chosen if fault.names]


def _run_pair(pair: Pair, postgres: Postgres | None, args: argparse.Namespace) -> None:
    missing = QueueServer.missing(pair.queue) or ("" if pair.database == "sqlite" or postgres else "PostgreSQL is not installed")
    passed = {(one.pair, one.key, one.step) for one in read(_results(args.results, pair), args.seed) if one.passed}
    runs = [(fault, step) for fault, step in _steps(pair, args) if (pair.name, fault.key, step) not in passed]
    if missing:
        for fault, step in runs:
            _keep(
                _results(args.results, pair),
                Result(pair.name, fault.key, step, args.seed, passed=False, recovery=0.0, said=missing, checked=False),
            )
        return
    random.Random(args.seed).shuffle(runs)
    together = [run for run in runs if not run[0].alone]
    if together:
        _run_on_one(pair, postgres, together, args)
    for run in runs:
        if run[0].alone:
            _run_on_one(pair, postgres, [run], args)


def _run_on_one(pair: Pair, postgres: Postgres | None, runs: Sequence[tuple[Fault, str]], args: argparse.Namespace) -> None:
    """On one stand, and on a new one after a row that failed: what it left must not fail the next ones."""
    left = list(runs)
    while left:
        with Stand.open(pair, postgres) as stand:
            alike = faultless(stand)
            while left:
                fault, step = left.pop(0)
                result = run_one(stand, alike, fault, step, seed=args.seed, changes=args.changes)
                _keep(_results(args.results, pair), result)
                if result.checked and not result.passed:
                    stand.copy_log(args.results / f"{pair.name}-{fault.key}-{step}".replace(" ", "_"))
                    break


def _forget(path: Path, numbers: Sequence[int] | None) -> None:
    """Results of these rows, or of all."""
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if numbers and int(json.loads(line)["key"].split()[0]) not in numbers]
    path.write_text("".join(f"{line}\n" for line in kept))


def _keep(path: Path, result: Result) -> None:
    result = replace(result, commit=_commit())
    with path.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    word = "passed" if result.passed else "FAILED" if result.checked else "not checked"
    step = f" ({result.step})" if result.step else ""
    print(f"{time.strftime('%H:%M:%S')} {result.pair:23} {result.key}{step}: {word}, {result.recovery:.1f} s", flush=True)
    if result.said:
        print("    " + result.said.replace("\n", "\n    ")[:4_000], flush=True)


@cache
def _commit() -> str:
    """Short name of the commit that is measured, with a `+` when something was changed since."""
    said = [subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout for words in (_SHORT, _CHANGED)]
    return said[0].strip() + ("+" if said[1].strip() else "")


_SHORT, _CHANGED = ("rev-parse", "--short=7", "HEAD"), ("status", "--porcelain", "--untracked-files=no")


def read(path: Path, seed: int) -> list[Result]:
    """The newest result of each run with this seed, of functions that are still in the matrix."""
    if not path.exists():
        return []
    known = {fault.key for fault in rows()}
    found = [Result(**json.loads(line)) for line in path.read_text().splitlines()]
    newest = {(one.pair, one.key, one.step): one for one in found if one.seed == seed and one.key in known}
    return list(newest.values())


if __name__ == "__main__":
    sys.exit(main())
