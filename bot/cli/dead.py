"""`fixwright dead`: messages that were given up. Each has a cause; once that is mended they can be tried again, or dropped."""

from __future__ import annotations

import argparse
import json

from bot.cli import OK
from bot.cli.processes import stored
from pipeline.errors import UsageError
from pipeline.model.ids import MessageId
from pipeline.store.outbox import DeadMessage

ALL = "all"
MOST = 1000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("dead", help="messages that were given up: list, retry, drop")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="each with its cause and the delivery that it comes from")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=show)
    for name, run, text in (("retry", retry, "try again, from the start"), ("drop", drop, "forget")):
        action = actions.add_parser(name, help=text)
        action.add_argument("message", metavar="MESSAGE", help=f"its id, or `{ALL}`")
        action.set_defaults(run=run)


def show(args: argparse.Namespace) -> int:
    """List them, the latest first."""
    with stored() as app, app.database.read() as work:
        letters = work.outbox.dead(MOST)
    if args.json:
        print(json.dumps({"dead": [document(letter) for letter in letters]}, indent=2))
        return OK
    for letter in letters:
        print(line(letter))
    if not letters:
        print("nothing was given up")
    return OK


def retry(args: argparse.Namespace) -> int:
    """Try them again, with their counters at zero."""
    with stored() as app, app.database.work() as work:
        revived = [letter.id for letter in _chosen(work.outbox.dead(MOST), args.message) if work.outbox.revive(letter.id)]
    print(f"{len(revived)} messages are due again")
    return OK


def drop(args: argparse.Namespace) -> int:
    """Forget them."""
    with stored() as app, app.database.work() as work:
        dropped = [letter.id for letter in _chosen(work.outbox.dead(MOST), args.message) if work.outbox.bury(letter.id)]
    print(f"{len(dropped)} messages are forgotten")
    return OK


def line(letter: DeadMessage) -> str:
    """One letter in one line: what, why, how often, from where, and its id."""
    delivery = f", delivery {letter.delivery_id}" if letter.delivery_id else ""
    return f"{letter.kind}: {letter.error_code} after {letter.attempts} attempts{delivery} ({letter.id})"


def document(letter: DeadMessage) -> dict[str, object]:
    """One letter for programs."""
    return {
        "id": letter.id,
        "kind": letter.kind,
        "code": letter.error_code,
        "attempts": letter.attempts,
        "delivery_id": letter.delivery_id,
        "given_up_at": letter.finished_at,
    }


def _chosen(letters: list[DeadMessage], wanted: str) -> list[DeadMessage]:
    chosen = letters if wanted == ALL else [letter for letter in letters if letter.id == MessageId(wanted)]
    if not chosen and wanted != ALL:
        raise UsageError(f"no message '{wanted}' was given up", hint="fixwright dead list")
    return chosen
