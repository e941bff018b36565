"""GitHub as a code host: each verb of `pipeline.ports.CodeHost`, carried out by the module of its subject."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import urlsplit

from pipeline.errors import HostRejected
from pipeline.model.event import CommentRef
from pipeline.model.fix import BranchCommit, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import Check, CheckRef, Thread, ThreadRef
from pipeline.model.target import CommitRef, Permission, PullRequest, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import AdvisoryDraft, Capabilities, GitCredentials, HostMemory, PolicyFile
from providers.github import branches, checks, comments, pulls, repositories, threads
from providers.github.api import Api
from providers.github.auth import CLONE
from providers.github.settings import Site


class GitHubHost:
    """One installation of the App. Stateless between calls but for what lies in `HostMemory`."""

    def __init__(self, api: Api, memory: HostMemory, site: Site, limits: Capabilities) -> None:
        self._api, self._memory, self._site, self._limits = api, memory, site, limits

    def repositories(self) -> Sequence[SourceRepository]:
        """See `pipeline.ports.CodeHost`; so with all methods here."""
        return repositories.repositories(self._api, self._site)

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """One request, by its number."""
        return repositories.describe(self._api, repository)

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """One request."""
        return repositories.tip(self._api, repository, branch)

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[tuple[PullRequestRef, CommitId]]:
        """Pages of 100."""
        return repositories.open_pull_requests(self._api, repository)

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """`fixwright.yml` in the owner's `.github`."""
        return repositories.policy_parent(self._api, repository)

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """A draft that only the repository's administrators see."""
        return repositories.draft_advisory(self._api, repository, draft)

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """One request."""
        return pulls.permission(self._api, repository, user)

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """A read-only token of that repository, for GitHub's own host only: whoever forged an address must not get it."""
        host = urlsplit(repository.clone_url).hostname
        if host != self._site.web_host:
            raise HostRejected(f"the clone address of {repository.full_name} is on {host}, not on {self._site.web_host}")
        token = self._api.token(repository, CLONE)
        return GitCredentials("Authorization: Basic " + b64encode(f"x-access-token:{token}".encode()).decode())

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Two requests: the pull request, and its base compared with its head."""
        return pulls.pull_request(self._api, ref)

    def acknowledge(self, comment: CommentRef) -> None:
        """Eyes."""
        comments.acknowledge(self._api, comment)

    def ensure_check(self, commit: CommitRef, check: Check) -> CheckRef:
        """The check run `Fixwright` with `external_id` = `check.key`."""
        return checks.ensure_check(self._api, commit, check, self._limits)

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str) -> None:
        """One comment in the conversation, minimized when `body` is empty."""
        comments.ensure_comment(self._api, ref, topic, body, self._limits)

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """One answer, in the thread of a review comment or in the conversation."""
        comments.ensure_reply(self._api, comment, topic, body, self._limits)

    def ensure_threads(self, ref: PullRequestRef, head: CommitId, threads_: Sequence[Thread], introduction: str) -> Sequence[ThreadRef]:
        """One review opens what is missing."""
        return threads.ensure_threads(self._api, ref, head, threads_, introduction, self._limits)

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """One commit that GitHub signs, on a branch below `fixwright/`."""
        return branches.ensure_branch(self._api, self._memory, repository, commit, site=self._site.api_host)

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """The open pull request from `draft.branch`."""
        return pulls.ensure_pull_request(self._api, draft, self._limits)

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """Comment and close, unless it is closed."""
        pulls.ensure_closed(self._api, ref, reason, self._limits)
