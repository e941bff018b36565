"""`fixwright queue`: what waits, what is being worked, and what was given up. A given-up message has a cause; once that is mended it can
be tried again, or dropped."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable

from bot.cli import OK
from bot.cli.processes import stored
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.stages.revive import drop as drop_letter
from pipeline.stages.revive import retry as retry_letter
from pipeline.store.identifiers import new_id
from pipeline.store.letters import DeadMessage
from pipeline.store.overview import Running, Waiting
from pipeline.store.transaction import chunks
from pipeline.store.work import Work

ALL = "all"
MOST = 1000
"""Letters that are shown; `retry all` and `drop all` mean every one."""
AT_ONCE = 50
"""Letters of one transaction: meanwhile nobody else writes to SQLite."""
RUNNING_SHOWN = 20


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("queue", help="the backlog, and messages that were given up: list, retry, drop")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="what waits and runs; what was given up, with its cause and the delivery that it comes from")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=show)
    for name, run, text in (
        ("retry", retry, "try a given-up message again, from the start; a review that could not be checked is begun anew"),
        ("drop", drop, "forget a given-up message; a check that waits for it is ended"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("message", metavar="MESSAGE", help=f"its id, or `{ALL}`")
        action.set_defaults(run=run)


def show(args: argparse.Namespace) -> int:
    """The backlog, then what was given up, the latest first."""
    with stored() as app, app.database.read() as work:
        waiting, running = work.overview.waiting(), work.overview.running()
        letters = work.outbox.dead(MOST)
        dead = work.overview.dead()
    if args.json:
        told = {
            "waiting": [dataclasses.asdict(one) for one in waiting],
            "running": [dataclasses.asdict(one) for one in running],
            "dead": [document(letter) for letter in letters],
        }
        print(json.dumps(told, indent=2))
        return OK
    for text in [*backlog(waiting), *at_work(running)]:
        print(text)
    print(f"given up    {dead or 'nothing was given up'}")
    for letter in letters:
        print(f"  {line(letter)}")
    if dead > len(letters):
        print(f"  and {dead - len(letters)} more")
    return OK


def retry(args: argparse.Namespace) -> int:
    """Try them again, with their counters at zero."""
    print(f"{_messages(_each(args.message, lambda work, letter: retry_letter(work, letter, new_id())))} due again")
    return OK


def drop(args: argparse.Namespace) -> int:
    """Forget them."""
    print(f"{_messages(_each(args.message, drop_letter))} forgotten")
    return OK


def backlog(waiting: list[Waiting]) -> list[str]:
    """What waits, by priority, and what is not due yet."""
    lines = []
    for one in waiting:
        oldest = f", the oldest for {_time(one.oldest_seconds)}" if one.count else ""
        later = f"; {one.later} not due yet" if one.later else ""
        lines.append(f"{one.priority:11} {one.count} waiting{oldest}{later}")
    return lines


def at_work(running: list[Running]) -> list[str]:
    """What is being worked, by whom, and how long the worker may be silent before somebody else takes it over."""
    lines = [f"running     {len(running)}"]
    for one in running[:RUNNING_SHOWN]:
        again = f", attempt {one.attempt}" if one.attempt > 1 else ""
        lease = f"its lease ends in {one.lease_seconds:.0f} s" if one.lease_seconds > 0 else "its lease has ended"
        lines.append(f"  {one.kind} on {visible(one.owner)}, {_time(one.age_seconds)} old{again}; {lease} ({one.id})")
    if len(running) > RUNNING_SHOWN:
        lines.append(f"  and {len(running) - RUNNING_SHOWN} more")
    return lines


def line(letter: DeadMessage) -> str:
    """One letter in one line: what, why, how often, from where, and its id."""
    delivery = f", delivery {visible(letter.delivery_id)}" if letter.delivery_id else ""
    crashes = f", {letter.crashes} of them crashes" if letter.crashes else ""
    return f"{letter.kind}: {visible(letter.error_code)} after {letter.attempts} attempts{crashes}{delivery} ({letter.id})"


def document(letter: DeadMessage) -> dict[str, object]:
    """One letter for programs."""
    return {
        "id": letter.id,
        "kind": letter.kind,
        "code": letter.error_code,
        "attempts": letter.attempts,
        "crashes": letter.crashes,
        "delivery_id": letter.delivery_id,
        "given_up_at": letter.finished_at,
    }


def _messages(count: int) -> str:
    return "1 message is" if count == 1 else f"{count} messages are"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _each(wanted: str, do: Callable[[Work, DeadMessage], bool]) -> int:
    """Do something with one letter or with all that are there now, however many; with how many it was done."""
    done = 0
    with stored() as app:
        with app.database.read() as work:
            chosen = [letter for letter in work.outbox.dead_ids() if wanted in (ALL, letter)]
        if not chosen and wanted != ALL:
            raise UsageError(f"no message '{wanted}' was given up", hint="fixwright queue list")
        for some in chunks(chosen, AT_ONCE):
            with app.database.work() as work:
                letters = [letter for identifier in some if (letter := work.outbox.letter(identifier)) is not None]
                done += sum(do(work, letter) for letter in letters)
    return done
