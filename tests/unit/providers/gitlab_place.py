"""A project on the double of GitLab with an open merge request, as the provider's writing meets it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.markers import unmarked
from pipeline.model.event import CommentRef
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import CommitRef, Installation, PullRequestRef, SourceRepository
from pipeline.ports import OUR_URL, CodeHost
from providers.gitlab.client import close_lines
from providers.gitlab.provider import GitLabProvider
from providers.gitlab.settings import Site
from tests.contract.world import BASE, CHANGED, Files
from tests.unit.providers.github_wire import Memory
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import Discussion, MergeRequest, Note, Project
from tests.worlds.gitlab.pipelines import Job

_NUMBERS = itertools.count(1)


class Place:
    """One project of its own in a world that tests share."""

    def __init__(self, world: GitlabWorld, *, visibility: str = "private", files: Files = BASE, changed: Files | None = None) -> None:
        self.world = world
        self.project: Project = world.create_project("acme", f"shop-{next(_NUMBERS)}", files=files, visibility=visibility)
        self.push(changed or {"app.py": CHANGED})
        self.request: MergeRequest = world.open_merge_request("ada", self.project, "feature", "main", "Change it")
        self.memory = Memory(world.gitlab.state.seconds)
        self.sign_in(world.token_of(self.project, "developer"))
        self.ref = self.ref_of(self.request)

    def sign_in(self, token: str) -> None:
        """Be somebody else from now on."""
        self.token, self.me = token, self.world.owner_of(token)

    def ref_of(self, request: MergeRequest) -> PullRequestRef:
        """A merge request in the domain's words."""
        return PullRequestRef(self.source_of(request.project), request.iid)

    def source_of(self, project: Project) -> SourceRepository:
        """A project in the domain's words."""
        site = Site.of({"URL": self.world.url})
        path = project.full_path
        private = project.visibility != "public"
        return SourceRepository("gitlab", site.authority, str(project.id), path, "main", site.clone_url(path), private, "acme")

    @property
    def host(self) -> CodeHost:
        """A new one, as each job makes it; jobs share the memory."""
        authority = Site.of({"URL": self.world.url}).authority
        installation = Installation(InstallationId("i"), "gitlab", authority, "acme", "acme")
        provider = GitLabProvider(clock=self.world.gitlab.state.seconds)
        return provider.connect(
            installation, {"URL": self.world.url, "TOKEN": self.token, OUR_URL: "https://fixwright.example.org/"}, self.memory
        )

    @property
    def head(self) -> CommitId:
        """Tip of `feature`."""
        return self.tip("feature")

    @property
    def commit(self) -> CommitRef:
        """The same with its repository."""
        return CommitRef(self.ref.repository, self.head)

    def tip(self, branch: str) -> CommitId:
        """Tip of a branch."""
        return CommitId(self.project.git.branch(branch) or "")

    def push(self, files: Files, branch: str = "feature") -> str:
        """A person pushes."""
        return self.world.commit(self.project, branch, files)

    def asks(self, text: str) -> CommentRef:
        """A person writes a note."""
        note = self.world.comment("ada", self.request, text)
        return CommentRef(self.ref, str(note.id), thread=note.discussion.id)

    # --- what there is ---

    @property
    def notes(self) -> list[Note]:
        """Ours that stand in no thread on the diff, oldest first."""
        return [note for note in self.world.notes(self.request) if note.author is self.me and note.type != "DiffNote"]

    @property
    def said(self) -> list[str]:
        """Their texts."""
        return [unmarked(note.body) for note in self.notes]

    @property
    def threads(self) -> list[Discussion]:
        """Ours on the diff, oldest first."""
        return [known for known in self.world.discussions(self.request) if known.first.author is self.me and known.first.type == "DiffNote"]

    @property
    def mails(self) -> int:
        """How often people were told of something."""
        return len(self.world.notifying_calls(self.request))

    def statuses(self, sha: str = "", *, every: bool = False) -> list[Job]:
        """Ours on a commit."""
        return [job for job in self.world.statuses(self.project, sha or self.head, every=every) if job.user is self.me]


@contextmanager
def running(folder: Path) -> Iterator[GitlabWorld]:
    """A world for a module of tests."""
    with GitlabWorld.start(folder) as world:
        try:
            yield world
        finally:
            close_lines()


def at_ease(world: GitlabWorld) -> None:
    """Each test ends without a violation of GitLab's interface by us; limits of a minute are about one test."""
    broken = [violation for violation in world.violations if violation.side == "request"]
    world.faults.clear()
    world.advance(3_601)
    for ledger in (world.asked, world.effects, world.violations):
        ledger.clear()
    assert broken == []
