"""The double of GitLab as a host of the harness: we sign in with the token of a person who is a member of every group here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pipeline.markers import mark_in
from tests.faults.doubles import DoubledChange, DoubledHost
from tests.faults.hosts import Delivery, Fix, Home, Posted, Thread, Verdict
from tests.worlds.gitlab.hooks import new_signing_token
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


class GitlabChange(DoubledChange[Project, MergeRequest]):
    """A merge request. It has no page: what is in no thread stands in a note."""

    def __init__(self, world: GitlabWorld, request: MergeRequest) -> None:
        super().__init__(world, request, request.iid, request.source_branch)
        self.world, self.request = world, request

    @property
    def head(self) -> str:
        return self.request.head

    @property
    def is_open(self) -> bool:
        return self.request.state == "opened"

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

    def rewrite(self, who: str, text: str) -> None:
        note = next(one for one in reversed(self.world.notes(self.request)) if one.author.username == who)
        self.world.edit_note(who, note, text)

    def drop_thread(self) -> None:
        for note in reversed(self.first()[0].discussion.notes):
            self.world.delete_note(note)

    def forge(self, who: str) -> None:
        ours = self.first()[0]
        assert ours.original_position is not None
        self.world.comment_on_line(who, self.request, ours.original_position.new_path, ours.original_position.new_line or 1, ours.body)

    def retarget(self, branch: str) -> None:
        self.world.retarget("ada", self.request, branch)


class GitlabHost(DoubledHost[Project, MergeRequest]):
    """One instance, with hooks that are never switched off: the rows that need it give a project a hook of its own."""

    name = "gitlab"
    path = "/webhooks/gitlab"
    event = "merge_request"
    opened = "open"
    head_at = ("object_attributes", "last_commit", "id")
    samples = (("merge_request", "open"), ("push", None), ("note", None), ("user_add_to_team", None))
    closes_with_branch = False
    keeps_checks = False
    functions: ClassVar = {
        "ensure_check": "providers.gitlab.statuses:ensure_status",
        "ensure_threads": "providers.gitlab.discussions:ensure_threads",
        "ensure_branch": "providers.gitlab.branches:ensure_branch",
        "ensure_commit": "providers.gitlab.branches:ensure_commit",
        "ensure_pull_request": "providers.gitlab.merge_requests:ensure_pull_request",
        "ensure_closed": "providers.gitlab.merge_requests:ensure_closed",
        "ensure_no_branch": "providers.gitlab.branches:ensure_no_branch",
        "ensure_reply": "providers.gitlab.notes:ensure_reply",
        "open_threads": "providers.gitlab.drafts:Drafts.publish",  # under the lock of all who have drafts there
    }
    world: GitlabWorld

    def __init__(self, folder: Path) -> None:
        self.world = GitlabWorld(folder / "gitlab")
        super().__init__(self.world, folder, Project)
        self.world.hooks.auto_disable = False
        self.token, self.signing_token = self.world.token_for(BOT), new_signing_token()

    def settings(self) -> Mapping[str, str]:
        return {
            "FIXWRIGHT_GITLAB_URL": self.world.url,
            "FIXWRIGHT_GITLAB_TOKEN": self.token,
            "FIXWRIGHT_GITLAB_WEBHOOK_SECRET": self.world.webhook_secret,
            "FIXWRIGHT_GITLAB_SIGNING_TOKEN": self.signing_token,
        }

    def _made(self, name: str, owner: str, files: Mapping[str, str], *, private: bool) -> Project:
        group = self.world.create_group(owner)
        made = self.world.create_project(owner, name, files=files, visibility="private" if private else "public")
        self.world.set_access(BOT, group, "developer")
        self.world.set_access("ada", made, "maintainer")
        return made

    def _let_in(self, place: Project, who: str, *, writes: bool) -> None:
        if who != "ada":
            self.world.set_access(who, place, "developer" if writes else "reporter")

    def open(self, home: Home, branch: str, title: str, *, draft: bool = False) -> GitlabChange:
        return GitlabChange(self.world, self.world.open_merge_request("ada", self.of(home), branch, "main", title, draft=draft))

    def proposals(self, home: Home) -> Sequence[GitlabChange]:
        every = list(self.of(home).merge_requests.values())
        return [GitlabChange(self.world, one) for one in every if one.author is self.world.user(BOT)]

    def again(self, identity: str) -> None:
        self.world.hooks.again(self.world.hooks.find(identity))

    def robot(self, home: Home) -> str:
        return self.world.owner_of(self.world.token_of(self.of(home), name="helper")).username

    def forgeries(self, identity: str) -> Sequence[Posted]:
        """A secret token proves who sends, and nothing of what is sent; a signature, where there is one, must be right beside it."""
        true, now = self.world.hooks.find(identity), self.world.gitlab.state.seconds()
        signed, bare = true.signed(now, self.signing_token), {k: v for k, v in true.headers.items() if k != "X-Gitlab-Token"}
        return (
            Posted(bare, true.body),
            Posted({**bare, "X-Gitlab-Token": "a wrong secret of these tests"}, true.body),
            Posted({**bare, "X-Gitlab-Token": self.world.webhook_secret[:-1]}, true.body),
            Posted({**true.headers, "X-Gitlab-Signature": "0" * 64}, true.body),
            Posted(signed, true.body.replace(b'"open"', b'"close"', 1)),
            Posted({**signed, "webhook-id": str(uuid.uuid4())}, true.body),
            Posted(true.signed(now, new_signing_token()), true.body),
            Posted(true.signed(now - 3_600, self.signing_token), true.body),
        )

    def anew(self, delivery: Delivery, body: bytes) -> Posted:
        identity = str(uuid.uuid4())
        found = self.world.hooks.find(delivery.id)
        fresh = replace(found, id=identity, headers=found.headers | {"Idempotency-Key": identity}, body=body)
        return Posted(fresh.signed(self.world.gitlab.state.seconds(), self.signing_token), body)

    def ours(self, effect: Effect) -> bool:
        return effect.actor == BOT
