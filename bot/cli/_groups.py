"""Putting source repositories together, for `fixwright repositories`: what the API calls one repository then."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bot.cli import OK
from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from bot.wiring import App
from pipeline.errors import StaleWrite, UsageError
from pipeline.escaping import visible
from pipeline.model.account import Organization
from pipeline.model.ids import RepositoryId
from pipeline.store.groups import Group
from pipeline.store.organizations import DEFAULT
from pipeline.store.work import Work

NAME_AT_MOST = 200
"""Characters, as the API takes them."""

LISTED = "fixwright repositories list"


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the actions."""
    grouping = actions.add_parser("group", help="put source repositories together: the API shows them as one; further ones join it")
    grouping.add_argument("name", metavar="NAME", help="of the repository that they make")
    grouping.add_argument("sources", metavar="SOURCE", nargs="+", help=NAME)
    grouping.add_argument("--description", metavar="TEXT", help="of the repository, for people")
    grouping.set_defaults(run=group)
    renaming = actions.add_parser("rename", help="call a repository that was put together something else")
    renaming.add_argument("name", metavar="NAME", help="as `repositories list` shows it, or its id")
    renaming.add_argument("new", metavar="NEW", help="what it is called then")
    renaming.set_defaults(run=rename)
    parting = actions.add_parser("ungroup", help="source repositories are ones by themselves again")
    parting.add_argument("name", metavar="NAME", help="as `repositories list` shows it, or its id")
    parting.add_argument("sources", metavar="SOURCE", nargs="*", help="these alone; without: all of them, and the repository is archived")
    parting.set_defaults(run=ungroup)
    for action in (renaming, parting):
        action.add_argument("--organization", metavar="SLUG", default=DEFAULT, help="whose it is (default: %(default)s)")


def every(work: Work) -> list[tuple[str, Group]]:
    """Everything that was put together and is not archived, with the slug of its organization."""
    slugs = [one.slug for one in work.organizations.all()]
    return [(slug, one) for slug in slugs for one in work.groups.made(work.organizations.named(slug).id)]


def document(slug: str, group: Group) -> dict[str, object]:
    """One as JSON."""
    sources = [{"id": one.id, "provider": one.provider, "instance": one.instance, "name": one.full_name} for one in group.sources]
    return {"id": group.id, "organization": slug, "name": group.name, "description": group.description, "sources": sources}


def line(slug: str, group: Group) -> str:
    """One for people."""
    return f"{visible(group.name)} = {_names(group)}  {visible(slug)}"


def _names(group: Group) -> str:
    return ", ".join(visible(one.full_name) for one in group.sources) or "nothing"


def group(args: argparse.Namespace) -> int:
    """Put them together, or add them to what is called so already. The organization is that of the source repositories."""
    name = _fit(args.name)
    with stored() as app, app.database.work() as work:
        work.organizations.settle(one_each=app.settings.organization_per_installation)
        found = [work.repositories.get(find_repository(work, one)[0]) for one in args.sources]
        slugs = sorted({one.organization for one in found})
        if len(slugs) != 1 or not slugs[0]:
            raise UsageError(f"they belong to several organizations: {', '.join(slugs)}", hint="fixwright organizations list")
        owner, members = work.organizations.named(slugs[0]), [one.id for one in found]
        before = work.quotas.repositories(owner.id)
        there = work.groups.named(owner.id, name)
        if len(there) > 1:
            raise UsageError(
                f"several repositories are called '{visible(name)}'", hint="give one another name: PATCH /api/v1/repositories/ID"
            )
        try:
            if there:
                known = [*there[0].members, *members]
                work.groups.change(owner.id, there[0].id, description=args.description, members=known)
                needs_room(app, work, owner.slug, before)
            else:
                work.groups.create(owner.id, name, args.description or "", members)
                needs_room(app, work, owner.slug)
        except StaleWrite as error:
            raise UsageError(error.message, hint=f"{LISTED}; take it out first: fixwright repositories ungroup NAME SOURCE") from None
        (made,) = work.groups.named(owner.id, name)
    print(f"{visible(name)} is {_names(made)}; its id in the API is {made.id}")
    return OK


def needs_room(app: App, work: Work, slug: str, before: int = 0) -> None:
    """After repositories changed: no more of them may be in use than the organization's plan has. Raises UsageError."""
    owner = work.organizations.named(slug)
    plan = app.settings.plans.of(owner.plan)
    if not work.quotas.has_room(owner.id, plan, before):
        raise UsageError(
            f"the plan '{plan.name}' of {slug} has {plan.repositories} source repositories, and more would be in use",
            hint=f"another plan: fixwright quotas plan {slug} PLAN",
        )


def rename(args: argparse.Namespace) -> int:
    """Call it something else."""
    new = _fit(args.new)
    with stored() as app, app.database.work() as work:
        owner = work.organizations.named(args.organization)
        one = _find(work, owner, args.name)
        if any(other.id != one.id for other in work.groups.named(owner.id, new)):
            raise UsageError(f"another repository is called '{visible(new)}' already", hint=LISTED)
        work.groups.change(owner.id, one.id, name=new)
    print(f"{visible(one.name)} is called {visible(new)} now")
    return OK


def ungroup(args: argparse.Namespace) -> int:
    """Take them out. What is left empty is archived: its scans can still be read."""
    with stored() as app, app.database.work() as work:
        owner = work.organizations.named(args.organization)
        one = _find(work, owner, args.name)
        out = {find_repository(work, name)[0] for name in args.sources} or set(one.members)
        _refuse_others(one, out)
        left: Sequence[RepositoryId] = [member for member in one.members if member not in out]
        work.groups.change(owner.id, one.id, members=left, archived=None if left else True)
    said = f"{visible(one.name)} has {len(left)} source repositories now" if left else f"{visible(one.name)} is archived"
    print(f"{said}; by themselves again: {', '.join(visible(source.full_name) for source in one.sources if source.id in out) or 'none'}")
    return OK


def _refuse_others(one: Group, out: set[RepositoryId]) -> None:
    if out - set(one.members):
        raise UsageError(f"not all of them are in '{visible(one.name)}', which is {_names(one)}")


def _find(work: Work, owner: Organization, wanted: str) -> Group:
    """What is meant, by its name or its id. Raises UsageError when there is none, or more than one."""
    named = work.groups.named(owner.id, wanted)
    by_id = work.groups.get(owner.id, wanted)
    found = named or ([by_id] if by_id is not None and not by_id.single else [])
    if not found:
        raise UsageError(f"{owner.slug} has no repository '{visible(wanted)}' that was put together", hint=LISTED)
    if len(found) > 1:
        raise UsageError(f"several repositories are called '{visible(wanted)}'", hint=f"say the id: {', '.join(one.id for one in found)}")
    return found[0]


def _fit(name: str) -> str:
    fit = name.strip()
    if not 0 < len(fit) <= NAME_AT_MOST:
        raise UsageError(f"a name has 1 to {NAME_AT_MOST} characters")
    return fit
