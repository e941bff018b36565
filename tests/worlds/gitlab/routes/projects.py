"""Projects (docs, "Projects API")."""

from __future__ import annotations

from collections.abc import Iterable

from tests.worlds.gitlab.call import Answer, Call, bad_request, invalid, listed, not_found, operation, refused
from tests.worlds.gitlab.model import Level, Project


def fitting(call: Call, projects: Iterable[Project]) -> Answer:
    """A list of projects, narrowed and sorted as was asked."""
    found = [project for project in projects if call.caller.sees(project)]
    if call.truth("membership"):
        found = [project for project in found if call.caller.user is not None and project.level(call.user) > Level.NONE]
    if call.truth("owned"):
        found = [project for project in found if call.caller.user is not None and project.namespace.owner is call.user]
    least = call.integer("min_access_level")
    if least is not None:
        found = [project for project in found if project.level(call.caller.user) >= least]
    if call.given.get("archived") is not None:
        found = [project for project in found if project.archived == call.truth("archived")]
    if call.given.get("visibility"):
        found = [project for project in found if project.visibility == call.given["visibility"]]
    if search := str(call.given.get("search", "")).lower():
        found = [project for project in found if search in (project.full_path if call.truth("search_namespaces") else project.path).lower()]
    if (call.integer("id_after") or 0) and call.given.get("pagination") != "keyset":
        found = [project for project in found if project.id > (call.integer("id_after") or 0)]
    order, sort = call.given.get("order_by", "created_at"), call.chosen("sort", ("asc", "desc"), "desc")
    keys = {"id", "name", "path", "created_at", "updated_at", "star_count", "last_activity_at", "similarity"}
    if order not in keys:
        raise invalid("order_by does not have a valid value")
    named = {"name": lambda known: known.name, "path": lambda known: known.path}
    found.sort(key=named.get(str(order), lambda known: known.id), reverse=sort == "desc")
    shapes, simple = call.gitlab.shapes, call.truth("simple")
    show = shapes.simple_project if simple else (lambda project: shapes.project(project, call.caller))
    return listed(found, show, key=lambda project: int(project.id))


@operation("GET", "/projects")
def projects(call: Call) -> Answer:
    """What the caller sees."""
    return fitting(call, call.gitlab.state.projects.values())


@operation("GET", "/projects/:id")
def project(call: Call) -> Answer:
    """One project by number or path."""
    return Answer(body=call.gitlab.shapes.project(call.project, call.caller))


@operation("GET", "/projects/:id/forks")
def forks(call: Call) -> Answer:
    """Its forks."""
    return fitting(call, (known for known in call.gitlab.state.projects.values() if known.parent is call.project))


@operation("POST", "/projects/:id/fork")
def fork(call: Call) -> Answer:
    """Fork it, by default into the caller's own namespace."""
    state = call.gitlab.state
    wanted = call.given.get("namespace_path") or call.given.get("namespace_id") or call.given.get("namespace") or call.user.username
    namespace = state.namespace(wanted if isinstance(wanted, int) else str(wanted))
    if namespace is None or call.caller.group_level(namespace) < Level.DEVELOPER:
        raise not_found("Target Namespace")
    path = call.text("path", call.project.path)
    if state.project(f"{namespace.full_path}/{path}") is not None:
        raise refused(409, {"name": ["has already been taken"], "path": ["has already been taken"]})
    made = state.add_project(namespace, path, call.user, visibility=call.project.visibility, parent=call.project)
    call.gitlab.events.project(made, "create")
    return Answer(201, call.gitlab.shapes.project(made, call.caller))


@operation("POST", "/projects")
def create(call: Call) -> Answer:
    """A new, empty project."""
    state = call.gitlab.state
    if call.given.get("name") is None and call.given.get("path") is None:
        raise invalid("name, path are missing, at least one parameter must be provided")
    number = call.integer("namespace_id")
    namespace = state.namespace(number if number is not None else call.user.username)
    if namespace is None or call.caller.group_level(namespace) < Level.DEVELOPER:
        raise bad_request("namespace is not valid")
    path = call.text("path", str(call.given.get("name")).lower().replace(" ", "-"))
    if state.project(f"{namespace.full_path}/{path}") is not None:
        raise refused(400, {"name": ["has already been taken"], "path": ["has already been taken"]})
    visibility = call.chosen("visibility", ("private", "internal", "public"), "private")
    made = state.add_project(namespace, path, call.user, visibility=visibility)
    made.name = call.text("name", path)
    call.gitlab.events.project(made, "create")
    return Answer(201, call.gitlab.shapes.project(made, call.caller))
