"""A whole Fixwright in one process before the double of GitHub: deliveries come in over HTTP, everything else goes out over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from bot.worker import work_message
from pipeline.model.ids import MessageId
from pipeline.store.tables import outbox
from providers.github.client import close_line
from providers.github.provider import GitHubProvider
from tests.stages.wired import VALUE, KeyScanner, WiredBench, bad_words
from tests.worlds.github.hooks import Delivery
from tests.worlds.github.model import CheckRun, PullRequest, Repository, ReviewComment
from tests.worlds.github.world import GithubWorld, new_key

__all__ = ["ON_BOTH", "VALUE", "GithubBench", "KeyScanner", "app_key", "bad_words"]

ON_BOTH = pytest.mark.usefixtures("database_url")
"""For a test that runs on SQLite and on PostgreSQL. That both do the same is held by `tests/unit/store`: here it is for what several
processes, or the same thing many times, do to the store."""


@cache
def app_key() -> str:
    """One RSA key for all worlds of a run: making one takes longer than a test."""
    return new_key()


class GithubBench(WiredBench[Delivery]):
    """An app, GitHub, and the wire between them. Nothing happens until `settle`."""

    def __init__(self, tmp_path: Path, world: GithubWorld, database_url: str, environment: Mapping[str, str] | None = None) -> None:
        settings = {
            "FIXWRIGHT_GITHUB_APP_ID": str(world.app_id),
            "FIXWRIGHT_GITHUB_PRIVATE_KEY": world.private_key_pem,
            "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": world.webhook_secret,
            "FIXWRIGHT_GITHUB_API_URL": world.api_url,
        }
        super().__init__(tmp_path, database_url, settings | dict(environment or {}))
        self.world = world

    def live_by_the_worlds_clock(self) -> None:
        """When the world's clock is set ahead, so is ours."""
        provider = GitHubProvider(clock=self.world.github.state.seconds)
        self.app.plugins = replace(self.app.plugins, providers={**self.app.plugins.providers, "github": provider})

    def close(self) -> None:
        """Let go of everything."""
        super().close()
        close_line()

    # --- GitHub's side ---

    def repository(self, files: Mapping[str, str | bytes | None], name: str = "shop") -> Repository:
        """A repository of octo's in which ada may write and eve may read."""
        made = self.world.create_repository("octo", name, files=files)
        self.world.set_permission("ada", made, "write")
        self.world.set_permission("eve", made, "read")
        return made

    def change(self, repository: Repository, files: Mapping[str, str | bytes | None], branch: str = "feature") -> PullRequest:
        """A branch with one commit, and its pull request."""
        self.world.commit(repository, branch, files)
        return self.world.open_pull_request("ada", repository, branch, "main", "Change it")

    def told(self) -> Sequence[Delivery]:
        """Every delivery of the App so far."""
        return self.world.hooks.deliveries

    def post(self, delivery: Delivery) -> httpx2.Response:
        """One delivery, as GitHub sends it."""
        answer: httpx2.Response = self.client.post("/webhooks/github", content=delivery.body, headers=delivery.headers)
        return answer

    # --- our side ---

    def start(self, name: str) -> None:
        """Do what the newest delivery of this name leads to, up to the new review, while another is under way."""
        delivery = self.world.hooks.of(*name.split("."))[-1]
        for kind in ("accept_event", "start_review"):
            with self.app.database.read() as work:
                statement = select(outbox.c.id).where(outbox.c.kind == kind, outbox.c.key.contains(delivery.id))
                found = work.transaction.execute(statement).scalar_one()
            work_message(self.app, MessageId(found))

    # --- what people see ---

    def runs(self, repository: Repository, sha: str) -> list[CheckRun]:
        """Our check runs on a commit."""
        return self.world.checks(repository, sha)

    def ours(self, repository: Repository) -> list[PullRequest]:
        """Pull requests that we opened."""
        return [pull for pull in repository.pulls.values() if pull.user is self.world.app.bot]

    def threads(self, pull: PullRequest) -> list[ReviewComment]:
        """First comments of our threads."""
        return [c for c in pull.review_comments if c.reply_to is None and c.user is self.world.app.bot]

    def answers(self, pull: PullRequest) -> list[str]:
        """Everything that we wrote in the conversation and in threads, but for the threads' first comments and the summary."""
        bot = self.world.app.bot
        spoken = [c.body for c in pull.comments if c.user is bot and "fixwright:comment:" not in c.body]
        return spoken + [c.body for c in pull.review_comments if c.user is bot and c.reply_to is not None]

    def our_branches(self, repository: Repository) -> list[str]:
        """Names of branches below `fixwright/`."""
        return sorted(ref.removeprefix("refs/heads/") for ref in repository.git.refs() if ref.startswith("refs/heads/fixwright/"))
