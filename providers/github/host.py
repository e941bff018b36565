"""GitHub as a code host: each verb of `pipeline.ports.CodeHost`, carried out by the module of its subject."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline.errors import HostForbidden, HostRejected
from pipeline.model.event import CommentEvent, CommentRef, OpenPullRequest, Snapshot
from pipeline.model.fix import BranchCommit, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import AdvisoryDraft, Check, CheckRef, CheckState, Thread, ThreadRef
from pipeline.model.target import CommitRef, Permission, PullRequest, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import Capabilities, GitCredentials, HostMemory, PolicyFile
from providers.github import branches, checks, comments, pulls, repositories, snapshots, statuses, threads
from providers.github.api import Api
from providers.github.auth import CHECK, CLONE, PROPOSE, READ
from providers.github.settings import Site

log = logging.getLogger(__name__)

SUMMARY = "summary"
"""Topic of the comment that carries the table where checks have no pages (`pipeline.stages.speak`)."""
MUTED_KEPT = 3_600.0
"""Seconds for which it is remembered that something could not be shown; a job lives shorter."""
_Result = TypeVar("_Result")


class GitHubHost:
    """One installation of the App, or what one token reaches. Stateless between calls but for what lies in `HostMemory`.

    Args:
        instance: what its repositories are known under, as in `Installation.instance`.
        lenient: leave out what we may not write, instead of failing; `capabilities.writes` says afterwards that something was left out.
    """

    def __init__(self, api: Api, memory: HostMemory, site: Site, limits: Capabilities, *, instance: str, lenient: bool = False) -> None:
        self._api, self._memory, self._site, self._limits = api, memory, site, limits
        self._instance, self._lenient = instance, lenient
        self._muted = f"github/{site.authority}/muted/{api.sign_in.installation}"

    @property
    def capabilities(self) -> Capabilities:
        """See `pipeline.ports.CodeHost`; so with all methods here."""
        return replace(self._limits, writes=False) if self._memory.get(self._muted) is not None else self._limits

    def find(self, full_name: str) -> SourceRepository:
        """One request, by its name."""
        return repositories.find(self._api, self._instance, full_name)

    def snapshot(self, repository: SourceRepository, since: datetime) -> Snapshot:
        """Five requests, answered 304 while nothing is new."""
        return snapshots.snapshot(self._api, repository, since)

    def threads(self, ref: PullRequestRef) -> Sequence[ThreadRef]:
        """Pages of 100 review comments."""
        return threads.threads(self._api, ref)

    def repositories(self) -> Sequence[SourceRepository]:
        """Pages of 100."""
        return repositories.repositories(self._api, self._instance)

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """One request, by its number."""
        return repositories.describe(self._api, repository)

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """One request, answered 304 while nothing is new."""
        return repositories.tip(self._api, repository, branch, repeats=True)

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[OpenPullRequest]:
        """Pages of 100, answered 304 while nothing is new."""
        return repositories.open_pull_requests(self._api, repository)

    def spent(self) -> int:
        """What was answered with anything but 304."""
        return self._api.spent()

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """`fixwright.yml` in the owner's `.github`."""
        return repositories.policy_parent(self._api, repository)

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """A draft that only the repository's administrators see."""
        return repositories.draft_advisory(self._api, repository, draft)

    def prepare(self, repository: SourceRepository) -> None:
        """The three tokens that a review needs until its check is finished, minted side by side."""
        self._api.warm(repository, (READ, CHECK, CLONE))

    def may_propose(self) -> bool:
        """Whether the App was granted `contents: write`, which the reader is not."""
        return self._api.sign_in.may(PROPOSE)

    def may_check(self) -> bool:
        """Whether the App was granted `checks: write`, or what stands in for it where a person's token is used."""
        return self._api.sign_in.may(CHECK)

    def forget(self) -> None:
        """See `SignIn.forget`."""
        self._api.sign_in.forget()

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """One request."""
        return pulls.permission(self._api, repository, user)

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """A read-only token of that repository, for GitHub's own host only: whoever forged an address must not get it."""
        address = urlsplit(repository.clone_url)
        if address.hostname != self._site.web_host:
            raise HostRejected(f"the clone address of {repository.full_name} is on {address.hostname}, not on {self._site.web_host}")
        if address.scheme != "https" and not self._site.api_url.startswith("http:"):
            raise HostRejected(f"the clone address of {repository.full_name} is not encrypted")
        token = self._api.token(repository, CLONE)
        return GitCredentials(_basic(token), lambda: _basic(self._api.token(repository, CLONE, not_this=token)))

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Two requests: the pull request, and its base compared with its head."""
        return pulls.pull_request(self._api, ref)

    def authors(self, ref: PullRequestRef) -> Sequence[UserRef]:
        """The accounts that GitHub sees behind the addresses in the commits."""
        return pulls.authors(self._api, ref)

    def written(self, event: CommentEvent) -> float | None:
        """As the delivery says, without a request: it is signed with the App's own secret, which GitHub and we alone know, and GitHub lets
        nobody write what it says (docs "Validating webhook deliveries"). One that does not say it is of no age that is known, and so not
        confirmed."""
        return event.written

    def acknowledge(self, comment: CommentRef) -> None:
        """Eyes."""
        comments.acknowledge(self._api, comment)

    def ensure_check(self, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:
        """The check run `Fixwright` with `external_id` = `check.key`; a status of that name where we cannot write check runs."""

        def write() -> CheckRef:
            if not self._limits.check_pages:
                return statuses.ensure_status(self._api, commit, check)
            return checks.ensure_check(self._api, commit, check, self._limits, known)

        return self._shown("check", write, CheckRef(commit.commit, ""))

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """One comment in the conversation, minimized when `body` is empty."""
        if internal:
            raise HostForbidden("GitHub shows a comment to everybody who may read the repository")

        def write() -> None:
            comments.ensure_comment(self._api, ref, topic, body, self._limits)
            if body and topic == SUMMARY and not self._limits.check_pages:
                statuses.point_to_comment(self._api, ref, topic)

        self._shown("comment", write, None)

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """One answer, in the thread of a review comment or in the conversation."""
        self._shown("reply", lambda: comments.ensure_reply(self._api, comment, topic, body, self._limits), None)

    def ensure_threads(self, ref: PullRequestRef, head: CommitId, threads_: Sequence[Thread], introduction: str) -> Sequence[ThreadRef]:
        """One review opens what is missing."""

        def write() -> Sequence[ThreadRef]:
            return threads.ensure_threads(self._api, ref, head, threads_, introduction, self._limits)

        return self._shown("threads", write, ())

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """One commit that GitHub signs, on a branch below `fixwright/`."""
        return branches.ensure_branch(self._api, self._memory, repository, commit, site=self._site.authority)

    def ensure_no_branch(self, repository: SourceRepository, branch: str) -> None:
        """A branch below `fixwright/` whose tip is ours."""
        branches.ensure_no_branch(self._api, self._memory, repository, branch, site=self._site.authority)

    def ensure_commit(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """One commit that GitHub signs, on the head branch of somebody's pull request."""
        return branches.ensure_commit(self._api, repository, commit)

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """The open pull request from `draft.branch`."""
        return pulls.ensure_pull_request(self._api, draft, self._limits)

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """Comment and close, unless it is closed."""
        pulls.ensure_closed(self._api, ref, reason, self._limits)

    def _shown(self, what: str, write: Callable[[], _Result], instead: _Result) -> _Result:
        """Do a write that only shows something."""
        try:
            return write()
        except HostForbidden as exc:
            if not self._lenient:
                raise
            log.warning("github.not_shown", extra={"what": what, "code": exc.code})
            self._memory.put(self._muted, b"1", MUTED_KEPT)
            return instead


def _basic(token: str) -> str:
    return "Authorization: Basic " + b64encode(f"x-access-token:{token}".encode()).decode()
