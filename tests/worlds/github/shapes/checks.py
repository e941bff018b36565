"""Check runs, check suites and statuses."""

from __future__ import annotations

from tests.worlds.github.model import CheckRun, CheckSuite, Json, PullRequest, Repository, Status
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.shapes.pulls import PullShapes

# The worst conclusion speaks for the suite (GitHub docs, "About status checks").
_WORST = ("stale", "timed_out", "cancelled", "action_required", "failure", "neutral", "skipped", "success")


def suite_status(suite: CheckSuite) -> tuple[str, str | None]:
    """Status and conclusion of a suite: a suite without runs stays queued for ever."""
    if not suite.runs or suite.rerequested:
        return "queued", None
    if any(run.status != "completed" for run in suite.runs):
        return ("in_progress" if any(run.status != "queued" for run in suite.runs) else "queued"), None
    conclusions = {run.conclusion for run in suite.runs}
    return "completed", next((word for word in _WORST if word in conclusions), "neutral")


class CheckShapes(PullShapes):
    """JSON of checks."""

    def _pulls(self, suite: CheckSuite) -> list[PullRequest]:
        """Open pull requests of this repository with that head; those of forks are never named (REST, "Checks")."""
        pulls = suite.repository.pulls.values()
        return [
            pull for pull in pulls if pull.head_sha == suite.head_sha and pull.state == "open" and pull.head_repository is suite.repository
        ]

    def check_run(self, run: CheckRun) -> Json:
        """`check-run`."""
        suite = run.suite
        url = f"{self.api}/repos/{suite.repository.full_name}/check-runs/{run.id}"
        html = f"{self.web}/{suite.repository.full_name}/runs/{run.id}"
        output = {"title": run.title, "summary": run.summary, "text": run.text}
        return {
            "id": run.id,
            "name": run.name,
            "node_id": f"CR_kwDO{run.id}",
            "head_sha": suite.head_sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": html,
            "details_url": run.details_url or html,
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": when(run.started_at),
            "completed_at": when(run.completed_at),
            "output": output | {"annotations_count": len(run.annotations), "annotations_url": f"{url}/annotations"},
            "check_suite": {"id": suite.id},
            "app": self.app(suite.app),
            "pull_requests": [self.pull_minimal(pull) for pull in self._pulls(suite)],
        }

    def annotation(self, run: CheckRun, annotation: Json) -> Json:
        """`check-annotation`."""
        blank = dict.fromkeys(("start_column", "end_column", "title", "raw_details"))
        href = f"{self.web}/{run.suite.repository.full_name}/blob/{run.suite.head_sha}/{annotation['path']}"
        return blank | annotation | {"blob_href": href}

    def suite(self, suite: CheckSuite) -> Json:
        """`check-suite`."""
        url = f"{self.api}/repos/{suite.repository.full_name}/check-suites/{suite.id}"
        status, conclusion = suite_status(suite)
        return {
            "id": suite.id,
            "node_id": f"CS_kwDO{suite.id}",
            "head_branch": suite.head_branch,
            "head_sha": suite.head_sha,
            "status": status,
            "conclusion": conclusion,
            "url": url,
            "before": suite.before,
            "after": suite.head_sha,
            "pull_requests": [self.pull_minimal(pull) for pull in self._pulls(suite)],
            "app": self.app(suite.app),
            "repository": self.repository(suite.repository),
            "created_at": when(suite.created_at),
            "updated_at": when(suite.updated_at),
            "rerequestable": True,
            "runs_rerequestable": True,
            "latest_check_runs_count": len(suite.runs),
            "check_runs_url": f"{url}/check-runs",
            "head_commit": self.simple_commit(suite.repository, suite.head_sha),
        }

    def simple_commit(self, repository: Repository, sha: str) -> Json:
        """`simple-commit`."""
        commit = repository.git.commit(sha)
        bare = self.git_commit(repository, sha)
        people = {role: {"name": bare[role]["name"], "email": bare[role]["email"]} for role in ("author", "committer")}
        return {"id": sha, "tree_id": commit.tree, "message": bare["message"], "timestamp": bare["author"]["date"], **people}

    def status(self, repository: Repository, status: Status) -> Json:
        """`status`."""
        return {
            "url": f"{self.api}/repos/{repository.full_name}/statuses/{status.sha}",
            "avatar_url": f"{self.web}/avatars/u/{status.creator.id}",
            "id": status.id,
            "node_id": f"SC_kwDO{status.id}",
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": when(status.created_at),
            "updated_at": when(status.created_at),
            "creator": self.user(status.creator),
        }
