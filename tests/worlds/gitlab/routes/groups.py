"""Groups and namespaces (docs, "Groups API", "Namespaces API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation
from tests.worlds.gitlab.model import Namespace
from tests.worlds.gitlab.routes.projects import fitting


def _groups(call: Call, groups: list[Namespace]) -> Answer:
    found = [group for group in groups if group.kind == "group" and call.caller.sees_group(group, call.gitlab.state)]
    if call.truth("top_level_only"):
        found = [group for group in found if group.parent is None]
    if call.truth("owned"):
        found = [group for group in found if call.caller.group_level(group) >= 50]
    least = call.integer("min_access_level")
    if least is not None:
        found = [group for group in found if call.caller.group_level(group) >= least]
    if search := str(call.given.get("search", "")).lower():
        found = [group for group in found if search in group.full_path.lower()]
    found.sort(key=lambda group: group.full_path)
    return listed(found, call.gitlab.shapes.group, key=lambda group: int(group.id))


@operation("GET", "/groups")
def groups(call: Call) -> Answer:
    """What the caller sees."""
    return _groups(call, list(call.gitlab.state.namespaces.values()))


@operation("GET", "/groups/:id")
def group(call: Call) -> Answer:
    """One group by number or path."""
    shown = call.gitlab.shapes.group(call.group)
    if not call.truth("with_projects", default=True):
        return Answer(body=shown)
    inside = [known for known in call.gitlab.state.projects.values() if known.namespace is call.group and call.caller.sees(known)]
    return Answer(body=shown | {"projects": [call.gitlab.shapes.project(known, call.caller) for known in inside], "shared_projects": []})


@operation("GET", "/groups/:id/projects")
def projects(call: Call) -> Answer:
    """Its projects, with those of the groups below when asked."""
    below = call.gitlab.state.groups_below(call.group) if call.truth("include_subgroups") else [call.group]
    return fitting(call, (known for known in call.gitlab.state.projects.values() if known.namespace in below))


@operation("GET", "/groups/:id/subgroups")
def subgroups(call: Call) -> Answer:
    """The groups right below."""
    return _groups(call, [known for known in call.gitlab.state.namespaces.values() if known.parent is call.group])


@operation("GET", "/groups/:id/descendant_groups")
def descendants(call: Call) -> Answer:
    """All groups below."""
    return _groups(call, [known for known in call.gitlab.state.groups_below(call.group) if known is not call.group])


@operation("GET", "/namespaces/:namespace")
def namespace(call: Call) -> Answer:
    """A group's or user's namespace."""
    found = call.gitlab.state.namespace(call.parameters["namespace"])
    if found is None or not call.caller.sees_group(found, call.gitlab.state):
        raise not_found("Namespace")
    shown = call.gitlab.shapes.namespace(found)
    plan = {"plan": found.root.plan, "trial": False} if call.caller.group_level(found) >= 50 else {}
    return Answer(body=shown | plan)
