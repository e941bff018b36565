"""The parts of GitHub's webhook payloads that are used, and nothing else of them.

Real payloads vary by age, edition and App: what is not used may be missing or of any type. What is used is checked strictly (a number
is no string, null is no object), because it ends in the store, in addresses and in git.
Source: docs "Webhook events and payloads"; npm `@octokit/webhooks-examples`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from pipeline.payloads import Number, Payload, Sha, Text, without_dots

FullName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}\z"), AfterValidator(without_dots)]
"""It becomes a part of addresses."""
Login = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9_.\-\[\]]{1,100}\z")]

Moment = Annotated[AwareDatetime, Field(strict=False)]
"""`2026-01-15T12:00:00Z`: JSON has no times."""


class User(Payload):
    """`sender`, `comment.user`."""

    id: Number
    login: Login
    type: Text = "User"


class AppBadge(Payload):
    """The App through which something was written."""

    id: Number
    client_id: Text | None = None


class InstallationId(Payload):
    """`installation` as most events carry it."""

    id: Number


class Account(Payload):
    """`installation.account`: an organization or person, or an enterprise, which has a slug instead of a login."""

    login: Login = ""
    slug: Login = ""

    @property
    def name(self) -> str:
        """What the host calls it."""
        return self.login or self.slug


class FullInstallation(Payload):
    """`installation` as the installation events carry it."""

    id: Number
    account: Account


class Repository(Payload):
    """`repository`."""

    id: Number
    full_name: FullName
    clone_url: Text
    default_branch: Text
    private: bool = True


class InstalledRepository(Payload):
    """A repository as the installation events list it."""

    id: Number
    full_name: FullName
    private: bool = True


class Envelope(Payload):
    """What is looked at first. Without an installation it is no event of an App, and we could not answer it."""

    action: Text = ""
    installation: InstallationId | None = None


class FromRepository(Payload):
    """Common to all events of a repository."""

    installation: InstallationId
    repository: Repository
    sender: User


class Push(FromRepository):
    """`push`."""

    ref: Text
    before: Sha
    after: Sha
    deleted: bool = False
    commits: tuple[object, ...] | list[object] = ()


class Head(Payload):
    """`pull_request.head`."""

    sha: Sha


class PullRequestBody(Payload):
    """`pull_request`."""

    number: Number
    head: Head
    merged: bool = False


class Changes(Payload):
    """`changes` of an edit: a key is there when that field changed."""

    base: object = None
    default_branch: object = None


class PullRequest(FromRepository):
    """`pull_request`."""

    pull_request: PullRequestBody
    changes: Changes | None = None


class Issue(Payload):
    """`issue`: a pull request when it says so."""

    number: Number
    pull_request: object = None


class IssueCommentBody(Payload):
    """`comment` of `issue_comment`. GitHub sends null for an empty body."""

    id: Number
    body: Text | None = None
    created_at: Moment
    performed_via_github_app: AppBadge | None = None


class IssueComment(FromRepository):
    """`issue_comment`."""

    issue: Issue
    comment: IssueCommentBody


class ReviewCommentBody(Payload):
    """`comment` of `pull_request_review_comment`."""

    id: Number
    body: Text | None = None
    created_at: Moment
    in_reply_to_id: Number | None = None
    performed_via_github_app: AppBadge | None = None


class NumberedPullRequest(Payload):
    """`pull_request` where only its number counts."""

    number: Number


class ReviewComment(FromRepository):
    """`pull_request_review_comment`."""

    pull_request: NumberedPullRequest
    comment: ReviewCommentBody


class ThreadComment(Payload):
    """One of `thread.comments`."""

    id: Number


class Thread(Payload):
    """`thread`: its first comment names it, everywhere else too."""

    comments: list[ThreadComment] = Field(default_factory=list)


class ReviewThread(FromRepository):
    """`pull_request_review_thread`."""

    pull_request: NumberedPullRequest
    thread: Thread


class Group(Payload):
    """`merge_group`."""

    head_sha: Sha
    head_ref: Text
    """`refs/heads/gh-readonly-queue/...`"""
    base_sha: Sha
    """Its parent: the base branch's tip, or the group before it in the queue."""
    base_ref: Text


class MergeGroup(FromRepository):
    """`merge_group`."""

    merge_group: Group


class RepositoryChanged(FromRepository):
    """`repository`."""

    changes: Changes | None = None


class Member(FromRepository):
    """`member`."""

    member: User


class Membership(Payload):
    """`membership` of an `organization` event."""

    user: User


class FromOrganization(Payload):
    """Common to the events of an organization."""

    installation: InstallationId
    organization: Account


class OrganizationMember(FromOrganization):
    """`organization` with a member."""

    membership: Membership


class TeamMember(FromOrganization):
    """`membership`: of a team."""

    member: User | None = None


class InstallationTarget(Payload):
    """`installation_target`."""

    installation: InstallationId
    account: Account


class Installation(Payload):
    """`installation`."""

    installation: FullInstallation
    sender: User
    repositories: list[InstalledRepository] = Field(default_factory=list)


class InstallationRepositories(Payload):
    """`installation_repositories`."""

    installation: FullInstallation
    sender: User
    repositories_added: list[InstalledRepository] = Field(default_factory=list)
    repositories_removed: list[InstalledRepository] = Field(default_factory=list)


class Checked(Payload):
    """`check_run` or `check_suite`."""

    head_sha: Sha
    app: AppBadge | None = None


class CheckRun(FromRepository):
    """`check_run`."""

    check_run: Checked


class CheckSuite(FromRepository):
    """`check_suite`."""

    check_suite: Checked


class RequestedAction(Payload):
    """`requested_action`: the button that was pressed."""

    identifier: Annotated[str, StringConstraints(pattern=r"\A[\x20-\x7e]{1,20}\z")]
    """At most 20 characters (REST "Create a check run")."""


class PressedCheckRun(CheckRun):
    """`check_run` with the button of it that somebody pressed."""

    requested_action: RequestedAction
