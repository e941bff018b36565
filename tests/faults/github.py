"""The double of GitHub as a host of the harness."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.faults.doubles import DoubledChange, DoubledHost
from tests.faults.hosts import Delivery, Fix, Home, Posted, Thread, Verdict
from tests.stages.github import app_key
from tests.worlds.github.hooks import sign
from tests.worlds.github.model import PullRequest, Repository, ReviewComment
from tests.worlds.github.world import GithubWorld
from tests.worlds.record import Effect


def of(home: Home) -> Repository:
    """A repository of this host."""
    assert isinstance(home, Repository)
    return home


class GithubChange(DoubledChange[Repository, PullRequest]):
    """A pull request."""

    def __init__(self, world: GithubWorld, pull: PullRequest) -> None:
        super().__init__(world, pull, pull.number, pull.head_ref)
        self.world, self.pull = world, pull

    @property
    def head(self) -> str:
        return self.pull.head_sha

    @property
    def is_open(self) -> bool:
        return self.pull.state == "open"

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

    def rewrite(self, who: str, text: str) -> None:
        with self.world.github.state.lock:
            comment = next(c for c in reversed(self.pull.review_comments) if c.user.login == who)
            old, comment.body = comment.body, text
            self.world.github.actions.events.review_comment_edited(comment, comment.user, old)

    def drop_thread(self) -> None:
        with self.world.github.state.lock:
            thread = self._first()[0].thread
            self.pull.threads.remove(thread)

    def forge(self, who: str) -> None:
        ours = self._first()[0]
        self.world.review_comment(who, self.pull, ours.original.path, ours.original.line or 1, ours.body)

    def retarget(self, branch: str) -> None:
        self.world.edit_pull_request("ada", self.pull, base=branch)


class GithubHost(DoubledHost[Repository, PullRequest]):
    """One app."""

    name = "github"
    path = "/webhooks/github"
    event = "pull_request"
    opened = "opened"
    head_at = ("pull_request", "head", "sha")
    samples = (("pull_request", "opened"), ("push", None), ("pull_request_review_comment", "created"), ("check_suite", "requested"))
    closes_with_branch = True
    keeps_checks = True
    functions: ClassVar = {
        "ensure_check": "providers.github.checks:ensure_check",
        "ensure_threads": "providers.github.threads:ensure_threads",
        "ensure_branch": "providers.github.branches:ensure_branch",
        "ensure_commit": "providers.github.branches:ensure_commit",
        "ensure_pull_request": "providers.github.pulls:ensure_pull_request",
        "ensure_closed": "providers.github.pulls:ensure_closed",
        "ensure_no_branch": "providers.github.branches:ensure_no_branch",
        "ensure_reply": "providers.github.comments:ensure_reply",
        "open_threads": "pipeline.limits:Limits._count_created",  # what all that people see goes through, under the lock of all who write
    }
    world: GithubWorld

    def __init__(self, folder: Path) -> None:
        self.world = GithubWorld(folder / "github", private_key_pem=app_key())
        super().__init__(self.world, folder, Repository)

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

    def _made(self, name: str, owner: str, files: Mapping[str, str], *, private: bool) -> Repository:
        return self.world.create_repository(owner, name, files=files, private=private)

    def _let_in(self, place: Repository, who: str, *, writes: bool) -> None:
        self.world.set_permission(who, place, "write" if writes else "read")

    def open(self, home: Home, branch: str, title: str, *, draft: bool = False) -> GithubChange:
        return GithubChange(self.world, self.world.open_pull_request("ada", self.of(home), branch, "main", title, draft=draft))

    def proposals(self, home: Home) -> Sequence[GithubChange]:
        return [GithubChange(self.world, pull) for pull in self.of(home).pulls.values() if pull.user is self.world.app.bot]

    def again(self, identity: str) -> None:
        self.world.hooks.again(self.world.hooks.find(identity))

    def robot(self, home: Home) -> str:
        return "helper[bot]"

    def forgeries(self, identity: str) -> Sequence[Posted]:
        true = self.world.hooks.find(identity)
        unsigned = {k: v for k, v in true.headers.items() if not k.startswith("X-Hub-Signature")}
        return (
            Posted(true.headers, true.body.replace(b'"opened"', b'"closed"', 1)),
            Posted(unsigned, true.body),
            Posted({**unsigned, "X-Hub-Signature": true.headers["X-Hub-Signature"]}, true.body),
            Posted(self.world.hooks.forged(identity, "a wrong secret of these tests").headers, true.body),
            Posted({**true.headers, "X-Hub-Signature-256": sign(self.world.webhook_secret, b"")}, true.body),
        )

    def anew(self, delivery: Delivery, body: bytes) -> Posted:
        headers = self.world.hooks.find(delivery.id).headers
        fresh = {"X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": sign(self.world.webhook_secret, body)}
        return Posted({**headers, **fresh}, body)

    def ours(self, effect: Effect) -> bool:
        return "fixwright" in effect.actor
