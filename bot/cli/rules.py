"""`fixwright rules`: how often each rule was right, and how it is heard for that."""

from __future__ import annotations

import argparse
import json

from bot.cli import OK
from bot.cli.processes import stored
from pipeline.escaping import columns, visible
from pipeline.rulebook import load, measured
from pipeline.store.organizations import DEFAULT
from pipeline.triage.precision import BAR, ENOUGH, RuleStanding, Voice, bounds, standings

JSON_VERSION = 1
"""Of the document of `rules stats --json`; see docs/reference/formats.md."""

HEARD = {
    Voice.SPEAKS: "speaks",
    Voice.WITH_A_FIX: "with a fix",
    Voice.QUIET: "QUIET",
    Voice.SHADOW: "watched",
}
_HEAD = ("rule", "heard", "shipped", "fixed", "let stand", "wrong", "expired", "precision", "95 %")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("rules", help="how often each rule was right")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="what became of each rule's findings, and how it is heard for that")
    stats.add_argument("--organization", metavar="SLUG", default=DEFAULT, help="whose findings count (default: %(default)s)")
    stats.add_argument("--all", action="store_true", help="also rules of which nothing is known yet")
    stats.add_argument("--json", action="store_true", help="one JSON document, with every rule")
    stats.set_defaults(run=show)


def show(args: argparse.Namespace) -> int:
    """A table, or the document."""
    with stored() as app, app.database.read() as work:
        here = work.rule_outcomes.of(work.organizations.named(args.organization).id)
    rules = standings(load().rules, measured(), here)
    if args.json:
        rows = [document(one) for one in rules]
        print(
            json.dumps({"version": JSON_VERSION, "organization": args.organization, "bar": BAR, "enough": ENOUGH, "rules": rows}, indent=2)
        )
        return OK
    shown = [one for one in rules if args.all or one.known.decided or one.here.expired]
    if not shown:
        print(f"nothing is known yet of what people made of the findings of {args.organization}; every rule: fixwright rules stats --all")
        return OK
    table = [_HEAD, *(_row(one) for one in shown)]
    widths = [max(columns(row[n]) for row in table) for n in range(len(_HEAD))]
    for row in table:
        print("  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    print(f"A rule speaks without a patch from {ENOUGH} decided findings on, {BAR:.0%} of them fixed.")
    for one in shown:
        if one.voice is Voice.QUIET:
            fixed = f"{one.here.fixed} of {one.here.decided} findings were fixed here"
            print(f"{visible(one.id)} is quiet: {fixed}, so it opens no thread any more; the check still lists them.")
    return OK


def document(one: RuleStanding) -> dict[str, object]:
    """A rule for machines: counts, and shares between 0 and 1, null while nothing is decided."""
    known = one.known
    low, high = bounds(known.fixed, known.decided) if known.decided else (None, None)
    return {
        "rule_id": one.id,
        "heard": str(one.voice),
        "shipped": {"right": one.shipped.fixed, "wrong": one.shipped.wrong},
        "here": {"fixed": one.here.fixed, "wrong": one.here.wrong, "let_stand": one.here.let_stand, "expired": one.here.expired},
        "precision": known.precision,
        "precision_low": low,
        "precision_high": high,
    }


def _row(one: RuleStanding) -> tuple[str, ...]:
    known, here = one.known, one.here
    shipped = f"{one.shipped.fixed} of {one.shipped.decided}" if one.shipped.decided else "-"
    counts = (str(here.fixed), str(here.let_stand), str(here.wrong), str(here.expired))
    if known.precision is None:
        return (visible(one.id), HEARD[one.voice], shipped, *counts, "-", "-")
    low, high = bounds(known.fixed, known.decided)
    return (visible(one.id), HEARD[one.voice], shipped, *counts, f"{known.precision:.2f}", f"{low:.2f} to {high:.2f}")
