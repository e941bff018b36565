"""`make demo PROVIDER=github`: the story of the demo against the double of GitHub."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.demo import content
from bot.demo.story import DemoFailed, FixAnswer, git, make_repository
from tests.worlds.demo import PERSON, Beside, main, send_copies
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld


class GithubDemo:
    """A private repository on the double, with the App installed."""

    name = "github"
    word = "pull request"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._world = GithubWorld(folder / "github")
        self._repository: Repository | None = None
        self._pull: PullRequest | None = None
        self._beside: Beside | None = None
        self.server = folder

    @property
    def repository(self) -> Repository:
        """On the double."""
        assert self._repository is not None
        return self._repository

    @property
    def pull(self) -> PullRequest:
        """The change."""
        assert self._pull is not None
        return self._pull

    def open(self, repository: Path) -> None:
        """Start the double; what an earlier one knew is gone with it, so everything begins anew."""
        self._world.serve()
        self._repository = self._world.create_repository(content.OWNER, content.NAME)
        self._world.set_permission(PERSON, self.repository, "write")
        self.server = self.repository.git.path
        make_repository(repository, self.server)
        self._look()

    def _look(self) -> None:
        with self._world.github.state.lock:
            self._world.github.actions.look_at_refs(self.repository, self._world.user(PERSON))

    def start(self, environment: Mapping[str, str], log: Path) -> None:
        """`fixwright up` with the App's settings."""
        key = self._folder / "app.pem"
        key.touch(mode=0o600)
        key.write_text(self._world.private_key_pem)
        settings = {
            "APP_ID": str(self._world.app_id),
            "PRIVATE_KEY": str(key),
            "WEBHOOK_SECRET": self._world.webhook_secret,
            "API_URL": self._world.api_url,
        }
        self._beside = Beside(self.name, environment, settings, log)
        self._world.webhook_url = self._beside.hook_url

    def push(self) -> str:
        """Push, open the pull request, and deliver it a hundred times more: it stays one review."""
        git(self._folder / "repository", "push", "--quiet", "origin", content.BRANCH)
        self._look()
        self._pull = self._world.open_pull_request(PERSON, self.repository, content.BRANCH, "main", content.TITLE)
        self._world.hooks.wait()
        opened = self._world.hooks.of("pull_request", "opened")[-1]
        return f"pull request #{self.pull.number}; {send_copies(self._world.hooks, opened.id)}"

    def checks(self) -> list[dict[str, Any]]:
        """Check runs on the head."""
        runs = [run for suite in self.repository.suites if suite.head_sha == self.pull.head_sha for run in suite.runs]
        return [
            {
                "name": run.name,
                "status": run.status,
                "conclusion": run.conclusion,
                "title": run.title,
                "summary": run.summary,
                "annotations": len(run.annotations),
            }
            for run in runs
        ]

    def threads(self) -> list[dict[str, Any]]:
        """First comments of our review threads."""
        ours = [comment for comment in self.pull.review_comments if comment.reply_to is None and comment.user is self._world.app.bot]
        return [{"path": c.original.path, "line": c.original.line, "body": c.body, "id": c.id} for c in ours]

    def ask(self, path: str, text: str) -> None:
        """Answer in the thread on a file."""
        thread = next(thread for thread in self.threads() if thread["path"] == path)
        self._world.reply_in_thread(PERSON, thread["id"], text)

    def fix(self) -> FixAnswer | None:
        """Our pull request, once the thread has its answer."""
        ours = [pull for pull in self.repository.pulls.values() if pull.user is self._world.app.bot]
        replies = [c.body for c in self.pull.review_comments if c.reply_to is not None and c.user is self._world.app.bot]
        if not ours or not replies:
            return None
        return FixAnswer(ours[0].number, ours[0].title, ours[0].body or "", ours[0].head_ref, replies[-1])

    def counts(self) -> Mapping[str, int]:
        """What an impatient reader would count, and whether we broke a rule of GitHub's."""
        violations = self._world.violations
        if violations:
            raise DemoFailed(f"a request or an answer broke GitHub's own description: {violations[0]}")
        ours = [pull for pull in self.repository.pulls.values() if pull.user is self._world.app.bot]
        return {"checks": len(self.checks()), "threads": len(self.threads()), "fixes": len(ours)}

    def close(self) -> None:
        """Stop Fixwright, then the double."""
        if self._beside is not None:
            self._beside.stop()
        self._world.stop()


if __name__ == "__main__":
    sys.exit(main("github", GithubDemo))
