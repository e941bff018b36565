"""Check runs and check suites. Only apps write them.

Source: REST, "Check runs"; 50 annotations a request, which are appended; three buttons.
"""

from __future__ import annotations

from datetime import datetime

from tests.worlds.github.call import Answer, Call, Refused, listed, not_found, operation
from tests.worlds.github.model import App, CheckRun, CheckSuite, Json

MOST_OF_A_NAME = 1000
"""Runs of one name in a suite; older ones are deleted."""
LONGEST_ANNOTATION_TITLE = 255
LONGEST_MESSAGE = 65_536
"""Bytes of an annotation's message and raw_details (64 KB)."""


def _app(call: Call) -> App:
    if call.caller.app is None:
        raise Refused(403, "You must authenticate via a GitHub App.")
    return call.caller.app


def _run(call: Call) -> CheckRun:
    run = call.github.state.check_run(call.repository, call.number("check_run_id"))
    if run is None:
        raise not_found()
    return run


def _suite(call: Call) -> CheckSuite:
    suite = next((known for known in call.repository.suites if known.id == call.number("check_suite_id")), None)
    if suite is None:
        raise not_found()
    return suite


@operation("POST", "/check-runs", "checks:write")
def create_check_run(call: Call) -> Answer:
    """A new run, in the app's suite on that commit."""
    app, sha, state = _app(call), call.body["head_sha"], call.github.state
    if call.repository.git.type_of(sha) != "commit":
        raise Refused(422, f"No commit found for SHA: {sha}")
    _check(call.body)
    branch = next(
        (ref.removeprefix("refs/heads/") for ref, at in call.repository.git.refs().items() if at == sha and ref.startswith("refs/heads/")),
        None,
    )
    suite = state.suite(call.repository, app, sha) or call.github.actions.new_suite(call.repository, app, sha, branch, None)
    run = CheckRun(state.new_id("run"), suite, call.body["name"])
    suite.runs.append(run)
    same = [known for known in suite.runs if known.name == run.name]
    for old in same[:-MOST_OF_A_NAME]:
        suite.runs.remove(old)
    _apply(call, run)
    call.github.actions.events.check_run(run, call.account, "created")
    _tell_completion(call, run, was=None)
    return Answer(201, call.github.shapes.check_run(run))


@operation("PATCH", "/check-runs/{check_run_id}", "checks:write")
def update_check_run(call: Call) -> Answer:
    """Change what is given. Annotations are added to those that are there."""
    app, run = _app(call), _run(call)
    if run.suite.app is not app:
        raise Refused(403, f"Invalid app_id `{app.id}` - check run can only be modified by the GitHub App that created it.")
    _check(call.body)
    was = run.conclusion
    _apply(call, run)
    _tell_completion(call, run, was)
    return Answer(body=call.github.shapes.check_run(run))


def _tell_completion(call: Call, run: CheckRun, was: str | None) -> None:
    """The app hears of its own checks too."""
    if run.conclusion is None or run.conclusion == was:
        return
    call.github.actions.events.check_run(run, call.account, "completed")
    if all(known.status == "completed" for known in run.suite.runs):
        call.github.actions.events.check_suite(run.suite, call.account, "completed")


def _check(body: Json) -> None:
    """Limits that stand in GitHub's prose. Raises Refused."""
    if (body.get("status") == "completed" or "completed_at" in body) and "conclusion" not in body:
        raise Refused(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.')
    if body.get("conclusion") == "stale":
        raise Refused(
            422,
            "Validation Failed",
            [{"resource": "CheckRun", "code": "invalid", "field": "conclusion", "message": "stale is set by GitHub"}],
        )
    for annotation in body.get("output", {}).get("annotations", []):
        _check_annotation(annotation)


def _check_annotation(annotation: Json) -> None:
    def refuse(field: str, text: str) -> Refused:
        return Refused(422, "Validation Failed", [{"resource": "CheckAnnotation", "code": "invalid", "field": field, "message": text}])

    if len(annotation.get("title", "")) > LONGEST_ANNOTATION_TITLE:
        raise refuse("title", f"title is too long (maximum is {LONGEST_ANNOTATION_TITLE} characters)")
    for name in ("message", "raw_details"):
        if len(annotation.get(name, "").encode()) > LONGEST_MESSAGE:
            raise refuse(name, f"{name} exceeds a maximum bytesize of {LONGEST_MESSAGE}")
    if annotation["start_line"] < 1 or annotation["end_line"] < annotation["start_line"]:
        raise refuse("end_line", "end_line must not be before start_line, and lines start at 1")
    if annotation["start_line"] != annotation["end_line"] and annotation.keys() & {"start_column", "end_column"}:
        raise refuse("start_column", "columns are only allowed on a single line")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(422, f"Invalid request.\n\n{text[:40]!r} is not a valid date-time.") from error


def _apply(call: Call, run: CheckRun) -> None:
    body, now = call.body, call.github.state.now()
    run.suite.rerequested, run.suite.updated_at = False, now
    for name in ("name", "external_id", "details_url"):
        if name in body:
            setattr(run, name, body[name])
    if "status" in body:
        run.status = body["status"]
        run.conclusion = run.completed_at = None
    if "conclusion" in body:
        run.status, run.conclusion = "completed", body["conclusion"]
        run.completed_at = _moment(body["completed_at"]) if "completed_at" in body else now
    run.started_at = _moment(body["started_at"]) if "started_at" in body else run.started_at or now
    if "output" in body:
        output = body["output"]
        run.title, run.summary, run.text = output.get("title", run.title), output["summary"], output.get("text", run.text)
        run.annotations.extend(output.get("annotations", []))
    if "actions" in body:
        run.actions = body["actions"]


@operation("GET", "/check-runs/{check_run_id}", "checks:read")
def get_check_run(call: Call) -> Answer:
    """One run."""
    return Answer(body=call.github.shapes.check_run(_run(call)))


@operation("GET", "/check-runs/{check_run_id}/annotations", "checks:read")
def list_annotations(call: Call) -> Answer:
    """All annotations of a run, an array."""
    run = _run(call)
    return listed(run.annotations, lambda annotation: call.github.shapes.annotation(run, annotation))


@operation("POST", "/check-runs/{check_run_id}/rerequest", "checks:write")
def rerequest(call: Call) -> Answer:
    """Ask for the run again."""
    call.github.actions.rerequest(_run(call), call.account)
    return Answer(201, {})


def _filtered(call: Call, runs: list[CheckRun]) -> Answer:
    name, status, app = call.query.get("check_name"), call.query.get("status"), call.query.get("app_id")
    found = [run for run in runs if name in (None, run.name) and status in (None, run.status) and app in (None, str(run.suite.app.id))]
    if call.query.get("filter", "latest") == "latest":
        newest = {(run.suite.app.id, run.suite.id, run.name): run for run in sorted(found, key=lambda run: run.id)}
        found = list(newest.values())
    return listed(sorted(found, key=lambda run: -run.id), call.github.shapes.check_run, "check_runs")


@operation("GET", "/commits/{ref}/check-runs", "checks:read")
def list_check_runs(call: Call) -> Answer:
    """Runs on a commit: of each name the newest, unless `filter=all`."""
    sha = call.repository.git.resolve(call.parameters["ref"])
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {call.parameters['ref']}")
    return _filtered(call, [run for suite in call.repository.suites if suite.head_sha == sha for run in suite.runs])


@operation("GET", "/check-suites/{check_suite_id}/check-runs", "checks:read")
def list_check_runs_of_suite(call: Call) -> Answer:
    """Runs of a suite."""
    return _filtered(call, _suite(call).runs)


@operation("GET", "/commits/{ref}/check-suites", "checks:read")
def list_check_suites(call: Call) -> Answer:
    """Suites on a commit."""
    sha = call.repository.git.resolve(call.parameters["ref"])
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {call.parameters['ref']}")
    app = call.query.get("app_id")
    found = [suite for suite in call.repository.suites if suite.head_sha == sha and app in (None, str(suite.app.id))]
    return listed(found, call.github.shapes.suite, "check_suites")


@operation("GET", "/check-suites/{check_suite_id}", "checks:read")
def get_check_suite(call: Call) -> Answer:
    """One suite."""
    return Answer(body=call.github.shapes.suite(_suite(call)))


@operation("POST", "/check-suites", "checks:write")
def create_check_suite(call: Call) -> Answer:
    """A suite by hand, for an app that turned the automatic ones off."""
    app, sha = _app(call), call.body["head_sha"]
    if call.repository.git.type_of(sha) != "commit":
        raise Refused(422, f"No commit found for SHA: {sha}")
    known = call.github.state.suite(call.repository, app, sha)
    suite = known or call.github.actions.new_suite(call.repository, app, sha, None, None)
    return Answer(200 if known else 201, call.github.shapes.suite(suite))
