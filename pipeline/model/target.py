"""What is scanned, and where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.ids import CommitId, InstallationId


class Permission(StrEnum):
    """What a person may do in a repository, asked from the host and never taken from a payload."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    @property
    def may_write(self) -> bool:
        """True for write and admin."""
        return self in (Permission.WRITE, Permission.ADMIN)


@dataclass(frozen=True, slots=True)
class UserRef:
    """A person or bot on a host. `id` is the host's stable number; `login` can be renamed and is only shown."""

    id: str
    login: str
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Installation:
    """Fixwright on one account of one host."""

    id: InstallationId
    provider: str
    """Name of the provider plug-in: `github`, `local`."""
    instance: str
    """Host name of the instance (`github.com`, `ghe.example.org`), or a name given by the operator."""
    account: str
    """Login of the organization or person on the host."""
    external_id: str
    """The host's own number of the installation."""


@dataclass(frozen=True, slots=True)
class SourceRepository:
    """One git repository on one host. (provider, instance, external_id) is its identity: names can change."""

    provider: str
    instance: str
    external_id: str
    full_name: str
    """`owner/name` as the host shows it now."""
    default_branch: str
    clone_url: str
    """Without credentials: https://..., or a path for the local provider."""
    private: bool = True
    installation: str = ""
    """The host's number of the installation through which we saw it."""
    archived: bool = False
    """True when nothing can be written to it any more. Only the host's own answer (`CodeHost.describe`) says so; it is not kept here."""


@dataclass(frozen=True, slots=True)
class CommitRef:
    """A commit in a source repository."""

    repository: SourceRepository
    commit: CommitId


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """A pull request (merge request on GitLab) of a source repository, by the number that people see."""

    repository: SourceRepository
    number: int


class PullRequestState(StrEnum):
    """Whether a pull request can still be merged."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the host describes it at one moment."""

    ref: PullRequestRef
    head: CommitId
    base_ref: str
    """Branch name that it wants to be merged into, without `refs/heads/`."""
    base: CommitId
    """Tip of the base branch, from which the policy is read."""
    merge_base: CommitId
    """Where the change began: what is compared is merge_base..head."""
    head_ref: str
    head_repository: str
    """Full name of the repository that holds the head branch; differs from the base's for a fork, `""` when it was deleted."""
    author: UserRef
    state: PullRequestState = PullRequestState.OPEN
    draft: bool = False
    title: str = ""
    commits: int = 1
    """How many commits lie between merge base and head, as the host counts."""
    url: str = ""

    @property
    def from_fork(self) -> bool:
        """True when the head branch is not in the repository itself, so that we cannot push to it."""
        return self.head_repository != self.ref.repository.full_name
