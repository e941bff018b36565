"""External status checks (docs, "External status checks API"); 401 below Ultimate."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, listed, not_found, operation, refused, unauthorized
from tests.worlds.gitlab.model import Json, Level, MergeRequest
from tests.worlds.gitlab.status_checks import Check

_WORDS = ("passed", "failed", "pending")


def _licensed(call: Call) -> None:
    if call.project.namespace.root.plan != "ultimate":
        raise unauthorized()


def _check(call: Call, number: int | None) -> Check:
    found = next((check for check in call.gitlab.status_checks.of(call.project) if check.id == number), None)
    if found is None:
        raise not_found()
    return found


def _of_project(check: Check) -> Json:
    return {
        "id": check.id,
        "name": check.name,
        "project_id": check.project.id,
        "external_url": check.external_url,
        "hmac": bool(check.secret),
        "protected_branches": [],
    }


def _of_merge_request(call: Call, check: Check, merge_request: MergeRequest) -> Json:
    status = call.gitlab.status_checks.status(check, merge_request)
    return {"id": check.id, "name": check.name, "external_url": check.external_url, "status": status}


@operation("GET", "/projects/:id/external_status_checks", level=Level.MAINTAINER)
def of_project(call: Call) -> Answer:
    """The services that a project asks."""
    _licensed(call)
    return listed(call.gitlab.status_checks.of(call.project), _of_project)


@operation("POST", "/projects/:id/external_status_checks", level=Level.MAINTAINER)
def create(call: Call) -> Answer:
    """Ask another one."""
    _licensed(call)
    call.need("name", "external_url")
    secret = call.text("shared_secret", "")
    return Answer(201, _of_project(call.gitlab.status_checks.add(call.project, call.text("name"), call.text("external_url"), secret)))


@operation("PUT", "/projects/:id/external_status_checks/:check", level=Level.MAINTAINER)
def update(call: Call) -> Answer:
    """Its name, address or secret."""
    _licensed(call)
    check = _check(call, call.number("check"))
    check.name, check.external_url = call.text("name", check.name), call.text("external_url", check.external_url)
    check.secret = call.text("shared_secret", check.secret)
    return Answer(200, _of_project(check))


@operation("GET", "/projects/:id/merge_requests/:iid/status_checks", level=Level.REPORTER)
def of_merge_request(call: Call) -> Answer:
    """What they say about a merge request."""
    _licensed(call)
    merge_request = call.merge_request()
    return listed(call.gitlab.status_checks.of(call.project), lambda check: _of_merge_request(call, check, merge_request))


@operation("POST", "/projects/:id/merge_requests/:iid/status_check_responses", level=Level.DEVELOPER)
def respond(call: Call) -> Answer:
    """Answer for the head as it is."""
    _licensed(call)
    call.need("sha", "external_status_check_id")
    merge_request, status = call.merge_request(), call.chosen("status", _WORDS, "passed")
    check = _check(call, call.integer("external_status_check_id"))
    if call.text("sha") != merge_request.head:
        raise refused(409, f"SHA does not match HEAD of source branch: {merge_request.head}")
    made = call.gitlab.status_checks.respond(check, merge_request, call.text("sha"), status)
    shown = call.gitlab.shapes.merge_request(merge_request)
    return Answer(
        201,
        {"id": made.id, "merge_request": shown, "external_status_check": _of_project(check), "sha": made.sha, "status": made.status},
    )


@operation("POST", "/projects/:id/merge_requests/:iid/status_checks/:check/retry", level=Level.DEVELOPER)
def retry(call: Call) -> Answer:
    """Ask one that failed again."""
    _licensed(call)
    merge_request, check = call.merge_request(), _check(call, call.number("check"))
    if call.gitlab.status_checks.status(check, merge_request) != "failed":
        raise refused(422, "External status check must be failed")
    payload = call.gitlab.events.payloads.merge_request(merge_request, call.user, "update", "", {})
    call.gitlab.status_checks.ask_one(check, merge_request, payload)
    return Answer(202, {"message": "202 Accepted"})
