"""Merge requests (docs, "Merge requests API")."""

from __future__ import annotations

from datetime import datetime

from tests.worlds.gitlab.actions import Impossible, People
from tests.worlds.gitlab.call import Answer, Call, bad_request, forbidden, invalid, listed, not_found, operation, refused
from tests.worlds.gitlab.model import Level, MergeRequest, Project, User
from tests.worlds.gitlab.routes.branches import may_read_code

_STATES = ("all", "opened", "closed", "locked", "merged")


def _after(call: Call, name: str, moment: datetime) -> bool:
    """True when a moment lies after the one given, or none is given."""
    given = call.given.get(name)
    if not given:
        return True
    try:
        return moment > datetime.fromisoformat(str(given).replace("Z", "+00:00"))
    except (ValueError, TypeError) as error:
        raise invalid(f"{name} is invalid") from error


def _before(call: Call, name: str, moment: datetime) -> bool:
    return not call.given.get(name) or not _after(call, name, moment)


def _fits(call: Call, request: MergeRequest) -> bool:
    given = call.given
    state = call.chosen("state", _STATES, "all")
    iids = given.get("iids")
    numbers = [str(iid) for iid in iids] if isinstance(iids, list) else None
    labels = [label for label in str(given.get("labels", "")).split(",") if label]
    return (
        state in ("all", request.state)
        and given.get("source_branch") in (None, request.source_branch)
        and given.get("target_branch") in (None, request.target_branch)
        and given.get("author_username") in (None, request.author.username)
        and call.integer("author_id") in (None, request.author.id)
        and call.integer("source_project_id") in (None, request.source_id)
        and (numbers is None or str(request.iid) in numbers)
        and set(labels) <= set(request.labels)
        and str(given.get("search", "")).lower() in f"{request.title} {request.description or ''}".lower()
        and (given.get("wip") or given.get("draft")) in (None, "yes" if request.draft else "no")
        and _after(call, "updated_after", request.updated_at)
        and _before(call, "updated_before", request.updated_at)
        and _after(call, "created_after", request.created_at)
        and _before(call, "created_before", request.created_at)
    )


def _listed(call: Call, requests: list[MergeRequest]) -> Answer:
    found = [request for request in requests if _fits(call, request)]
    by = call.chosen("order_by", ("created_at", "updated_at", "merged_at", "title", "priority"), "created_at")
    keys = {"updated_at": lambda known: (known.updated_at, known.id), "title": lambda known: (known.title, known.id)}
    found.sort(key=keys.get(by, lambda known: known.id), reverse=call.chosen("sort", ("asc", "desc"), "desc") == "desc")
    return listed(found, call.gitlab.shapes.merge_request)


@operation("GET", "/projects/:id/merge_requests")
def merge_requests(call: Call) -> Answer:
    """Those of a project, newest first."""
    may_read_code(call)
    return _listed(call, list(call.project.merge_requests.values()))


@operation("GET", "/groups/:id/merge_requests")
def of_group(call: Call) -> Answer:
    """Those of all projects of a group and below."""
    below = call.gitlab.state.groups_below(call.group)
    seen = [project for project in call.gitlab.state.projects.values() if project.namespace in below and call.caller.sees(project)]
    return _listed(call, [request for project in seen for request in project.merge_requests.values()])


@operation("GET", "/projects/:id/merge_requests/:iid")
def merge_request(call: Call) -> Answer:
    """One."""
    may_read_code(call)
    return Answer(body=call.gitlab.shapes.one_merge_request(call.merge_request(), call.caller))


@operation("POST", "/projects/:id/merge_requests")
def create(call: Call) -> Answer:
    """Open one. The project of the path is the source, `target_project_id` says where it leads."""
    call.need("source_branch", "target_branch", "title")
    target = _target(call)
    if call.caller.level(target) < Level.DEVELOPER and (target is call.project or not call.caller.sees(target)):
        raise forbidden()
    call.at_least(Level.DEVELOPER)
    if len(call.text("title")) > 255:
        raise refused(422, ["Title is too long (maximum is 255 characters)"])
    try:
        made = call.gitlab.actions.open(
            call.user,
            target,
            (call.project, call.text("source_branch")),
            call.text("target_branch"),
            call.text("title"),
            call.text("description") if call.given.get("description") is not None else None,
            allow_collaboration=call.truth("allow_collaboration") or call.truth("allow_maintainer_to_push"),
            remove_source_branch=call.truth("remove_source_branch"),
            squash=call.truth("squash"),
            people=_people(call, []),
        )
    except Impossible as error:
        raise refused(409 if "already exists" in str(error) else 422, [str(error)]) from error
    call.notify(made)
    return Answer(201, call.gitlab.shapes.one_merge_request(made, call.caller))


def _target(call: Call) -> Project:
    number = call.integer("target_project_id")
    found = call.project if number is None else call.gitlab.state.projects.get(number)
    if found is None or not call.caller.sees(found):
        raise not_found("Project")
    if found is not call.project and call.project.parent is not found and found.parent is not call.project:
        raise refused(422, ["Source project is not a fork of the target project"])
    return found


def _texts(call: Call, name: str) -> list[str] | None:
    given = call.given.get(name)
    if given is None:
        return None
    return [str(item) for item in given] if isinstance(given, list) else [part.strip() for part in str(given).split(",") if part.strip()]


def _users(call: Call, name: str, single: str = "") -> list[User] | None:
    given = call.given.get(name)
    if given is None and single and call.given.get(single) is not None:
        given = [call.given[single]]
    if given is None:
        return None
    numbers = [int(item) for item in (given if isinstance(given, list) else [given]) if str(item).isdigit() and int(item)]
    return [user for number in numbers if (user := call.gitlab.state.user_by_id(number)) is not None]


def _people(call: Call, present: list[str]) -> People:
    """Labels and people that were given. `present`: the labels that are there."""
    labels, added, removed = (_texts(call, name) for name in ("labels", "add_labels", "remove_labels"))
    chosen = labels if labels is not None else present
    wanted = sorted({*chosen, *(added or [])} - set(removed or []))
    return People(wanted, _users(call, "assignee_ids", "assignee_id"), _users(call, "reviewer_ids"))


@operation("PUT", "/projects/:id/merge_requests/:iid")
def update(call: Call) -> Answer:
    """Change it, close it or open it again: its author may, and Developers."""
    request = call.merge_request()
    if request.author is not call.user:
        call.at_least(Level.DEVELOPER)
    names = {"title", "description", "target_branch", "state_event", "labels", "add_labels", "remove_labels", "assignee_id", "assignee_ids"}
    names |= {"reviewer_ids", "remove_source_branch", "squash", "discussion_locked", "milestone_id", "allow_collaboration"}
    if not names & call.given.keys():
        raise invalid(f"{', '.join(sorted(names))} are missing, at least one parameter must be provided")
    texts = {name: call.text(name) if call.given.get(name) is not None else None for name in ("title", "description", "target_branch")}
    if texts["title"] is not None and not 0 < len(texts["title"]) <= 255:
        raise invalid("title is empty") if not texts["title"] else refused(422, ["Title is too long (maximum is 255 characters)"])
    event = call.chosen("state_event", ("close", "reopen", ""), "")
    actions = call.gitlab.actions
    try:
        people, target = _people(call, request.labels), texts["target_branch"]
        actions.edit(request, call.user, title=texts["title"], description=texts["description"], target=target, people=people)
        if event == "close":
            actions.close(request, call.user)
        elif event == "reopen":
            actions.reopen(request, call.user)
    except Impossible as error:
        raise refused(409 if "already exists" in str(error) else 422, [str(error)]) from error
    request.remove_source_branch = call.truth("remove_source_branch", request.remove_source_branch)
    request.squash = call.truth("squash", request.squash)
    return Answer(body=call.gitlab.shapes.one_merge_request(request, call.caller))


@operation("DELETE", "/projects/:id/merge_requests/:iid", level=Level.OWNER)
def delete(call: Call) -> Answer:
    """Remove it; owners alone may."""
    request = call.merge_request()
    del call.project.merge_requests[request.iid]
    return Answer(204)


@operation("PUT", "/projects/:id/merge_requests/:iid/merge")
def merge(call: Call) -> Answer:
    """Merge it (405: not now; 409: the head moved; 422: it conflicts; 401: not by this caller)."""
    request = call.merge_request()
    needed = request.project.protected.get(request.target_branch, (Level.DEVELOPER, Level.DEVELOPER))[1]
    if call.level < max(needed, Level.DEVELOPER):
        raise refused(401, "401 Unauthorized")
    _, detailed = call.gitlab.shapes.merge_status(request)
    sha = call.given.get("sha")
    if sha and sha != request.head:
        raise refused(409, f"SHA does not match HEAD of source branch: {request.head}")
    if detailed == "conflict":
        raise refused(422, "Branch cannot be merged")
    if detailed != "mergeable":
        raise refused(405, "405 Method Not Allowed")
    try:
        call.gitlab.actions.merge(request, call.user, str(call.given.get("merge_commit_message") or ""), squash=call.truth("squash"))
    except Impossible as error:
        raise refused(422, str(error)) from error
    call.notify(request)
    return Answer(body=call.gitlab.shapes.one_merge_request(request, call.caller))


@operation("PUT", "/projects/:id/merge_requests/:iid/rebase", level=Level.DEVELOPER)
def rebase(call: Call) -> Answer:
    """Replay the source branch on its target; done at once here, GitLab does it later."""
    request = call.merge_request()
    try:
        call.gitlab.actions.rebase(request, call.user)
    except Impossible as error:
        raise bad_request(str(error)) from error
    return Answer(202, {"rebase_in_progress": True})


@operation("GET", "/projects/:id/merge_requests/:iid/merge_ref")
def merge_ref(call: Call) -> Answer:
    """The commit of `refs/merge-requests/:iid/merge`."""
    request = call.merge_request()
    sha = call.gitlab.actions.merge_ref(request, call.caller.user or request.author)
    if sha is None:
        raise refused(400, "Merge request is not mergeable")
    return Answer(body={"commit_id": sha})


@operation("GET", "/projects/:id/merge_requests/:iid/participants")
def participants(call: Call) -> Answer:
    """Everybody who took part."""
    request = call.merge_request()
    people = {user.id: user for user in [request.author, *(note.author for note in request.notes if call.sees(note)), *request.assignees]}
    return listed(people.values(), call.gitlab.shapes.user)


@operation("POST", "/projects/:id/merge_requests/:iid/approve", level=Level.DEVELOPER)
def approve(call: Call) -> Answer:
    """Approve it; the author may not (401, as GitLab answers)."""
    request = call.merge_request()
    if call.given.get("sha") and call.given["sha"] != request.head:
        raise refused(409, "SHA does not match HEAD of source branch")
    if request.author is call.user or call.user in request.approvals:
        raise refused(401, "401 Unauthorized")
    call.gitlab.actions.approve(request, call.user)
    return Answer(201, _approvals(call, request))


@operation("POST", "/projects/:id/merge_requests/:iid/unapprove", level=Level.DEVELOPER)
def unapprove(call: Call) -> Answer:
    """Take it back."""
    request = call.merge_request()
    if call.user not in request.approvals:
        raise not_found("Approval")
    call.gitlab.actions.unapprove(request, call.user)
    return Answer(201, _approvals(call, request))


@operation("GET", "/projects/:id/merge_requests/:iid/approvals")
def approvals(call: Call) -> Answer:
    """Who approved it."""
    return Answer(body=_approvals(call, call.merge_request()))


def _approvals(call: Call, request: MergeRequest) -> dict[str, object]:
    whole = call.gitlab.shapes.merge_request(request)
    chosen = ("id", "iid", "project_id", "title", "description", "state", "created_at", "updated_at", "merge_status")
    shown: dict[str, object] = {key: whole[key] for key in chosen}
    given = [{"user": call.gitlab.shapes.user(user)} for user in request.approvals]
    return shown | {"approvals_required": 0, "approvals_left": 0, "approved": bool(given), "approved_by": given}
