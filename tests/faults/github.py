"""The double of GitHub as a host of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.faults.hosts import Change, Delivery, Fix, Home, Host, Thread, Verdict
from tests.stages.github import app_key
from tests.worlds.github.model import PullRequest, Repository, ReviewComment
from tests.worlds.github.world import GithubWorld
from tests.worlds.record import Effect


def of(home: Home) -> Repository:
    """A repository of this host."""
    assert isinstance(home, Repository)
    return home


class GithubChange(Change):
    """A pull request."""

    def __init__(self, world: GithubWorld, pull: PullRequest) -> None:
        self.world, self.pull = world, pull
        self.number, self.branch = pull.number, pull.head_ref

    @property
    def head(self) -> str:
        return self.pull.head_sha

    def _first(self) -> list[ReviewComment]:
        return [c for c in self.pull.review_comments if c.reply_to is None and c.user is self.world.app.bot]

    def threads(self) -> list[Thread]:
        return [Thread(c.original.path, c.original.line, c.body, c.original_commit) for c in self._first()]

    def replies(self) -> list[str]:
        return [c.body for c in self.pull.review_comments if c.reply_to is not None and c.user is self.world.app.bot]

    def notes(self) -> list[str]:
        return [comment.body for comment in self.pull.comments if comment.user is self.world.app.bot]

    def confided(self) -> list[str]:
        return []

    def marks(self) -> list[tuple[str, int, str]]:
        checks = self.world.checks(self.pull.repository, self.head)
        found = checks[-1].annotations if checks else []
        return [(str(m["path"]), int(m["start_line"]), str(m["annotation_level"])) for m in found]

    def fixes(self) -> list[Fix]:
        ours = (pull for pull in self.pull.repository.pulls.values() if pull.user is self.world.app.bot)
        return [Fix(pull.head_ref, pull.base_ref, pull.body or "") for pull in ours]

    def verdicts(self, head: str) -> list[Verdict]:
        runs = self.world.checks(self.pull.repository, head)
        return [Verdict(run.id, run.status, run.conclusion, run.title, run.summary, run.text) for run in runs]

    def answer(self, who: str, path: str, text: str) -> None:
        thread = next(c for c in self._first() if c.original.path == path)
        self.world.reply_in_thread(who, thread.id, text)

    def comment(self, who: str, text: str) -> None:
        self.world.comment(who, self.pull, text)

    def close(self) -> None:
        self.world.close("ada", self.pull)

    def merge(self) -> None:
        self.world.merge("ada", self.pull)

    def retarget(self, branch: str) -> None:
        self.world.edit_pull_request("ada", self.pull, base=branch)


class GithubHost(Host):
    """One app."""

    name = "github"
    path = "/webhooks/github"
    event = "pull_request"
    functions: ClassVar = {
        "ensure_check": "providers.github.checks:ensure_check",
        "ensure_threads": "providers.github.threads:ensure_threads",
        "ensure_branch": "providers.github.branches:ensure_branch",
        "ensure_pull_request": "providers.github.pulls:ensure_pull_request",
        "ensure_reply": "providers.github.comments:ensure_reply",
    }
    world: GithubWorld

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.world = GithubWorld(folder / "github", private_key_pem=app_key())

    def settings(self) -> Mapping[str, str]:
        key = self._folder / "app.pem"
        key.touch(mode=0o600)
        key.write_text(self.world.private_key_pem)
        return {
            "FIXWRIGHT_GITHUB_APP_ID": str(self.world.app_id),
            "FIXWRIGHT_GITHUB_PRIVATE_KEY": str(key),
            "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": self.world.webhook_secret,
            "FIXWRIGHT_GITHUB_API_URL": self.world.api_url,
        }

    def repository(self, name: str, owner: str, files: Mapping[str, str], *, private: bool = True) -> Repository:
        made = self.world.create_repository(owner, name, files=files, private=private)
        self.world.set_permission("ada", made, "write")
        self.world.set_permission("bert", made, "write")
        self.world.set_permission("eve", made, "read")
        return made

    def commit(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        return self.world.commit(of(home), branch, files, message)

    def force_push(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        return self.world.force_push(of(home), branch, files, message)

    def reset_branch(self, home: Home, branch: str, sha: str) -> None:
        self.world.reset_branch(of(home), branch, sha)

    def delete_branch(self, home: Home, branch: str) -> None:
        self.world.delete_branch(of(home), branch)

    def open(self, home: Home, branch: str, title: str, *, draft: bool = False) -> GithubChange:
        return GithubChange(self.world, self.world.open_pull_request("ada", of(home), branch, "main", title, draft=draft))

    def opening(self, head: str) -> Delivery:
        mine = [one for one in self.world.hooks.of("pull_request", "opened") if one.payload["pull_request"]["head"]["sha"] == head]
        assert len(mine) == 1
        return mine[0]

    def again(self, identity: str) -> None:
        self.world.hooks.again(self.world.hooks.find(identity))

    def ours(self, effect: Effect) -> bool:
        return "fixwright" in effect.actor
