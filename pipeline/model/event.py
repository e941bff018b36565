"""What a host tells us, the same for every host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pipeline.model.ids import CommitId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request of a host's webhook, before anybody believed it."""

    provider: str
    instance: str
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    at: float | None = None
    """When it arrived (seconds since 1970), of one that was kept for a while (`pipeline.store.spool`); None: now."""


@dataclass(frozen=True, slots=True)
class MissedDelivery:
    """A delivery that the host could not hand over."""

    id: str
    """The host's number of the attempt."""
    delivery: str
    """The id that it carries each time, as `Received.delivery` does."""
    at: datetime


@dataclass(frozen=True, slots=True)
class PushEvent:
    """A branch moved. `after` is all zeros when it was deleted, `before` when it was made."""

    installation: Installation
    repository: SourceRepository
    sender: UserRef
    ref: str
    """Branch name without `refs/heads/`."""
    before: CommitId
    after: CommitId
    commits: int = 1
    kind: Literal["push"] = "push"


class PullRequestAction(StrEnum):
    """What happened to a pull request, as far as it concerns us."""

    OPENED = "opened"
    UPDATED = "updated"
    """New commits, or a force-push."""
    REOPENED = "reopened"
    CLOSED = "closed"
    RETARGETED = "retargeted"
    READY = "ready"
    DRAFTED = "drafted"
    ASKED = "asked"
    """The host wants to know how it stands, and waits for an answer: it is given also where it was given before."""


@dataclass(frozen=True, slots=True)
class PullRequestEvent:
    """Something happened to a pull request. `head` is a hint: the newest state is read from the host before acting."""

    installation: Installation
    pull_request: PullRequestRef
    sender: UserRef
    action: PullRequestAction
    head: CommitId
    merged: bool = False
    """Of a closed one: whether its change is in the base now. A hint too."""
    kind: Literal["pull_request"] = "pull_request"


@dataclass(frozen=True, slots=True)
class CommentRef:
    """A comment on a pull request."""

    pull_request: PullRequestRef
    id: str
    """The host's number."""
    in_thread: bool = False
    """True for a comment under a line of the diff: answers then go into that thread."""
    thread: str = ""
    """The host's number of the thread's first comment, when known."""
    internal: bool = False
    """True where only members of the repository read it: no answer to it may be for others."""


@dataclass(frozen=True, slots=True)
class CommentEvent:
    """Somebody wrote a new comment on a pull request. `body` is hostile text."""

    installation: Installation
    comment: CommentRef
    sender: UserRef
    body: str
    finding_marker: str = ""
    """Fingerprint in our own marker of the thread that was answered, or empty."""
    written: float | None = None
    """When, in seconds since 1970 by the host's clock, where nobody but the host can say so; None: it has to be asked."""
    kind: Literal["comment"] = "comment"


@dataclass(frozen=True, slots=True)
class InstallationEvent:
    """The host tells of an installation: made, removed, suspended, or given other repositories."""

    installation: Installation
    action: Literal["created", "deleted", "suspended", "unsuspended", "changed"]
    added: tuple[SourceRepository, ...] = field(default=())
    removed: tuple[SourceRepository, ...] = field(default=())
    kind: Literal["installation"] = "installation"


@dataclass(frozen=True, slots=True)
class RerunEvent:
    """Somebody asked the host to run our check on a commit again."""

    installation: Installation
    repository: SourceRepository
    sender: UserRef
    head: CommitId
    kind: Literal["rerun"] = "rerun"


@dataclass(frozen=True, slots=True)
class ButtonEvent:
    """Somebody pressed a button of our check. Who it is says the host; what he may do is asked before anything happens."""

    installation: Installation
    repository: SourceRepository
    sender: UserRef
    head: CommitId
    identifier: str
    """`CheckAction.identifier` of the button."""
    kind: Literal["button"] = "button"


@dataclass(frozen=True, slots=True)
class MergeGroupEvent:
    """A merge queue made a commit that would become the branch's tip, or threw it away."""

    installation: Installation
    repository: SourceRepository
    head: CommitId
    base: CommitId | None
    """What it was made upon; None where the host does not say: its first parent then."""
    base_ref: str
    """Branch that it would be merged into, without `refs/heads/`."""
    head_ref: str
    """The queue's temporary branch, without `refs/heads/`; a ref that is no branch with its whole name (`refs/merge-requests/7/train`)."""
    destroyed: bool = False
    kind: Literal["merge_group"] = "merge_group"


@dataclass(frozen=True, slots=True)
class PipelineEvent:
    """A pipeline of the host's own CI began, or ended well. Where it decides whether a change may be merged, our verdict has to stand in
    it: what was said in an older pipeline does not count any more."""

    installation: Installation
    repository: SourceRepository
    """Whose pipeline it is; of a change from a fork that may be the fork."""
    id: str
    """The host's number of the pipeline."""
    commit: CommitId
    """What it runs on: the head of a change, or a commit that the host made of it and its target."""
    ended: bool = False
    target: str = ""
    """The host's number of the repository of the pull request that it runs for; empty when it runs for none."""
    number: int = 0
    """Of that pull request."""
    queue: MergeGroupEvent | None = None
    """What else it may be: the pipeline of a merge queue's commit, of which the host tells nothing else."""
    kind: Literal["pipeline"] = "pipeline"


class RepositoryAction(StrEnum):
    """What happened to a repository, as far as it concerns us."""

    RENAMED = "renamed"
    """Or transferred within the same installation: its number stays."""
    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    DELETED = "deleted"
    PRIVATIZED = "privatized"
    PUBLICIZED = "publicized"
    CHANGED = "changed"
    """Another default branch; or anything of the above where the host does not say what, and is asked."""


@dataclass(frozen=True, slots=True)
class RepositoryEvent:
    """A repository was renamed, moved, archived, deleted, or changed its visibility. `repository` is how it is afterwards."""

    installation: Installation
    repository: SourceRepository
    action: RepositoryAction
    kind: Literal["repository"] = "repository"


@dataclass(frozen=True, slots=True)
class ThreadEvent:
    """Somebody resolved or reopened a conversation on a pull request; it need not be one of ours."""

    installation: Installation
    pull_request: PullRequestRef
    sender: UserRef
    thread: str
    """The host's number of the thread's first comment."""
    resolved: bool
    kind: Literal["thread"] = "thread"


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """A person may have lost rights: in one repository, or (None) in everything of the installation's account."""

    installation: Installation
    user: UserRef
    repository: SourceRepository | None = None
    kind: Literal["member"] = "member"


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """A commit was brought to an environment, or was to be. Nothing follows from it yet: it is counted, and its delivery kept as any is."""

    installation: Installation
    repository: SourceRepository
    sender: UserRef
    commit: CommitId
    environment: str
    """Hostile text: `production`."""
    url: str
    """Where the environment can be seen; hostile text, and empty when nobody says."""
    state: Literal["running", "success", "failed", "cancelled"]
    kind: Literal["deployment"] = "deployment"


Event = (
    PushEvent
    | PullRequestEvent
    | CommentEvent
    | InstallationEvent
    | RerunEvent
    | ButtonEvent
    | MergeGroupEvent
    | PipelineEvent
    | RepositoryEvent
    | ThreadEvent
    | MemberEvent
    | DeploymentEvent
)
"""Told apart by `kind`."""


@dataclass(frozen=True, slots=True)
class OpenPullRequest:
    """An open pull request as a list of them shows it."""

    ref: PullRequestRef
    head: CommitId
    base_ref: str
    draft: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A comment that stands on a pull request. `body` is hostile text."""

    comment: CommentRef
    sender: UserRef
    """`bot` is True for what we wrote ourselves, in whosever name."""
    body: str
    written: datetime
    """By the host's clock."""
    at: datetime
    """When it was last edited; else when it was written."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What somebody sees who looks at a repository, where no delivery can come in."""

    repository: SourceRepository
    tip: CommitId | None
    """Newest commit of the default branch; None while there is none."""
    pulls: tuple[OpenPullRequest, ...]
    comments: tuple[Posted, ...] = ()
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that was verified and understood."""

    delivery_id: str
    """The host's id of the delivery: the same when it is delivered again."""
    name: str
    """The host's name of the event, for the log: `pull_request.opened`."""
    event: Event | None
    """None when the event does not concern us; it is still acknowledged."""
    odd: str = ""
    """Why nothing follows from an event that should concern us, where its host must be told that all is well; for the operator's log."""
    hint: str = ""
    """What he can do about that."""
