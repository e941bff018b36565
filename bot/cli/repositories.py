"""`fixwright repositories`: what is known, what is worked on, and what is to be forgotten."""

from __future__ import annotations

import argparse
import dataclasses
import json

from bot.cli import OK, _groups
from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from bot.wiring import App
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.stages.accept.ending import end_reviews
from pipeline.stages.purge import purge
from pipeline.store.repositories import Known
from pipeline.store.work import Work

DISABLED = "Disabled by the operator of Fixwright"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("repositories", help="list, disable, enable, purge or put together repositories")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every repository that is known")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=show)
    for name, run, text in (
        ("disable", disable, "nothing is scanned or answered there"),
        ("enable", enable, "work there again"),
        ("purge", forget, "forget everything about it, at once"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("repository", metavar="REPOSITORY", help=NAME)
        if name == "purge":
            action.add_argument("--yes", action="store_true", help="there is no way back")
        action.set_defaults(run=run)
    _groups.add(actions)


def show(args: argparse.Namespace) -> int:
    """List them."""
    with stored() as app, app.database.read() as work:
        known, groups = work.repositories.all(), _groups.every(work)
    if args.json:
        document = {"repositories": [dataclasses.asdict(one) for one in known], "groups": [_groups.document(*one) for one in groups]}
        print(json.dumps(document, indent=2))
        return OK
    width = max((len(visible(one.name)) for one in known), default=0)
    for one in known:
        print(f"{visible(one.name):{width}}  {one.provider:6}  {_state(one):20}  {one.findings} open  {visible(one.organization)}")
    for slug, group in groups:
        print(_groups.line(slug, group))
    if not known:
        print("no repository is known yet: they appear with the first delivery of an installation")
    return OK


def disable(args: argparse.Namespace) -> int:
    """Stop all work there. Checks that are in progress are ended, and say why."""
    with stored() as app, app.database.work() as work:
        known = _known(work, args.repository)
        if known.state == "disabled":
            print(f"{visible(known.name)} was disabled before")
            return OK
        live = work.reviews.live_of_repository(known.id)
        end_reviews(work, live, DISABLED)
        work.repositories.set_state(known.id, "disabled")
    print(f"{visible(known.name)} is disabled: deliveries are acknowledged and ignored; {len(live)} checks in progress are withdrawn")
    return OK


def enable(args: argparse.Namespace) -> int:
    """Work there again, from the next delivery on."""
    with stored() as app, app.database.work() as work:
        work.organizations.settle(one_each=app.settings.organization_per_installation)
        known = _known(work, args.repository)
        if known.state not in ("disabled", "active"):
            raise UsageError(f"{visible(known.name)} is {known.state} on its host", hint="it comes back by itself when the host says so")
        work.repositories.set_state(known.id, "active")
        _groups.needs_room(app, work, known.organization)
    print(f"{visible(known.name)} is enabled: the next delivery is worked; for an open pull request that is the next push, or /scan")
    return OK


def forget(args: argparse.Namespace) -> int:
    """Delete everything that is known of it."""
    if not args.yes:
        raise UsageError(
            "this deletes all findings, reviews, fixes, waivers and copies of it",
            hint="there is no way back; when sure: --yes",
        )
    with stored() as app:
        with app.database.read() as work:
            known = _known(work, args.repository)
            _refuse_live(work, known)
        rows = _purge(app, known)
    print(f"{visible(known.name)}: {rows} rows and its mirror are deleted. Copies in backups are not: see docs/operations.md")
    return OK


def _known(work: Work, name: str) -> Known:
    identifier, _ = find_repository(work, name)
    return work.repositories.get(identifier)


def _refuse_live(work: Work, known: Known) -> None:
    if work.reviews.live_of_repository(known.id):
        raise UsageError(
            f"reviews of {known.name} are under way", hint=f"first: fixwright repositories disable {known.name}, which ends their checks"
        )


def _purge(app: App, known: Known) -> int:
    return purge(app.database, app.settings.mirrors_dir, known.id)


def _state(one: Known) -> str:
    if one.state == "active" and one.installation_state not in ("active", ""):
        return f"{one.installation_state} (installation)"
    return one.state
