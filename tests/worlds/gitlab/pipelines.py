"""Pipelines, their jobs, and the statuses that others post: an external status is a job of a pipeline, which is where its traps come from.

Source: GitLab docs, "Commits API" (commit pipeline status), "Merge request pipelines", "Merged results pipelines", "Merge trains";
behaviour of `POST /projects/:id/statuses/:sha` as GitLab's own specs describe it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.worlds.gitlab.call import forbidden, refused
from tests.worlds.gitlab.model import Level, MergeRequest, Project, User
from tests.worlds.gitlab.state import State

STATES = ("pending", "running", "success", "failed", "canceled", "skipped")
"""What may be posted."""
LIVE = ("pending", "running")
FINISHED = ("success", "failed", "canceled", "skipped")
LONGEST = 255
"""Characters of a description, a target URL and a ref."""

_BEGUN = ("created", "pending", "running")
_TRANSITIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "pending": ("enqueue", ("created",)),
    "running": ("run", ("created", "pending")),  # a new one is enqueued on its way
    "success": ("success", _BEGUN),
    "failed": ("drop", _BEGUN),
    "canceled": ("cancel", _BEGUN),
    "skipped": ("skip", ("created", "pending")),
}
"""State -> (GitLab's name of the event, from where it is allowed)."""


@dataclass(eq=False, slots=True)
class Job:
    """A job of a pipeline. `external`: a status that somebody posted."""

    id: int
    pipeline: Pipeline
    name: str
    stage: str
    ref: str
    user: User
    created_at: datetime
    external: bool = False
    status: str = "created"
    description: str | None = None
    target_url: str | None = None
    coverage: float | None = None
    allow_failure: bool = False
    retried: bool = False
    """True once a newer job of its name took its place."""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def become(self, status: str, now: datetime) -> None:
        """Change the status, whatever it was."""
        self.status = status
        if status == "running" or (status in ("success", "failed") and self.started_at is None):
            self.started_at = self.started_at or now
        self.finished_at = now if status in FINISHED else None


@dataclass(eq=False, slots=True)
class Pipeline:
    """A pipeline of a project, for one commit."""

    id: int
    iid: int
    project: Project
    sha: str
    ref: str
    """A branch, or `refs/merge-requests/7/head`, `/merge` and `/train`."""
    source: str
    """`push`, `external`, `merge_request_event`, `web`."""
    user: User
    created_at: datetime
    updated_at: datetime
    merge_request: MergeRequest | None = None
    source_sha: str | None = None
    """The head of the merge request, where `sha` is a merge commit of GitLab's own."""
    jobs: list[Job] = field(default_factory=list)

    @property
    def latest(self) -> list[Job]:
        """Jobs that no newer one of the same name replaced."""
        return [job for job in self.jobs if not job.retried]

    @property
    def status(self) -> str:
        """What its jobs make together."""
        states = {"success" if job.allow_failure and job.status == "failed" else job.status for job in self.latest}
        if not states or states == {"created"}:
            return "created"
        if states & {"running"} or (states & {"pending", "created"} and states - {"pending", "created"}):
            return "running"
        for word in ("pending", "failed", "canceled"):
            if word in states:
                return word
        return "skipped" if states == {"skipped"} else "success"

    def is_for(self, merge_request: MergeRequest) -> bool:
        """True when it runs for the head of a merge request."""
        if self.merge_request is merge_request:
            return merge_request.head in (self.sha, self.source_sha)
        at_source = self.project is merge_request.source and self.ref == merge_request.source_branch
        return self.merge_request is None and at_source and self.sha == merge_request.head


@dataclass(frozen=True, slots=True)
class Posted:
    """A status that somebody asks for; None where a field was not given."""

    state: str
    name: str = "default"
    ref: str | None = None
    target_url: str | None = None
    description: str | None = None
    coverage: float | None = None
    pipeline_id: int | None = None


class Pipelines:
    """All pipelines of the world. Called with `State.lock` held."""

    def __init__(self, state: State, changed: Callable[[Pipeline], Any], job_changed: Callable[[Job], Any]) -> None:
        self._state = state
        self._changed = changed
        self._job_changed = job_changed
        self._known: dict[int, list[Pipeline]] = defaultdict(list)

    def of(self, project: Project) -> list[Pipeline]:
        """Pipelines of a project, newest first."""
        return self._known[project.id][::-1]

    def find(self, project: Project, number: int) -> Pipeline | None:
        """A pipeline of a project by number."""
        return next((known for known in self._known[project.id] if known.id == number), None)

    def for_merge_request(self, merge_request: MergeRequest) -> list[Pipeline]:
        """Pipelines of a merge request's commits, newest first, those made for merge requests before those of the branch."""
        shas = {version.refs.head for version in merge_request.versions} | {merge_request.head}
        places = {place.id: place for place in (merge_request.project, merge_request.source) if place is not None}
        every = [known for number in places for known in self._known[number]]
        own = [known for known in every if known.merge_request is merge_request]
        branch = [
            known
            for known in every
            if known.merge_request is None
            and known.project is merge_request.source
            and known.ref == merge_request.source_branch
            and known.sha in shas
        ]
        return sorted(own, key=lambda known: -known.id) + sorted(branch, key=lambda known: -known.id)

    def head_of(self, merge_request: MergeRequest) -> Pipeline | None:
        """`head_pipeline`: the pipeline of its head that counts."""
        return next((known for known in self.for_merge_request(merge_request) if known.is_for(merge_request)), None)

    def create(
        self,
        project: Project,
        sha: str,
        ref: str,
        user: User,
        source: str = "push",
        *,
        merge_request: MergeRequest | None = None,
        source_sha: str | None = None,
        jobs: tuple[str, ...] = (),
    ) -> Pipeline:
        """Make a pipeline; `jobs` wait to be run."""
        now = self._state.now()
        iid = len(self._known[project.id]) + 1
        made = Pipeline(self._state.new_id("pipeline"), iid, project, sha, ref, source, user, now, now, merge_request, source_sha)
        for name in jobs:
            job = Job(self._state.new_id("job"), made, name, "test", ref, user, now)
            job.status = "pending"
            made.jobs.append(job)
        self._known[project.id].append(made)
        if jobs:
            self._changed(made)
        return made

    def move(self, job: Job, status: str) -> None:
        """A runner's work: a job changes its status."""
        before = job.pipeline.status
        job.become(status, self._state.now())
        job.pipeline.updated_at = self._state.now()
        self._job_changed(job)
        if job.pipeline.status != before:
            self._changed(job.pipeline)

    def statuses(self, project: Project, sha: str, *, every: bool = False) -> list[Job]:
        """All jobs of a commit, oldest first; without `every` only the newest of each name in a pipeline."""
        jobs = [job for known in self._known[project.id] if known.sha == sha for job in known.jobs]
        return sorted((job for job in jobs if every or not job.retried), key=lambda job: job.id)

    # --- statuses that are posted ---

    def post(self, project: Project, user: User, commit: str, posted: Posted) -> Job:
        """Post a status. Raises Refused as GitLab does."""
        sha = self._commit(project, commit)
        matching = self._matching(project, sha, posted)
        ref = posted.ref or (matching.ref if matching else None) or self._branch_of(project, sha)
        if ref is None:
            raise refused(404, "404 References for commit Not Found")
        if posted.pipeline_id is not None and matching is None:
            raise refused(404, "404 Pipeline for pipeline_id, sha and ref Not Found")
        self._may_update(project, user, matching.ref if matching else ref)
        self._valid(posted, ref)
        pipeline = matching or self.create(project, sha, ref, user, "external")
        return self._apply(pipeline, ref, user, posted)

    def _commit(self, project: Project, commit: str) -> str:
        sha = project.git.resolve(f"{commit}^{{commit}}") if re.fullmatch(r"[\w./-]+", commit) else None
        if sha is None:
            raise refused(404, "404 Commit Not Found")
        return sha

    def _matching(self, project: Project, sha: str, posted: Posted) -> Pipeline | None:
        """The newest pipeline of the commit, on that ref and of that number where they are named."""
        found = (known for known in self.of(project) if known.sha == sha)
        found = (known for known in found if posted.ref in (None, known.ref))
        return next((known for known in found if posted.pipeline_id in (None, known.id)), None)

    def _branch_of(self, project: Project, sha: str) -> str | None:
        """The first branch, in order of names, that contains a commit."""
        names = sorted(ref for ref in project.git.refs() if ref.startswith("refs/heads/"))
        return next((ref.removeprefix("refs/heads/") for ref in names if project.git.is_ancestor(sha, ref)), None)

    def _may_update(self, project: Project, user: User, ref: str) -> None:
        """A pipeline of a protected branch is only for who may push or merge there; of an archived project for nobody."""
        level = Level.OWNER if user.admin else project.level(user)
        if project.archived or (ref in project.protected and level < min(project.protected[ref])):
            raise forbidden()

    def _valid(self, posted: Posted, ref: str) -> None:
        errors: dict[str, list[str]] = {}
        for name, value in (("description", posted.description), ("target_url", posted.target_url), ("ref", ref), ("name", posted.name)):
            if value is not None and len(value) > LONGEST:
                errors.setdefault(name, []).append(f"is too long (maximum is {LONGEST} characters)")
        if posted.target_url is not None and not re.match(r"https?://[^/\s]+", posted.target_url):
            errors.setdefault("target_url", []).append("is blocked: Only allowed schemes are http, https")
        if not posted.name.strip():
            errors.setdefault("name", []).append("can't be blank")
        if errors:
            raise refused(400, errors)

    def _apply(self, pipeline: Pipeline, ref: str, user: User, posted: Posted) -> Job:
        """Move the live status of that name, ref and user, or begin a new one, which takes the place of older ones."""
        live = (job for job in pipeline.jobs if job.external and job.status in LIVE and not job.retried)
        job = next((job for job in live if (job.name, job.ref, job.user) == (posted.name, ref, user)), None)
        event, allowed = _TRANSITIONS[posted.state]
        if job is not None and job.status not in allowed:
            reason = f'(Reason(s): Status cannot transition via "{event}")'
            raise refused(400, f"Cannot transition status via :{event} from :{job.status} {reason}")
        before, now = pipeline.status, self._state.now()
        if job is None:
            job = Job(self._state.new_id("job"), pipeline, posted.name, "external", ref, user, now, external=True)
            for older in pipeline.jobs:
                older.retried = older.retried or older.name == job.name
            pipeline.jobs.append(job)
        job.description = posted.description if posted.description is not None else job.description
        job.target_url = posted.target_url if posted.target_url is not None else job.target_url
        job.coverage = posted.coverage if posted.coverage is not None else job.coverage
        job.become(posted.state, now)
        pipeline.updated_at = now
        if pipeline.status != before:
            self._changed(pipeline)
        return job
