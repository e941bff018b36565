"""The double of GitLab as a host of the harness: we sign in with the token of a person who is a member of every group here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pipeline.markers import mark_in
from tests.faults.hosts import Change, Delivery, Fix, Home, Host, Thread, Verdict
from tests.worlds.gitlab.model import MergeRequest, Note, Project, User
from tests.worlds.gitlab.world import GitlabWorld
from tests.worlds.record import Effect

BOT = "fixwright"
NAME = "Fixwright"
CONCLUSIONS = {"success": "success", "failed": "failure", "canceled": "cancelled"}
"""What a status of a finished job is called where there are checks."""


def of(home: Home) -> Project:
    """A project of this host."""
    assert isinstance(home, Project)
    return home


class GitlabChange(Change):
    """A merge request. It has no page: what is in no thread stands in a note."""

    def __init__(self, world: GitlabWorld, request: MergeRequest) -> None:
        self.world, self.request = world, request
        self.number, self.branch = request.iid, request.source_branch

    @property
    def head(self) -> str:
        return self.request.head

    @property
    def bot(self) -> User:
        """Us."""
        return self.world.user(BOT)

    def first(self) -> list[Note]:
        """First notes of our threads."""
        return [known.first for known in self.world.discussions(self.request) if known.first.author is self.bot]

    def threads(self) -> list[Thread]:
        found = []
        for note in self.first():
            at = note.original_position
            found.append(Thread(at.new_path if at else "", at.new_line if at else None, note.body, at.refs.head if at else ""))
        return found

    def _ours(self) -> list[Note]:
        return [note for note in self.world.notes(self.request) if note.author is self.bot]

    def replies(self) -> list[str]:
        return [note.body for note in self._ours() if not note.discussion.individual and note is not note.discussion.first]

    def notes(self) -> list[str]:
        return [note.body for note in self._ours() if note.discussion.individual and not note.internal]

    def confided(self) -> list[str]:
        return [note.body for note in self._ours() if note.internal]

    def pages(self) -> list[str]:
        return [body for body in self.notes() if mark_in(body, "comment")]

    def marks(self) -> list[tuple[str, int, str]]:
        return []

    def fixes(self) -> list[Fix]:
        every = list(self.request.project.merge_requests.values())
        return [Fix(one.source_branch, one.target_branch, one.description or "") for one in every if one.author is self.bot]

    def verdicts(self, head: str) -> list[Verdict]:
        page = "\n".join(self.pages())
        jobs = [job for job in self.world.statuses(self.request.project, head, every=True) if job.name == NAME]
        return [
            Verdict(
                job.id,
                "completed" if job.status in CONCLUSIONS else job.status,
                CONCLUSIONS.get(job.status),
                job.description,
                page,
                None,
                replaced=job.retried,
            )
            for job in jobs
        ]

    def answer(self, who: str, path: str, text: str) -> None:
        note = next(one for one in self.first() if one.original_position is not None and one.original_position.new_path == path)
        self.world.reply_in_discussion(who, note, text)

    def comment(self, who: str, text: str) -> None:
        self.world.comment(who, self.request, text)

    def close(self) -> None:
        self.world.close("ada", self.request)

    def merge(self) -> None:
        self.world.merge("ada", self.request)

    def retarget(self, branch: str) -> None:
        self.world.retarget("ada", self.request, branch)


class GitlabHost(Host):
    """One instance, with hooks that are never switched off: the rows that need it give a project a hook of its own."""

    name = "gitlab"
    path = "/webhooks/gitlab"
    event = "merge_request"
    functions: ClassVar = {
        "ensure_check": "providers.gitlab.statuses:ensure_status",
        "ensure_threads": "providers.gitlab.discussions:ensure_threads",
        "ensure_branch": "providers.gitlab.branches:ensure_branch",
        "ensure_pull_request": "providers.gitlab.merge_requests:ensure_pull_request",
        "ensure_reply": "providers.gitlab.notes:ensure_reply",
    }
    world: GitlabWorld

    def __init__(self, folder: Path) -> None:
        self.world = GitlabWorld(folder / "gitlab")
        self.world.hooks.auto_disable = False
        self.token = self.world.token_for(BOT)

    def settings(self) -> Mapping[str, str]:
        return {
            "FIXWRIGHT_GITLAB_URL": self.world.url,
            "FIXWRIGHT_GITLAB_TOKEN": self.token,
            "FIXWRIGHT_GITLAB_WEBHOOK_SECRET": self.world.webhook_secret,
        }

    def repository(self, name: str, owner: str, files: Mapping[str, str], *, private: bool = True) -> Project:
        group = self.world.create_group(owner)
        made = self.world.create_project(owner, name, files=files, visibility="private" if private else "public")
        self.world.set_access(BOT, group, "developer")
        self.world.set_access("ada", made, "maintainer")
        self.world.set_access("bert", made, "developer")
        self.world.set_access("eve", made, "reporter")
        return made

    def commit(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        return self.world.commit(of(home), branch, files, message)

    def force_push(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        return self.world.force_push(of(home), branch, files, message)

    def reset_branch(self, home: Home, branch: str, sha: str) -> None:
        self.world.reset_branch(of(home), branch, sha)

    def delete_branch(self, home: Home, branch: str) -> None:
        self.world.delete_branch(of(home), branch)

    def open(self, home: Home, branch: str, title: str, *, draft: bool = False) -> GitlabChange:
        return GitlabChange(self.world, self.world.open_merge_request("ada", of(home), branch, "main", title, draft=draft))

    def opening(self, head: str) -> Delivery:
        found = self.world.hooks.of("merge_request", "open")
        mine = [one for one in found if one.payload["object_attributes"]["last_commit"]["id"] == head]
        assert len(mine) == 1
        return mine[0]

    def again(self, identity: str) -> None:
        self.world.hooks.again(self.world.hooks.find(identity))

    def ours(self, effect: Effect) -> bool:
        return effect.actor == BOT
