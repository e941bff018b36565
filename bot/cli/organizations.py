"""`fixwright organizations`: who owns what. Every installation is in one organization, its repositories with it."""

from __future__ import annotations

import argparse
import dataclasses
import json

from bot.cli import OK
from bot.cli.processes import stored
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.target import Installation
from pipeline.store.work import Work


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("organizations", help="list and make organizations, move installations between them")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every organization with its installations")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=show)
    creating = actions.add_parser("create", help="make one")
    creating.add_argument("slug", metavar="SLUG", help="small letters, digits, hyphens")
    creating.add_argument("--name", default="", help="its name for people")
    creating.set_defaults(run=create)
    moving = actions.add_parser("move", help="put an installation into another organization")
    moving.add_argument("installation", metavar="INSTALLATION", help="its account's name, or the host's number of it")
    moving.add_argument("slug", metavar="SLUG", help="of the organization")
    moving.set_defaults(run=move)


def show(args: argparse.Namespace) -> int:
    """List them."""
    with stored() as app, app.database.work() as work:
        work.organizations.settle(one_each=app.settings.organization_per_installation)
        owned = [(one, work.organizations.of(one.id), state) for one, state in work.installations.all()]
        organizations = work.organizations.all()
    if args.json:
        inside = [
            {"account": one.account, "provider": one.provider, "number": one.external_id, "state": state, "organization": slug}
            for one, slug, state in owned
        ]
        print(json.dumps({"organizations": [dataclasses.asdict(o) for o in organizations], "installations": inside}, indent=2))
        return OK
    for organization in organizations:
        print(f"{organization.slug}  {visible(organization.name)}")
        for one, slug, state in owned:
            if slug == organization.slug:
                print(f"  {visible(one.account)}  {one.provider} {visible(one.external_id)}  {state}")
    return OK


def create(args: argparse.Namespace) -> int:
    """Make one."""
    with stored(first=True) as app, app.database.work() as work:
        work.organizations.create(args.slug, args.name)
    print(f"made {args.slug}; put an installation into it: fixwright organizations move ACCOUNT {args.slug}")
    return OK


def move(args: argparse.Namespace) -> int:
    """Put an installation into another organization."""
    with stored() as app, app.database.work() as work:
        one = _find(work, args.installation)
        work.organizations.move(one.id, args.slug)
    print(f"{visible(one.account)} is in {args.slug} now, with all its repositories")
    return OK


def _find(work: Work, wanted: str) -> Installation:
    """An installation by account or number. Raises UsageError when there is none, or more than one."""
    known = [one for one, _ in work.installations.all() if wanted == one.external_id or wanted.lower() == one.account.lower()]
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError(f"there is no installation '{wanted}' here", hint="fixwright organizations list")
    numbers = ", ".join(f"{one.external_id} ({one.provider})" for one in known)
    raise UsageError(f"there are several installations '{wanted}'", hint=f"say its number: {numbers}")
