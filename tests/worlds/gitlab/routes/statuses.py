"""Statuses of commits, pipelines and jobs (docs, "Commits API", "Pipelines API", "Jobs API", "Merge requests API")."""

from __future__ import annotations

from tests.worlds.gitlab.call import Answer, Call, invalid, listed, not_found, operation
from tests.worlds.gitlab.model import Level
from tests.worlds.gitlab.pipelines import STATES, Job, Pipeline, Posted
from tests.worlds.gitlab.shapes import pipelines as shapes


@operation("POST", "/projects/:id/statuses/:sha", level=Level.DEVELOPER)
def create(call: Call) -> Answer:
    """Post a status."""
    call.need("state")
    state = call.chosen("state", STATES)
    given = {name: None if call.given.get(name) is None else call.text(name) for name in ("ref", "target_url", "description")}
    coverage = call.given.get("coverage")
    name = call.given.get("name") or call.given.get("context") or "default"
    try:
        measured = None if coverage is None else float(coverage)
    except (TypeError, ValueError) as error:
        raise invalid("coverage is invalid") from error
    posted = Posted(state, str(name), given["ref"], given["target_url"], given["description"], measured, call.integer("pipeline_id"))
    job = call.gitlab.pipelines.post(call.project, call.user, call.parameters["sha"], posted)
    return Answer(201, shapes.status(call.gitlab.shapes, job))


@operation("GET", "/projects/:id/repository/commits/:sha/statuses")
def statuses(call: Call) -> Answer:
    """Statuses of a commit: the newest of each name in each pipeline, unless `all` are asked for."""
    _reads_pipelines(call)
    sha = call.project.git.resolve(f"{call.parameters['sha']}^{{commit}}")
    if sha is None:
        raise not_found("Commit")
    found = call.gitlab.pipelines.statuses(call.project, sha, every=call.truth("all"))
    for key in ("ref", "stage", "name"):
        if call.given.get(key):
            found = [job for job in found if getattr(job, key) == call.given[key]]
    number = call.integer("pipeline_id")
    return listed((job for job in found if number in (None, job.pipeline.id)), lambda job: shapes.status(call.gitlab.shapes, job))


@operation("GET", "/projects/:id/pipelines")
def pipelines(call: Call) -> Answer:
    """Pipelines of a project, newest first."""
    _reads_pipelines(call)
    found = call.gitlab.pipelines.of(call.project)
    for key in ("ref", "sha", "status", "source"):
        if call.given.get(key):
            found = [known for known in found if getattr(known, key) == call.given[key]]
    return listed(found, lambda known: shapes.pipeline(call.gitlab.shapes, known), key=lambda known: known.id)


@operation("GET", "/projects/:id/pipelines/:pipeline")
def pipeline(call: Call) -> Answer:
    """One pipeline."""
    return Answer(body=shapes.one_pipeline(call.gitlab.shapes, _pipeline(call)))


@operation("GET", "/projects/:id/pipelines/:pipeline/jobs")
def jobs(call: Call) -> Answer:
    """The jobs of a pipeline; statuses that others posted are none of its builds, so they are not here."""
    known = _pipeline(call)
    chosen = known.jobs if call.truth("include_retried") else known.latest
    return listed([job for job in chosen if not job.external][::-1], lambda job: shapes.job(call.gitlab.shapes, job))


@operation("GET", "/projects/:id/jobs/:job")
def job(call: Call) -> Answer:
    """One job."""
    _reads_pipelines(call)
    every = (job for known in call.gitlab.pipelines.of(call.project) for job in known.jobs if not job.external)
    found: Job | None = next((job for job in every if job.id == call.number("job")), None)
    if found is None:
        raise not_found()
    return Answer(body=shapes.job(call.gitlab.shapes, found))


@operation("GET", "/projects/:id/merge_requests/:iid/pipelines")
def of_merge_request(call: Call) -> Answer:
    """Pipelines of a merge request; each says in whose project it runs."""
    _reads_pipelines(call)
    found = call.gitlab.pipelines.for_merge_request(call.merge_request())
    seen = [known for known in found if call.caller.sees(known.project)]
    return listed(seen, lambda known: shapes.pipeline(call.gitlab.shapes, known))


def _pipeline(call: Call) -> Pipeline:
    _reads_pipelines(call)
    found = call.gitlab.pipelines.find(call.project, call.number("pipeline"))
    if found is None:
        raise not_found()
    return found


def _reads_pipelines(call: Call) -> None:
    """Of a project that is not public only from Reporter on (docs, "Roles and permissions")."""
    if call.project.visibility != "public":
        call.at_least(Level.REPORTER)
