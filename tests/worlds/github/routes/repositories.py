"""Repositories, branches, permissions and old-style statuses."""

from __future__ import annotations

from tests.worlds.github.call import Answer, Call, listed, not_found, operation
from tests.worlds.github.model import Role, Status


@operation("GET", "", "metadata:read")
def get_repository(call: Call) -> Answer:
    """The repository."""
    return Answer(body=call.github.shapes.full_repository(call.repository))


@operation("GET", "/branches", "contents:read")
def list_branches(call: Call) -> Answer:
    """All branches by name."""
    repository, shapes = call.repository, call.github.shapes
    names = sorted(name.removeprefix("refs/heads/") for name in repository.git.refs() if name.startswith("refs/heads/"))
    return listed(names, lambda name: shapes.branch(repository, name, repository.git.branch(name) or "", whole=False))


@operation("GET", "/branches/{branch}", "contents:read")
def get_branch(call: Call) -> Answer:
    """One branch with its commit."""
    name = call.parameters["branch"]
    sha = call.repository.git.branch(name)
    if sha is None:
        raise not_found()
    return Answer(body=call.github.shapes.branch(call.repository, name, sha, whole=True))


@operation("GET", "/collaborators/{username}/permission", "metadata:read")
def get_permission(call: Call) -> Answer:
    """What a person may do: `none` or `read` for a stranger, 404 only for an account that does not exist."""
    account = call.github.state.accounts.get(call.parameters["username"].lower())
    if account is None:
        raise not_found()
    role = call.repository.role(account.login)
    levels = {"admin": Role.ADMIN, "maintain": Role.MAINTAIN, "push": Role.WRITE, "triage": Role.TRIAGE, "pull": Role.READ}
    user = call.github.shapes.user(account) | {
        "permissions": {name: role >= level for name, level in levels.items()},
        "role_name": role.word,
    }
    return Answer(body={"permission": role.legacy, "role_name": role.word, "user": user})


def _commit(call: Call, name: str = "ref") -> str:
    sha = call.repository.git.resolve(call.parameters[name])
    if sha is None:
        raise not_found()
    return sha


@operation("GET", "/commits/{ref}/statuses", "statuses:read")
def list_statuses(call: Call) -> Answer:
    """Every status of a commit, newest first."""
    sha = _commit(call)
    found = [status for status in reversed(call.repository.statuses) if status.sha == sha]
    return listed(found, lambda status: call.github.shapes.status(call.repository, status))


@operation("GET", "/commits/{ref}/status", "statuses:read")
def get_combined_status(call: Call) -> Answer:
    """The newest of each context."""
    sha, shapes = _commit(call), call.github.shapes
    newest = {status.context: status for status in call.repository.statuses if status.sha == sha}
    states = {status.state for status in newest.values()}
    state = "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not states else "success"
    url = f"{shapes.api}/repos/{call.repository.full_name}/commits/{sha}"
    simple = ("url", "avatar_url", "id", "node_id", "state", "description", "target_url", "context", "created_at", "updated_at")
    shown = [{key: shapes.status(call.repository, status)[key] for key in simple} for status in newest.values()]
    body = {"state": state, "sha": sha, "total_count": len(shown), "statuses": shown, "repository": shapes.repository(call.repository)}
    return Answer(body=body | {"commit_url": url, "url": f"{url}/status"})


@operation("POST", "/statuses/{sha}", "statuses:write")
def create_status(call: Call) -> Answer:
    """Add a status."""
    state = call.github.state
    text = {name: call.body.get(name) for name in ("description", "target_url")}
    context = call.body.get("context") or "default"
    identity, sha = state.new_id("status"), _commit(call, "sha")
    status = Status(identity, sha, call.body["state"], context, text["description"], text["target_url"], call.account, state.now())
    call.repository.statuses.append(status)
    return Answer(201, call.github.shapes.status(call.repository, status))
