"""What exists in the double's world. Plain mutable records; every change is made under `State.lock`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import Any

from tests.worlds.bare import BareRepository

Json = dict[str, Any]
"""A JSON object on its way in or out: its shape is judged by GitLab's own schemas, not by our types."""


class Level(IntEnum):
    """What a member may do; each includes those below (REST, "Members": valid access levels)."""

    NONE = 0
    MINIMAL = 5
    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50

    @classmethod
    def of(cls, word: str | int) -> Level:
        """The level of a word (`developer`) or number."""
        return cls(word) if isinstance(word, int) else cls[word.upper()]


@dataclass(eq=False, slots=True)
class User:
    """A person, or the bot of an access token."""

    id: int
    username: str
    name: str
    created_at: datetime
    bot: bool = False
    admin: bool = False
    state: str = "active"
    """`active`, `blocked` or `deactivated`."""

    @property
    def email(self) -> str:
        """The private address that GitLab gives to commits made in its name."""
        return f"{self.id}-{self.username}@users.noreply.gitlab.example.com"


@dataclass(eq=False, slots=True)
class Namespace:
    """A group, or what a user's own projects lie in."""

    id: int
    path: str
    name: str
    kind: str
    """`group` or `user`."""
    created_at: datetime
    parent: Namespace | None = None
    owner: User | None = None
    """Of a user's namespace."""
    visibility: str = "private"
    members: dict[int, Member] = field(default_factory=dict)
    plan: str = "premium"
    """`free`, `premium` or `ultimate`, of a top-level namespace."""

    @property
    def full_path(self) -> str:
        """`acme/tools`."""
        return f"{self.parent.full_path}/{self.path}" if self.parent else self.path

    @property
    def full_name(self) -> str:
        """`Acme / Tools`."""
        return f"{self.parent.full_name} / {self.name}" if self.parent else self.name

    @property
    def line(self) -> list[Namespace]:
        """Itself and what is above it, nearest first."""
        return [self, *(self.parent.line if self.parent else [])]

    @property
    def root(self) -> Namespace:
        """The top-level namespace."""
        return self.line[-1]


@dataclass(eq=False, slots=True)
class Member:
    """A user's access to a group or project, given there."""

    user: User
    level: Level
    created_at: datetime
    expires_at: date | None = None


@dataclass(eq=False, slots=True)
class Project:
    """A project; `git` is a real bare repository."""

    id: int
    namespace: Namespace
    path: str
    name: str
    visibility: str
    """`private`, `internal` or `public`."""
    git: BareRepository
    created_at: datetime
    creator: User
    default_branch: str | None = "main"
    parent: Project | None = None
    """What it is a fork of."""
    description: str | None = None
    members: dict[int, Member] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """The refs as they were when we last looked: what differs was pushed."""
    merge_requests: dict[int, MergeRequest] = field(default_factory=dict)
    protected: dict[str, tuple[Level, Level]] = field(default_factory=dict)
    """Branch -> who may push, who may merge."""
    archived: bool = False
    archived_at: datetime | None = None
    deletion_on: date | None = None
    """Set while it is marked for deletion."""
    last_activity_at: datetime | None = None
    merge_method: str = "merge"
    """`merge`, `rebase_merge` or `ff`."""
    merge_pipelines_enabled: bool = False
    """Merged results pipelines."""
    merge_trains_enabled: bool = False
    only_merge_if_pipeline_succeeds: bool = False
    only_merge_if_discussions_resolved: bool = False
    resolve_outdated_diff_discussions: bool = False
    issues: int = 0
    """How many numbers its issues took."""

    @property
    def full_path(self) -> str:
        """`acme/shop`, `path_with_namespace` of the API."""
        return f"{self.namespace.full_path}/{self.path}"

    def level(self, user: User | None) -> Level:
        """What a user is a member as: here, in a group above, or as the owner of the namespace."""
        if user is None:
            return Level.NONE
        if self.namespace.owner is user:
            return Level.OWNER
        places = [self.members, *(group.members for group in self.namespace.line)]
        return max((place[user.id].level for place in places if user.id in place), default=Level.NONE)

    def readable(self, user: User | None) -> bool:
        """True when somebody may know that it exists."""
        if user is not None and user.admin:
            return True
        return self.visibility == "public" or (self.visibility == "internal" and user is not None) or self.level(user) >= Level.GUEST


@dataclass(eq=False, slots=True)
class AccessToken:
    """A personal, project or group access token."""

    id: int
    value: str
    user: User
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: date | None
    kind: str = "personal"
    """`personal`, `project` or `group`."""
    place: Project | Namespace | None = None
    """Of a project or group access token."""
    level: Level = Level.NONE
    revoked: bool = False
    last_used_at: datetime | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Refs:
    """What a diff lies between (`diff_refs`)."""

    base: str
    """The merge base: what the diff is taken from."""
    start: str
    """The tip of the target branch when the version was made."""
    head: str


@dataclass(frozen=True, slots=True)
class End:
    """One end of a `line_range`."""

    line_code: str
    type: str | None
    old_line: int | None
    new_line: int | None


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a diff a note stands."""

    refs: Refs
    old_path: str
    new_path: str
    type: str = "text"
    """`text` or `file`."""
    old_line: int | None = None
    new_line: int | None = None
    range: tuple[End, End] | None = None


@dataclass(eq=False, slots=True)
class Version:
    """A version of a merge request's diff."""

    id: int
    refs: Refs
    created_at: datetime


@dataclass(eq=False, slots=True)
class MergeRequest:
    """A merge request of `project`; its source may be a fork."""

    id: int
    iid: int
    project: Project
    source: Project | None
    """None once the fork is deleted."""
    source_branch: str
    target_branch: str
    author: User
    title: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    head: str
    state: str = "opened"
    """`opened`, `closed`, `merged` or `locked`."""
    versions: list[Version] = field(default_factory=list)
    """Oldest first."""
    discussions: list[Discussion] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    reviewers: list[User] = field(default_factory=list)
    merge_user: User | None = None
    merged_at: datetime | None = None
    merge_commit: str | None = None
    squash_commit: str | None = None
    closed_by: User | None = None
    closed_at: datetime | None = None
    squash: bool = False
    remove_source_branch: bool = False
    allow_collaboration: bool = False
    prepared: bool = True
    """False while GitLab still makes the diff of a new one: its diff_refs are null ("prepared_at")."""
    on_train: bool = False
    approvals: list[User] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    """Notes that their authors have not published yet."""

    @property
    def draft(self) -> bool:
        """True when the title says so, which is all there is to it."""
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))

    @property
    def version(self) -> Version:
        """The newest version of its diff."""
        return self.versions[-1]

    @property
    def source_id(self) -> int | None:
        """Number of the source project."""
        return self.source.id if self.source else None

    @property
    def notes(self) -> list[Note]:
        """All notes, oldest first."""
        return sorted((note for discussion in self.discussions for note in discussion.notes), key=lambda note: note.id)


@dataclass(eq=False, slots=True)
class Discussion:
    """Notes that answer to each other. `individual`: one note without a thread."""

    id: str
    """40 hexadecimal digits."""
    merge_request: MergeRequest
    individual: bool = False
    notes: list[Note] = field(default_factory=list)

    @property
    def first(self) -> Note:
        """The note that began it."""
        return self.notes[0]

    @property
    def resolvable(self) -> bool:
        """True when it can be resolved."""
        return any(note.resolvable for note in self.notes)

    @property
    def resolved(self) -> bool:
        """True when every note that can be resolved is."""
        return self.resolvable and all(note.resolved_by is not None for note in self.notes if note.resolvable)


@dataclass(eq=False, slots=True)
class Note:
    """A comment, or what GitLab itself notes down (`system`)."""

    id: int
    discussion: Discussion
    author: User
    body: str
    created_at: datetime
    updated_at: datetime
    type: str | None = None
    """None, `DiscussionNote` or `DiffNote`."""
    system: bool = False
    internal: bool = False
    original_position: Position | None = None
    position: Position | None = None
    """Where it stands in the newest version; of an outdated one: where it last stood."""
    change_position: Position | None = None
    """Of an outdated one: the change that took its line away."""
    line_code: str | None = None
    resolved_by: User | None = None
    resolved_at: datetime | None = None
    edited_by: User | None = None
    awards: list[Award] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)

    @property
    def merge_request(self) -> MergeRequest:
        """What it is about."""
        return self.discussion.merge_request

    @property
    def resolvable(self) -> bool:
        """True for notes of a thread that people wrote."""
        return self.type is not None and not self.system


@dataclass(eq=False, slots=True)
class Draft:
    """A note of a review that is not published yet: only its author sees it."""

    id: int
    author: User
    body: str
    position: Position | None = None
    line_code: str | None = None
    """None for a position that is not on the diff: the note would be lost when it is published."""
    discussion: str | None = None
    """Of an answer."""


@dataclass(eq=False, slots=True)
class Suggestion:
    """A change that a note of a diff proposes."""

    id: int
    note: Note
    from_line: int
    to_line: int
    from_content: str
    to_content: str
    applied: bool = False
    commit: str | None = None


@dataclass(eq=False, slots=True)
class Award:
    """An emoji: one of each name a user."""

    id: int
    name: str
    user: User
    created_at: datetime
    updated_at: datetime
