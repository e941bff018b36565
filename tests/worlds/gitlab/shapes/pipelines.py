"""The JSON of pipelines, jobs and statuses, in answers and in webhooks.

Source: GitLab docs, "Pipelines API", "Jobs API", "Commits API" (statuses), "Webhook events" (pipeline events, job events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.gitlab.model import Json
from tests.worlds.gitlab.payload_parts import spaced
from tests.worlds.gitlab.payloads import Payloads
from tests.worlds.gitlab.pipelines import FINISHED, Job, Pipeline

if TYPE_CHECKING:
    from tests.worlds.gitlab.shapes import Shapes


def web_url(shapes: Shapes, pipeline: Pipeline) -> str:
    """Address of its page."""
    return f"{shapes.web}/{pipeline.project.full_path}/-/pipelines/{pipeline.id}"


def pipeline(shapes: Shapes, known: Pipeline) -> Json:
    """One of a list."""
    return {
        "id": known.id,
        "iid": known.iid,
        "project_id": known.project.id,
        "sha": known.sha,
        "ref": known.ref,
        "status": known.status,
        "source": known.source,
        "created_at": shapes.moment(known.created_at),
        "updated_at": shapes.moment(known.updated_at),
        "web_url": web_url(shapes, known),
        "name": None,
    }


def one_pipeline(shapes: Shapes, known: Pipeline) -> Json:
    """One alone."""
    started = min((job.started_at for job in known.latest if job.started_at), default=None)
    finished = max((job.finished_at for job in known.latest if job.finished_at), default=None) if known.status in FINISHED else None
    word = {"success": "passed"}.get(known.status, known.status)
    return pipeline(shapes, known) | {
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": shapes.user(known.user),
        "started_at": shapes.perhaps(started),
        "finished_at": shapes.perhaps(finished),
        "committed_at": None,
        "duration": int((finished - started).total_seconds()) if started and finished else None,
        "queued_duration": None,
        "coverage": None,
        "archived": False,
        "detailed_status": {
            "icon": f"status_{known.status}",
            "text": word.title(),
            "label": word,
            "group": known.status,
            "tooltip": word,
            "has_details": True,
            "details_path": web_url(shapes, known).removeprefix(shapes.web),
            "illustration": None,
            "favicon": f"/assets/ci_favicons/favicon_status_{known.status}.png",
        },
    }


def job(shapes: Shapes, known: Job) -> Json:
    """A job."""
    project = known.pipeline.project
    return {
        "id": known.id,
        "status": known.status,
        "stage": known.stage,
        "name": known.name,
        "ref": known.ref,
        "tag": False,
        "coverage": known.coverage,
        "allow_failure": known.allow_failure,
        "created_at": shapes.moment(known.created_at),
        "started_at": shapes.perhaps(known.started_at),
        "finished_at": shapes.perhaps(known.finished_at),
        "erased_at": None,
        "duration": None,
        "queued_duration": None,
        "user": shapes.user(known.user),
        "commit": shapes.commit(project, known.pipeline.sha),
        "pipeline": pipeline(shapes, known.pipeline),
        "web_url": f"{shapes.web}/{project.full_path}/-/jobs/{known.id}",
        "artifacts": [],
        "artifacts_file": None,
        "artifacts_expire_at": None,
        "tag_list": [],
        "runner": None,
        "runner_manager": None,
        "project": {"ci_job_token_scope_enabled": True},
        "archived": False,
    }


def status(shapes: Shapes, known: Job) -> Json:
    """A job as a status of its commit."""
    return {
        "id": known.id,
        "sha": known.pipeline.sha,
        "ref": known.ref,
        "status": known.status,
        "name": known.name,
        "target_url": known.target_url,
        "description": known.description,
        "created_at": shapes.moment(known.created_at),
        "started_at": shapes.perhaps(known.started_at),
        "finished_at": shapes.perhaps(known.finished_at),
        "allow_failure": known.allow_failure,
        "coverage": known.coverage,
        "pipeline_id": known.pipeline.id,
        "author": shapes.user(known.user),
    }


def pipeline_event(payloads: Payloads, known: Pipeline) -> Json:
    """`pipeline`. External statuses are jobs that it does not list as builds. One for a merge request is told under the name of the source
    branch, whatever ref it runs on (GitLab's `source_ref`)."""
    project, about = known.project, known.merge_request
    shown = {
        "id": known.id,
        "iid": known.iid,
        "name": None,
        "ref": known.ref if about is None else about.source_branch,
        "tag": False,
        "sha": known.sha,
        "before_sha": "0" * 40,
        "source": known.source,
        "status": known.status,
        "detailed_status": {"success": "passed"}.get(known.status, known.status),
        "stages": sorted({entry.stage for entry in known.jobs}),
        "created_at": spaced(known.created_at),
        "finished_at": spaced(known.updated_at) if known.status in FINISHED else None,
        "duration": None,
        "queued_duration": None,
        "variables": [],
        "url": f"{payloads.web(project)}/-/pipelines/{known.id}",
    }
    short = None
    if about is not None:
        whole = payloads.attributes(about)
        names = ("id", "iid", "title", "source_branch", "source_project_id", "target_branch", "target_project_id", "state", "merge_status")
        short = {name: whole[name] for name in (*names, "detailed_merge_status", "url")}
    return {
        "object_kind": "pipeline",
        "object_attributes": shown,
        "merge_request": short,
        "user": payloads.user(known.user),
        "project": payloads.project(project),
        "commit": payloads.commit(project, known.sha),
        "builds": [_build(payloads, entry) for entry in known.jobs if not entry.external],
    }


def _build(payloads: Payloads, known: Job) -> Json:
    return {
        "id": known.id,
        "stage": known.stage,
        "name": known.name,
        "status": known.status,
        "created_at": spaced(known.created_at),
        "started_at": spaced(known.started_at),
        "finished_at": spaced(known.finished_at),
        "duration": None,
        "queued_duration": None,
        "failure_reason": "script_failure" if known.status == "failed" else None,
        "when": "on_success",
        "manual": False,
        "allow_failure": known.allow_failure,
        "user": payloads.user(known.user),
        "runner": None,
        "artifacts_file": {"filename": None, "size": None},
        "environment": None,
    }


def job_event(payloads: Payloads, known: Job) -> Json:
    """`build`: `commit.id` is the number of the pipeline, as GitLab has it."""
    owner, commit = known.pipeline.project, payloads.commit(known.pipeline.project, known.pipeline.sha)
    return {
        "object_kind": "build",
        "ref": known.ref,
        "tag": False,
        "before_sha": "0" * 40,
        "sha": known.pipeline.sha,
        "build_id": known.id,
        "build_name": known.name,
        "build_stage": known.stage,
        "build_status": known.status,
        "build_created_at": spaced(known.created_at),
        "build_started_at": spaced(known.started_at),
        "build_finished_at": spaced(known.finished_at),
        "build_duration": None,
        "build_queued_duration": None,
        "build_allow_failure": known.allow_failure,
        "build_failure_reason": "script_failure" if known.status == "failed" else "unknown_failure",
        "retries_count": 0,
        "pipeline_id": known.pipeline.id,
        "project_id": owner.id,
        "project_name": owner.full_path,
        "user": payloads.user(known.user),
        "commit": {
            "id": known.pipeline.id,
            "name": None,
            "sha": known.pipeline.sha,
            "message": commit["message"],
            "author_name": commit["author"]["name"],
            "author_email": commit["author"]["email"],
            "author_url": None,
            "status": known.pipeline.status,
            "duration": None,
            "started_at": None,
            "finished_at": None,
        },
        "repository": payloads.repository(owner),
        "project": payloads.project(owner),
        "runner": None,
        "environment": None,
        "source_pipeline": None,
    }
