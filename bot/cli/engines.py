"""`fixwright engines install|status|update`: the scan engines, in an environment of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bot.settings import engines_dir
from pipeline import engines
from pipeline.errors import EngineMissing


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("engines", help="install the scan engines, or show what is installed")
    parser.add_argument("action", choices=("install", "status", "update"))
    parser.add_argument("--wheelhouse", type=Path, metavar="DIR", help="install from this folder of wheels, without a network")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`install` and `update` bring the environment to this version's lock file; both do nothing when it is there already."""
    where = engines_dir()
    if args.action in ("install", "update"):
        home = engines.install(where, wheelhouse=args.wheelhouse, say=lambda line: print(line, file=sys.stderr, flush=True))
        print(home)
        return 0
    complete = True
    for state in engines.status(where):
        try:
            engines.self_test(where, state.name)
            said = "works"
        except EngineMissing as error:
            said, complete = error.message, False
        print(f"{state.name:12} {state.version:12} {said}")
    if not complete:
        print("fixwright: run: fixwright engines install", file=sys.stderr)
    return 0 if complete else 3
