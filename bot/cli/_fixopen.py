"""`fixwright fix open REPOSITORY`: pull requests with fixes for what the default branch has, because a person wants them."""

from __future__ import annotations

import argparse
import json
import os

from bot.cli import FOUND, OK, _fixruns
from bot.cli.naming import find_repository
from bot.cli.processes import stored
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Finding
from pipeline.model.fix import Fix
from pipeline.model.target import SourceRepository
from pipeline.phrases import where
from pipeline.stages.listedfix import begin_listed, unoffered_together, wanted_grouping
from pipeline.stages.room import OPEN_AT_MOST
from pipeline.stages.select import pick
from pipeline.store.sweeps import Listing


def run(args: argparse.Namespace) -> int:
    """0 when a fix is made, or stands already, for each finding that is meant; 1 when there is nothing to mend. A worker does the rest.

    Raises:
        UsageError: the name means none or several; there is no list yet; the repository is out of reach, or public without a yes.
        NothingThere: no finding is called so.
    """
    if args.id is None:
        raise UsageError("fix open needs the name of a repository", hint="fixwright repositories list; a folder is ./open")
    with stored() as app:
        fixers = app.plugins.fixers
        asked_by = os.environ.get("USER", "") or _fixruns.OPERATOR
        with app.database.work() as work:
            number, source = find_repository(work, args.id)
            (_, _, installation) = work.installations.named(args.id)[0]
            state = work.installations.state_of(number)
            if installation is None or state != "active":
                raise UsageError(f"{visible(source.full_name)} is {state if installation else 'not installed'}: nothing is mended there")
            listing = work.installations.listing(number)
            _ensure_ready(source, listing, yes=args.yes)
            branch = source.default_branch
            places = [place for one in work.findings.listed(number, branch, "open") for place in one.places]
            wanted: list[tuple[Finding, ...]]
            if args.finding:
                wanted = [(pick(args.finding, places),)]
            else:
                by = wanted_grouping(work, listing)
                wanted = unoffered_together(work, number, branch, listing, fixers, OPEN_AT_MOST, by, secrets=source.private)
            begun = []
            for finding, *also in wanted:
                same = [place for place in places if place.fingerprint == finding.fingerprint]
                fix = begin_listed(
                    work, installation, source, listing, finding, same, also=also, asked_by=asked_by, openly=args.yes or not source.private
                )
                begun.append((finding, fix))
        now = app.database.now()
        with app.database.read() as work:
            found = [(finding, work.fixes.get(fix.id), work.fixes.attempts(fix.id)) for finding, fix in begun]
    if args.json:
        print(json.dumps([_fixruns.document(fix, attempts, now) for _, fix, attempts in found], indent=2))
    else:
        for finding, fix, _ in found:
            print(f"{fix.id}  {fix.status:<18}  {visible(fix.handle):<5} {visible(where(finding))}{_more(fix)}")
        print(_summary(source, [finding for finding, _, _ in found]))
    return OK if found else FOUND


def _more(fix: Fix) -> str:
    return f" and {len(fix.members) - 1} more" if len(fix.members) > 1 else ""


def _ensure_ready(source: SourceRepository, listing: Listing, *, yes: bool) -> None:
    name = visible(source.full_name)
    if not listing.made:
        raise UsageError(f"everything in {name} was not looked at yet", hint=f"fixwright findings list {name}")
    if not source.private and not yes:
        raise UsageError(
            f"{name} is public: a pull request tells everybody what its default branch has before it is mended",
            hint="fixwright advisory draft keeps it private; say --yes to open it all the same",
        )


def _summary(source: SourceRepository, found: list[Finding]) -> str:
    if not found:
        return f"nothing in {visible(source.full_name)} is to be mended that was not offered or tried before; name one with --finding"
    return "a pull request follows for each patch that passes; fixwright fix status ID says how far one is"
