"""`fixwright quotas`: the plans of organizations, and what is used of them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from bot.cli import OK
from bot.cli.processes import stored
from bot.wiring import App
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.account import Organization
from pipeline.quota import Counter, Plan, period_of
from pipeline.store.work import Work

MOST = 1_000_000
"""Units that are added at once."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("quotas", help="plans of organizations, and what is used of them")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    showing = actions.add_parser("show", help="what is used in this month")
    showing.add_argument("--organization", metavar="SLUG", help="only this one")
    showing.add_argument("--json", action="store_true", help="one JSON document")
    showing.set_defaults(run=show)
    planning = actions.add_parser("plan", help="give an organization a plan, from the next request on")
    planning.add_argument("organization", metavar="ORGANIZATION", help="its slug")
    planning.add_argument("plan", metavar="PLAN", help="a name of the table of plans (FIXWRIGHT_PLANS)")
    planning.set_defaults(run=give)
    adding = actions.add_parser("topup", help="give an organization more units than its plan has, in this month")
    adding.add_argument("organization", metavar="ORGANIZATION", help="its slug")
    adding.add_argument("counter", metavar="COUNTER", choices=[str(one) for one in Counter], help=", ".join(Counter))
    adding.add_argument("units", metavar="UNITS", type=_units, help="how many more")
    adding.set_defaults(run=top_up)


def _units(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MOST and len(text) < 9):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST}")
    return int(text)


def show(args: argparse.Namespace) -> int:
    """What each may use, and has used."""
    with stored() as app, app.database.read() as work:
        slugs = [args.organization] if args.organization else [one.slug for one in work.organizations.all()]
        period = period_of(work.outbox.now())
        found = [_used(app, work, work.organizations.named(slug)) for slug in slugs]
    if args.json:
        print(json.dumps({"period": period.name, "plans": sorted(app.settings.plans.by_name), "organizations": found}, indent=2))
        return OK
    for one in found:
        note = "" if one["chosen"] in ("", one["plan"]) else f" ('{visible(one['chosen'])}' is in no table any more)"
        print(f"{one['slug']}  plan {one['plan']}{note}, month of {period.name}")
        for name in (*Counter, "repositories"):
            counted = one[name]
            most = "no limit" if counted["limit"] is None else f"of {counted['limit']}"
            print(f"  {name:14} {counted['used']} {most}")
    return OK


def _used(app: App, work: Work, organization: Organization) -> dict[str, Any]:
    plan = app.settings.plans.of(organization.plan)
    balance = work.quotas.balance(organization.id, plan, period_of(work.outbox.now()))
    used: dict[str, Any] = {"slug": organization.slug, "plan": plan.name, "chosen": organization.plan}
    for counter, one in balance.items():
        used[str(counter)] = {"limit": None if one.plan is None else one.plan + one.topup, "topup": one.topup, "used": one.used}
    return used | {"repositories": {"limit": plan.repositories, "used": work.quotas.repositories(organization.id)}}


def give(args: argparse.Namespace) -> int:
    """Give it another plan."""
    with stored() as app, app.database.work() as work:
        plan = _plan(app, args.plan)
        work.organizations.set_plan(args.organization, plan.name)
        number = work.quotas.repositories(work.organizations.named(args.organization).id)
    print(f"{args.organization} has the plan {plan.name} from its next request on")
    if plan.repositories is not None and number > plan.repositories:
        print(f"{number} source repositories are in use, the plan has {plan.repositories}: they are still worked on; none may be added")
    return OK


def _plan(app: App, name: str) -> Plan:
    known = app.settings.plans.by_name
    if name not in known:
        raise UsageError(f"there is no plan '{visible(name)}'", hint=f"there is: {', '.join(visible(one) for one in sorted(known))}")
    return known[name]


def top_up(args: argparse.Namespace) -> int:
    """Give it more units."""
    counter = Counter(args.counter)
    with stored() as app, app.database.work() as work:
        owner, period = work.organizations.named(args.organization), period_of(work.outbox.now())
        work.quotas.top_up(owner.id, counter, period, args.units)
        one = work.quotas.balance(owner.id, app.settings.plans.of(owner.plan), period)[counter]
    left = "no limit" if one.remaining is None else f"{one.remaining} left"
    print(f"{owner.slug} has {args.units} more {counter} in the month of {period.name}: {left}")
    return OK
