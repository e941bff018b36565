"""`fixwright worker`: runs scans and fixes."""

from __future__ import annotations

import argparse

from bot.cli.processes import opened
from bot.worker import serve


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("worker", help="run scans and fixes")
    parser.add_argument("--burst", action="store_true", help="end when there is nothing left to do")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Until SIGTERM (the current message is finished first) or a second one (it is not)."""
    with opened() as app:
        serve(app, burst=args.burst)
    return 0
