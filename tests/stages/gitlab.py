"""A whole Fixwright in one process before the double of GitLab: deliveries come in over HTTP, everything else goes out over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from tests.stages.wired import WiredBench
from tests.worlds.gitlab.hooks import Delivery
from tests.worlds.gitlab.model import MergeRequest, Note, Project
from tests.worlds.gitlab.pipelines import Job
from tests.worlds.gitlab.world import GitlabWorld


class GitlabBench(WiredBench[Delivery]):
    """An app, GitLab, and the wire between them. Nothing happens until `settle`. We sign in with a token of the group `acme`."""

    def __init__(self, tmp_path: Path, world: GitlabWorld, database_url: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.token = world.token_of(world.create_group("acme"))
        settings = {
            "FIXWRIGHT_GITLAB_URL": world.url,
            "FIXWRIGHT_GITLAB_PUBLIC_URL": "https://fixwright.example.org",
            "FIXWRIGHT_GITLAB_TOKEN": self.token,
            "FIXWRIGHT_GITLAB_WEBHOOK_SECRET": world.webhook_secret,
        }
        super().__init__(tmp_path, database_url, settings | dict(environment or {}))
        self.world = world

    # --- GitLab's side ---

    def told(self) -> Sequence[Delivery]:
        """Every delivery of the world's own hook so far."""
        return [delivery for delivery in self.world.hooks.deliveries if delivery.hook is self.world.hooks.own]

    def post(self, delivery: Delivery) -> httpx2.Response:
        """One delivery, as GitLab sends it."""
        headers = delivery.signed(self.world.gitlab.state.seconds())
        answer: httpx2.Response = self.client.post("/webhooks/gitlab", content=delivery.body, headers=headers)
        return answer

    def project(self, files: Mapping[str, str | bytes | None], name: str = "shop") -> Project:
        """A project of acme's in which ada may write and eve may look."""
        made = self.world.create_project("acme", name, files=files)
        self.world.set_access("ada", made, "developer")
        self.world.set_access("eve", made, "reporter")
        return made

    def change(self, project: Project, files: Mapping[str, str | bytes | None], branch: str = "feature") -> MergeRequest:
        """A branch with one commit, and its merge request."""
        self.world.commit(project, branch, files)
        return self.world.open_merge_request("ada", project, branch, "main", "Change it")

    # --- what people see ---

    def statuses(self, project: Project, sha: str) -> list[Job]:
        """Our statuses of a commit, the newest of each pipeline."""
        return [job for job in self.world.statuses(project, sha) if job.name == "Fixwright"]

    def our_notes(self, request: MergeRequest) -> list[Note]:
        """Everything that we wrote on a merge request."""
        bot = self.world.owner_of(self.token)
        return [note for note in self.world.notes(request) if note.author is bot]
