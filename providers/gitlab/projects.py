"""Projects of a top-level namespace: which there are, how they are now, their branches, and the policy of their group.

Sources: docs "Projects API" (`GET /projects`: keyset pagination by id; a project that was moved is found by its number, and its old path
leads there), "Branches API", "Repository files API" (`ref=HEAD` is the default branch).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.model.ids import CommitId
from pipeline.model.target import SourceRepository
from pipeline.payloads import Number, Sha, Text
from pipeline.ports import PolicyFile
from providers.gitlab.api import Api
from providers.gitlab.client import MAX_ITEMS, Answer
from providers.gitlab.payloads import FullName

PARENT_PROJECT, PARENT_FILE = "fixwright", "fixwright.yml"
"""Where a group's policy stands."""
MAX_POLICY = 64 * 1024
"""Bytes; see `pipeline.policy.MAX_BYTES`."""
NO_POLICY = b"\0"
"""Stands for something that cannot be a policy: whoever parses it says so, and nothing is in force by mistake."""
REPORTER = 20
"""Lowest role that may read the code of a private project (docs "Roles and permissions")."""
DEVELOPER = 30
"""Lowest role that may write branches and commit statuses."""


class Access(Answer):
    """The role that the token's account has by one way."""

    access_level: int = 0


class Ways(Answer):
    """By which ways it is a member: of the project itself, of a group above it."""

    project_access: Access | None = None
    group_access: Access | None = None

    @property
    def level(self) -> int:
        """The higher of the two; 0 without either."""
        return max(way.access_level if way else 0 for way in (self.project_access, self.group_access))


class ProjectAnswer(Answer):
    """A project; in simple lists some of it is missing."""

    id: Number
    path_with_namespace: FullName
    default_branch: Text | None = None
    visibility: str = "private"
    archived: bool = False
    marked_for_deletion_on: object = None
    """A date from when on it is gone; until then nothing can be written to it (docs "Delete a project": pending deletion)."""
    permissions: Ways | None = None
    """Not there in some lists."""
    merge_requests_access_level: str = "enabled"
    repository_access_level: str = "enabled"

    @property
    def closed(self) -> bool:
        """True when nothing can be written to it any more."""
        return self.archived or bool(self.marked_for_deletion_on)

    @property
    def level(self) -> int:
        """The role of the token's account there; 0 when GitLab does not say."""
        return self.permissions.level if self.permissions else 0

    @property
    def open_to_all(self) -> bool:
        """True when everybody who is signed in reads its code and its merge requests (docs "Project visibility")."""
        shown = self.merge_requests_access_level, self.repository_access_level
        return self.visibility in ("public", "internal") and all(level in ("enabled", "public") for level in shown)


class _Tip(Answer):
    id: Sha


class _Branch(Answer):
    commit: _Tip | None = None


class _File(Answer):
    size: Annotated[int, Field(ge=0)] = 0
    encoding: str = ""
    content: str = ""


def repositories(api: Api) -> Sequence[SourceRepository]:
    """Those of the namespace that the token's account is a member of with a role that reads code; without the archived ones."""
    return [source(api, found) for found in listed(api, REPORTER) if _is_mine(api, found)]


def listed(api: Api, level: int, *, most: int = MAX_ITEMS) -> list[ProjectAnswer]:
    """The projects that the token's account is a member of with at least that role, by id; without the archived ones."""
    # As plain objects: python-gitlab makes eighty managers for each of its own, which takes a second for a thousand projects.
    return api.ask_all(
        lambda gl: gl.http_list(
            gl.projects.path,
            iterator=True,
            pagination="keyset",
            order_by="id",
            sort="asc",
            membership=True,
            min_access_level=level,
            archived=False,
        ),
        ProjectAnswer,
        what="the list of projects",
        most=most,
    )


def describe(api: Api, repository: SourceRepository) -> SourceRepository:
    """By its number: a path can meanwhile belong to another one. Raises HostNotFound."""
    found = read(api, repository)
    return replace(
        repository,
        full_name=found.path_with_namespace,
        default_branch=found.default_branch or "",
        clone_url=api.site.clone_url(found.path_with_namespace),
        private=found.visibility != "public",
        archived=found.closed,
    )


def read(api: Api, repository: SourceRepository) -> ProjectAnswer:
    """All that is read of a project. Raises HostNotFound."""
    number = int(repository.external_id)
    return api.ask(lambda gl: gl.projects.get(number), ProjectAnswer, what=f"project {repository.full_name}")


def find(api: Api, full_name: str) -> SourceRepository:
    """By its path, as people give it; an old path of it will do. Raises HostNotFound."""
    name = full_name.strip("/")
    if "/" not in name or any(not part.strip(".") for part in name.split("/")):
        raise HostNotFound(f"'{full_name[:200]}' is no project's path", hint="write GROUP/PROJECT, with all groups in between")
    found = api.ask(lambda gl: gl.projects.get(name), ProjectAnswer, what=f"project {name[:200]}")
    return source(api, found)


def tip(api: Api, repository: SourceRepository, branch: str) -> CommitId:
    """A ref that is no branch (`refs/merge-requests/7/train`) has its whole name. Raises HostNotFound, also for an empty project."""
    if not branch:
        raise HostNotFound(f"{repository.full_name} has no branch without a name")
    if branch.startswith("refs/"):
        return CommitId(api.get(repository, lambda project: project.commits.get(branch), _Tip, what=branch[:200]).id)
    found = api.get(repository, lambda project: project.branches.get(branch), _Branch, what=f"branch {branch[:200]}")
    if found.commit is None:
        raise HostNotFound(f"branch {branch[:200]} of {repository.full_name} has no commit")
    return CommitId(found.commit.id)


def policy_parent(api: Api, repository: SourceRepository) -> PolicyFile | None:
    """`fixwright.yml` of the project `fixwright` in the nearest group that has one which the token reads, below those of the groups that
    this group lies in: who keeps a group within one cannot let pass what that one stops."""
    above: PolicyFile | None = None
    for name in reversed(list(_parents(repository.full_name))):
        found = _policy(api, repository, name)
        if found is not None:
            above = replace(found, above=above)
    return above


def may_write(api: Api) -> bool:
    """True when the token may write at all, and its account has the role for it in some project of the namespace."""
    return api.may_write() and api.writes_here(lambda: _writes_somewhere(api))


def source(api: Api, found: ProjectAnswer) -> SourceRepository:
    """A project of the namespace in the domain's words."""
    return SourceRepository(
        provider="gitlab",
        instance=api.instance,
        external_id=str(found.id),
        full_name=found.path_with_namespace,
        default_branch=found.default_branch or "",
        clone_url=api.site.clone_url(found.path_with_namespace),
        private=found.visibility != "public",
        installation=found.path_with_namespace.partition("/")[0],
        archived=found.closed,
    )


def _writes_somewhere(api: Api) -> bool:
    return any(_is_mine(api, found) for found in listed(api, DEVELOPER))


def _is_mine(api: Api, found: ProjectAnswer) -> bool:
    return found.path_with_namespace.lower().startswith(f"{api.account.lower()}/")


def _parents(full_name: str) -> Iterator[str]:
    """Where a policy of its groups may stand, the nearest first. A project that is such a place is ruled by itself and what is above."""
    groups = full_name.split("/")[:-1]
    for end in range(len(groups), 0, -1):
        name = "/".join((*groups[:end], PARENT_PROJECT))
        if name.lower() != full_name.lower():
            yield name


def _policy(api: Api, repository: SourceRepository, name: str) -> PolicyFile | None:
    try:
        parent = api.ask(lambda gl: gl.projects.get(name), ProjectAnswer, what=f"project {name}")
        # An old path leads to where a project was moved: perhaps into hands that have no say in this group.
        if parent.path_with_namespace.lower() != name.lower():
            return None
        place = replace(repository, external_id=str(parent.id), full_name=name)
        found = api.get(place, lambda project: project.files.get(file_path=PARENT_FILE, ref="HEAD"), _File, what=PARENT_FILE)
    except (HostNotFound, HostForbidden):
        return None
    where = f"{parent.path_with_namespace}: {PARENT_FILE}"
    if found.encoding != "base64" or found.size > MAX_POLICY or len(found.content) > 2 * MAX_POLICY:
        return PolicyFile(NO_POLICY, where)
    try:
        return PolicyFile(b64decode("".join(found.content.split()), validate=True), where)
    except ValueError:  # also where it is no ASCII
        return PolicyFile(NO_POLICY, where)
