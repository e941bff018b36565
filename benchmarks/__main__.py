"""Run the benchmarks: `python -m benchmarks [--quick] [NAME ...]`."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable

from benchmarks import (
    attention,
    cancel,
    clients,
    evasion,
    exploits,
    findings,
    gate,
    intake,
    latency,
    load,
    metrics,
    push,
    queue,
    receive,
    recipes,
    suites,
    variants,
)
from benchmarks.table import Shares, Table, Tally

BENCHMARKS: dict[str, Callable[[bool], Table | Shares | Tally]] = {
    "attention": attention.run,
    "cancel": cancel.run,
    "findings": findings.run,
    "clients": clients.run,
    "evasion": evasion.run,
    "gate": gate.run,
    "exploits": exploits.run,
    "intake": intake.run,
    "load": load.run,
    "push": push.run,
    "latency": latency.run,
    "metrics": metrics.run,
    "queue": queue.run,
    "receive": receive.run,
    "recipes": recipes.run,
    "suites": suites.run,
    "variants": variants.run,
}


def main() -> int:
    """Print one table a benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs, not how fast")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there is {', '.join(BENCHMARKS)}")
    logging.basicConfig(level=logging.ERROR)  # a queue that is not there is what some of them want
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}{', quick' if args.quick else ''}")
    for name in args.names or BENCHMARKS:
        began = time.monotonic()
        print(f"\n{BENCHMARKS[name](args.quick)}", flush=True)
        print(f"({name}: {time.monotonic() - began:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
