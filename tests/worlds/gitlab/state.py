"""All that the double knows, and the lock under which it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.worlds.bare import BareRepository
from tests.worlds.gitlab.model import AccessToken, Discussion, Level, Member, MergeRequest, Namespace, Note, Project, User
from tests.worlds.state import Memory

OWN_REFS = ("refs/merge-requests", "refs/pipelines", "refs/keep-around")
"""Refs that GitLab keeps itself and nobody may push."""

# Where the numbers of each kind start: as large as on gitlab.com, where those of notes no longer fit into 32 bits.
_FIRST = {
    "user": 21_000_000,
    "namespace": 61_000_000,
    "project": 71_000_000,
    "merge_request": 421_000_000,
    "version": 1_421_000_000,
    "note": 2_800_000_000,
    "draft": 1_000_000,
    "discussion": 1,
    "suggestion": 5_100_000,
    "award": 31_000_000,
    "token": 17_000_000,
    "hook": 51_000_000,
    "pipeline": 1_900_000_000,
    "job": 9_900_000_000,
    "status_check": 810_000,
    "issue": 151_000_000,
    "label": 31_500_000,
}


class State(Memory):
    """Users, groups, projects and what hangs on them. Read and change it with `lock` held."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _FIRST)
        self.users: dict[str, User] = {}
        self.namespaces: dict[int, Namespace] = {}
        self.projects: dict[int, Project] = {}
        self.moved: dict[str, int] = {}
        """Old path in lower case -> the project that lay there."""
        self.tokens: list[AccessToken] = []

    def now(self) -> datetime:
        """Now by the world's clock, to the millisecond as GitLab shows it."""
        return datetime.fromtimestamp(int(self.seconds() * 1000) / 1000, UTC)

    # --- users and groups ---

    def user(self, username: str, *, name: str = "", bot: bool = False) -> User:
        """The user of that name, made with a namespace of its own when new. Raises ValueError for a name that a group has."""
        known = self.users.get(username.lower())
        if known is None:
            if not bot and self.namespace(username) is not None:
                raise ValueError(f"{username} is a group")
            known = User(self.new_id("user"), username, name or username.replace("_", " ").title(), self.now(), bot)
            self.users[username.lower()] = known
            if not bot:
                own = Namespace(self.new_id("namespace"), username, known.name, "user", self.now(), owner=known, visibility="public")
                self.namespaces[own.id] = own
        return known

    def user_by_id(self, number: int) -> User | None:
        """A user by number."""
        return next((user for user in self.users.values() if user.id == number), None)

    def namespace(self, wanted: str | int) -> Namespace | None:
        """A group or a user's namespace by full path, without regard to case, or by number."""
        if isinstance(wanted, int) or wanted.isdigit():
            return self.namespaces.get(int(wanted))
        return next((known for known in self.namespaces.values() if known.full_path.lower() == wanted.lower()), None)

    def group(self, full_path: str, *, visibility: str = "private") -> Namespace:
        """The group of that path, made with all groups above it when new. Raises ValueError for a user's namespace."""
        known = self.namespace(full_path)
        if known is not None and known.kind != "group":
            raise ValueError(f"{full_path} is a user")
        if known is None:
            above, _, path = full_path.rpartition("/")
            parent = self.group(above, visibility=visibility) if above else None
            known = Namespace(self.new_id("namespace"), path, path, "group", self.now(), parent, visibility=visibility)
            self.namespaces[known.id] = known
        return known

    def groups_below(self, group: Namespace) -> list[Namespace]:
        """A group and everything below it."""
        return [known for known in self.namespaces.values() if group in known.line]

    # --- projects ---

    def project(self, wanted: str | int) -> Project | None:
        """A project by full path, without regard to case, or by number."""
        if isinstance(wanted, int) or re.fullmatch(r"\d+", wanted):
            return self.projects.get(int(wanted))
        return next((project for project in self.projects.values() if project.full_path.lower() == wanted.lower()), None)

    def project_once_at(self, path: str) -> Project | None:
        """The project that was moved away from a path."""
        number = self.moved.get(path.lower())
        return self.projects.get(number) if number is not None else None

    def add_project(
        self, namespace: Namespace, path: str, creator: User, *, visibility: str = "private", parent: Project | None = None
    ) -> Project:
        """Make a project, a fork when it has a `parent`. Raises ValueError for a path that is taken."""
        if self.project(f"{namespace.full_path}/{path}") is not None:
            raise ValueError(f"{namespace.full_path}/{path} exists")
        number = self.new_id("project")
        git = BareRepository.create(self.folder / f"{number}.git", own=OWN_REFS, borrowing=parent.git if parent else None)
        project = Project(number, namespace, path, path, visibility, git, self.now(), creator, parent=parent)
        project.last_activity_at = project.created_at
        if namespace.kind == "group" and namespace.owner is not creator and not creator.bot and project.level(creator) == Level.NONE:
            project.members[creator.id] = Member(creator, Level.MAINTAINER, self.now())
        if parent is not None:
            project.default_branch = parent.default_branch
            for ref, sha in parent.git.refs().items():
                git.set_ref(ref, sha)
            project.refs = git.refs()
        if project.default_branch:
            project.protected[project.default_branch] = (Level.MAINTAINER, Level.MAINTAINER)
        self.projects[number] = project
        self.moved.pop(project.full_path.lower(), None)
        return project

    # --- merge requests ---

    def merge_requests(self) -> Iterator[MergeRequest]:
        """All of the world."""
        return (known for project in list(self.projects.values()) for known in list(project.merge_requests.values()))

    def opened_from(self, project: Project, branch: str) -> list[MergeRequest]:
        """Open merge requests from a branch, wherever they lead."""
        return [
            known
            for known in self.merge_requests()
            if known.state == "opened" and known.source is project and known.source_branch == branch
        ]


def find_discussion(merge_request: MergeRequest, identity: str) -> Discussion | None:
    """A discussion by its id."""
    return next((known for known in merge_request.discussions if known.id == identity), None)


def find_note(merge_request: MergeRequest, number: int) -> Note | None:
    """A note by its number."""
    return next((known for discussion in merge_request.discussions for known in discussion.notes if known.id == number), None)
