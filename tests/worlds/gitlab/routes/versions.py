"""Commits, diffs and versions of merge requests (docs, "Merge requests API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation
from tests.worlds.gitlab.model import Json
from tests.worlds.gitlab.routes.branches import may_read_code


def _diff(call: Call, *, raw: bool = False) -> list[Json]:
    request = call.merge_request()
    return call.gitlab.shapes.files(request, request.version, collapsing=not raw) if request.prepared else []


@operation("GET", "/projects/:id/merge_requests/:iid/commits")
def commits(call: Call) -> Answer:
    """Its commits, newest first."""
    may_read_code(call)
    request = call.merge_request()
    found = request.project.git.commits(request.version.refs.base, request.head)[::-1]
    return listed(found, lambda sha: call.gitlab.shapes.commit(request.project, sha))


@operation("GET", "/projects/:id/merge_requests/:iid/changes")
def changes(call: Call) -> Answer:
    """It with its diff (deprecated)."""
    may_read_code(call)
    request = call.merge_request()
    shown = call.gitlab.shapes.one_merge_request(request, call.caller)
    overflow = str(shown["changes_count"]).endswith("+")
    return Answer(body=shown | {"changes": _diff(call, raw=call.truth("access_raw_diffs")), "overflow": overflow})


@operation("GET", "/projects/:id/merge_requests/:iid/diffs")
def diffs(call: Call) -> Answer:
    """The files of its diff, in pages."""
    may_read_code(call)
    return listed(_diff(call), lambda file: dict(file))


@operation("GET", "/projects/:id/merge_requests/:iid/raw_diffs")
def raw(call: Call) -> Answer:
    """Its diff as git writes it."""
    may_read_code(call)
    refs = call.merge_request().version.refs
    return Answer(raw=call.project.git.run("diff-tree", "-M", "-r", "-p", "--full-index", refs.base, refs.head))


@operation("GET", "/projects/:id/merge_requests/:iid/versions")
def versions(call: Call) -> Answer:
    """Versions of its diff, newest first."""
    may_read_code(call)
    request = call.merge_request()
    found = request.versions[::-1] if request.prepared else []
    return listed(found, lambda version: call.gitlab.shapes.version(request, version))


@operation("GET", "/projects/:id/merge_requests/:iid/versions/:version")
def version(call: Call) -> Answer:
    """One version with its commits and diff."""
    may_read_code(call)
    request, number = call.merge_request(), call.number("version")
    found = next((known for known in request.versions if known.id == number), None)
    if found is None:
        raise not_found()
    return Answer(body=call.gitlab.shapes.one_version(request, found))
