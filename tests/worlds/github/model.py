"""What exists in the double's world. Plain mutable records; every change is made under `State.lock`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.worlds.bare import BareRepository

Json = dict[str, Any]
"""A JSON object on its way in or out: its shape is judged by GitHub's own schemas, not by our types."""


class Role(IntEnum):
    """What a person may do on a repository; each includes those below."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5

    @property
    def word(self) -> str:
        """GitHub's `role_name`."""
        return self.name.lower()

    @property
    def legacy(self) -> str:
        """GitHub's old `permission` field, which knows four words (REST, "Get repository permissions for a user")."""
        return {Role.TRIAGE: Role.READ, Role.MAINTAIN: Role.WRITE}.get(self, self).word


@dataclass(eq=False, slots=True)
class Account:
    """A person, an organization or a bot."""

    id: int
    login: str
    type: str = "User"
    """`User`, `Organization` or `Bot`."""

    @property
    def email(self) -> str:
        """The address that GitHub gives to commits made in its name."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(eq=False, slots=True)
class App:
    """A GitHub App."""

    id: int
    slug: str
    name: str
    owner: Account
    bot: Account
    private_key_pem: str
    public_key_pem: str
    webhook_secret: str
    permissions: dict[str, str]
    events: tuple[str, ...]
    created_at: datetime
    hook_url: str = ""
    """Where its deliveries go; empty: where `Hooks.url` says."""
    content_type: str = "json"
    insecure_ssl: str = "0"
    setup_url: str = ""
    """Where a browser is sent after an installation."""


@dataclass(eq=False, slots=True)
class Installation:
    """The app on one account. `repositories` None: on all of them."""

    id: int
    app: App
    account: Account
    permissions: dict[str, str]
    events: tuple[str, ...]
    created_at: datetime
    repositories: set[int] | None = None
    suspended_at: datetime | None = None

    def covers(self, repository: Repository) -> bool:
        """True when the app may see `repository` through this installation."""
        return repository.owner is self.account and (self.repositories is None or repository.id in self.repositories)


@dataclass(eq=False, slots=True)
class Repository:
    """A repository; `git` is a real bare one."""

    id: int
    owner: Account
    name: str
    private: bool
    git: BareRepository
    created_at: datetime
    default_branch: str = "main"
    archived: bool = False
    parent: Repository | None = None
    roles: dict[str, Role] = field(default_factory=dict)
    """Login -> role, beside the owner's."""
    refs: dict[str, str] = field(default_factory=dict)
    """The refs as they were when we last looked: what differs was pushed."""
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    suites: list[CheckSuite] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    verified: dict[str, str] = field(default_factory=dict)
    """Commit -> the signature that the host made for it."""
    protected: set[str] = field(default_factory=set)
    """Branches whose rules let no App write to them."""
    pushed_at: datetime | None = None
    advisories: list[Json] = field(default_factory=list)
    """As they are shown."""

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner.login}/{self.name}"

    def role(self, login: str) -> Role:
        """What a person may do here."""
        if login.lower() == self.owner.login.lower():
            return Role.ADMIN
        return self.roles.get(login.lower(), Role.NONE if self.private else Role.READ)


@dataclass(eq=False, slots=True)
class Reaction:
    """A reaction to a comment: one of each kind a person."""

    id: int
    user: Account
    content: str
    created_at: datetime


@dataclass(eq=False, slots=True)
class PullRequest:
    """A pull request of `repository`; its head may live in a fork."""

    id: int
    number: int
    repository: Repository
    head_repository: Repository
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    user: Account
    title: str
    body: str | None
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    state: str = "open"
    maintainer_can_modify: bool = False
    merged_by: Account | None = None
    merged_at: datetime | None = None
    merge_commit: str | None = None
    closed_at: datetime | None = None
    comments: list[IssueComment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)

    @property
    def review_comments(self) -> list[ReviewComment]:
        """All comments on lines, oldest first."""
        return sorted((comment for thread in self.threads for comment in thread.comments), key=lambda comment: comment.id)


@dataclass(eq=False, slots=True)
class IssueComment:
    """A comment in the conversation."""

    id: int
    pull: PullRequest
    user: Account
    body: str
    created_at: datetime
    updated_at: datetime
    app: App | None = None
    minimized: str | None = None
    """GitHub's reason in lower case, None when it is shown."""
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Review:
    """One review, which may carry comments on lines."""

    id: int
    pull: PullRequest
    user: Account
    body: str
    state: str
    commit_id: str
    submitted_at: datetime | None
    minimized: str | None = None


@dataclass(eq=False, slots=True)
class Thread:
    """A conversation on lines of the diff."""

    id: int
    pull: PullRequest
    comments: list[ReviewComment] = field(default_factory=list)
    resolved_by: Account | None = None

    @property
    def node_id(self) -> str:
        """The id that GraphQL knows it by."""
        return f"PRRT_kwDO{self.id}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """Lines of one file in a diff. `line` None: the file as a whole."""

    path: str
    line: int | None
    side: str = "RIGHT"
    start_line: int | None = None
    start_side: str | None = None


@dataclass(eq=False, slots=True)
class ReviewComment:
    """A comment on lines."""

    id: int
    thread: Thread
    review: Review
    user: Account
    body: str
    original: Anchor
    original_commit: str
    commit: str
    anchor: Anchor | None
    """Where it stands in the newest diff; None when it is outdated."""
    hunk: str
    created_at: datetime
    updated_at: datetime
    reply_to: ReviewComment | None = None
    minimized: str | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class CheckSuite:
    """All check runs of one app on one commit."""

    id: int
    repository: Repository
    app: App
    head_sha: str
    head_branch: str | None
    before: str | None
    created_at: datetime
    updated_at: datetime
    runs: list[CheckRun] = field(default_factory=list)
    rerequested: bool = False


@dataclass(eq=False, slots=True)
class CheckRun:
    """One check of an app on a commit."""

    id: int
    suite: CheckSuite
    name: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    external_id: str = ""
    details_url: str = ""
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[Json] = field(default_factory=list)
    actions: list[Json] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Status:
    """A commit status, as older continuous integration posts it."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: Account
    created_at: datetime
