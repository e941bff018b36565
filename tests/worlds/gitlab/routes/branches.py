"""Branches (docs, "Branches API")."""

from __future__ import annotations

from tests.worlds.bare import NO_COMMIT, GitFailed
from tests.worlds.gitlab.call import Answer, Call, bad_request, forbidden, listed, not_found, operation, refused
from tests.worlds.gitlab.model import Level, Project


def may_read_code(call: Call) -> None:
    """Raise Refused for a caller who may see the project but not its code: a Guest of a private one."""
    if call.project.visibility == "private":
        call.at_least(Level.REPORTER)


def may_push(call: Call, project: Project, branch: str) -> bool:
    """True when the caller may push to a branch."""
    needed = project.protected.get(branch, (Level.DEVELOPER, Level.DEVELOPER))[0]
    if needed is Level.NONE:
        return False
    return call.caller.level(project) >= max(needed, Level.DEVELOPER)


@operation("GET", "/projects/:id/repository/branches")
def branches(call: Call) -> Answer:
    """All branches, by name."""
    may_read_code(call)
    refs = call.project.git.refs()
    names = sorted(ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/"))
    search = str(call.given.get("search", ""))
    if search.startswith("^") or search.endswith("$"):
        names = [
            name for name in names if (not search.startswith("^") or name.startswith(search.strip("^$"))) and search.strip("^$") in name
        ]
    elif search:
        names = [name for name in names if search.lower() in name.lower()]
    shapes = call.gitlab.shapes
    return listed(names, lambda name: shapes.branch(call.project, name, refs[f"refs/heads/{name}"], call.caller))


@operation("GET", "/projects/:id/repository/branches/:branch")
def branch(call: Call) -> Answer:
    """One branch."""
    may_read_code(call)
    sha = call.project.git.branch(call.parameters["branch"])
    if sha is None:
        raise not_found("Branch")
    return Answer(body=call.gitlab.shapes.branch(call.project, call.parameters["branch"], sha, call.caller))


@operation("POST", "/projects/:id/repository/branches", level=Level.DEVELOPER)
def create(call: Call) -> Answer:
    """A branch from another, a tag or a commit."""
    call.need("branch", "ref")
    name, git = call.text("branch"), call.project.git
    if not git.valid_ref(f"refs/heads/{name}") or name.startswith("-"):
        raise refused(400, "Branch name is invalid")
    if git.branch(name) is not None:
        raise refused(400, "Branch already exists")
    sha = git.resolve(call.text("ref"))
    if sha is None:
        raise refused(400, f"Invalid reference name: {call.text('ref')}")
    try:
        git.set_ref(f"refs/heads/{name}", sha, NO_COMMIT)
    except GitFailed as error:  # `a/b` where `a` is a branch
        raise bad_request(f"Failed to create branch '{name}': {error}") from error
    call.gitlab.actions.look_at_refs(call.project, call.user)
    return Answer(201, call.gitlab.shapes.branch(call.project, name, sha, call.caller))


@operation("DELETE", "/projects/:id/repository/branches/:branch", level=Level.DEVELOPER)
def delete(call: Call) -> Answer:
    """Remove a branch."""
    name, git = call.parameters["branch"], call.project.git
    if git.branch(name) is None:
        raise not_found("Branch")
    if name == call.project.default_branch:
        raise refused(405, "Default branch cannot be deleted") if call.level >= Level.MAINTAINER else forbidden()
    if name in call.project.protected:
        raise forbidden()
    git.delete_ref(f"refs/heads/{name}")
    call.gitlab.actions.look_at_refs(call.project, call.user)
    return Answer(204)
