"""GitLab as a code host: each verb of `pipeline.ports.CodeHost`, carried out by the module of its subject."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from pipeline.errors import HostForbidden, HostRejected
from pipeline.model.event import CommentEvent, CommentRef, OpenPullRequest, Snapshot
from pipeline.model.fix import BranchCommit, PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.report import AdvisoryDraft, Check, CheckRef, CheckState, Thread, ThreadRef
from pipeline.model.target import CommitRef, Permission, PullRequest, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import Capabilities, GitCredentials, HostMemory, PolicyFile
from providers.gitlab import branches, discussions, merge_requests, notes, people, projects, pulls, snapshots, statuses
from providers.gitlab.api import Api

SUMMARY = "summary"
"""Topic of the note that carries the table (`pipeline.stages.speak`)."""


class GitLabHost:
    """One top-level namespace, as one token reaches it. Stateless between calls but for what lies in `HostMemory`."""

    def __init__(self, api: Api, memory: HostMemory, limits: Capabilities) -> None:
        self._api, self._memory, self._limits = api, memory, limits

    @property
    def capabilities(self) -> Capabilities:
        """See `pipeline.ports.CodeHost`; so with all methods here."""
        return self._limits

    # --- reading ---

    def find(self, full_name: str) -> SourceRepository:
        """One request, by its path."""
        return projects.find(self._api, full_name)

    def snapshot(self, repository: SourceRepository, since: datetime) -> Snapshot:
        """Three requests, and one for each open merge request that changed."""
        return snapshots.snapshot(self._api, repository, since)

    def threads(self, ref: PullRequestRef) -> Sequence[ThreadRef]:
        """Pages of 100 discussions."""
        return discussions.threads(self._api, ref)

    def repositories(self) -> Sequence[SourceRepository]:
        """Pages of 100 by id."""
        return projects.repositories(self._api)

    def describe(self, repository: SourceRepository) -> SourceRepository:
        """One request, by its number."""
        return projects.describe(self._api, repository)

    def tip(self, repository: SourceRepository, branch: str) -> CommitId:
        """One request."""
        return projects.tip(self._api, repository, branch)

    def open_pull_requests(self, repository: SourceRepository) -> Sequence[OpenPullRequest]:
        """Pages of 100."""
        return pulls.open_pull_requests(self._api, repository)

    def spent(self) -> int:
        """Always the same: GitLab counts by the minute and has no hourly budget (docs "Rate limits")."""
        return 0

    def policy_parent(self, repository: SourceRepository) -> PolicyFile | None:
        """`fixwright.yml` in the project `fixwright` of the nearest group that has one, below those of the groups around it."""
        return projects.policy_parent(self._api, repository)

    def draft_advisory(self, repository: SourceRepository, draft: AdvisoryDraft) -> str:
        """See `Capabilities.advisories`."""
        raise HostForbidden("GitLab has no drafts of security advisories")

    def prepare(self, repository: SourceRepository) -> None:
        """Nothing is minted: the operator's token does for every step."""

    def may_propose(self) -> bool:
        """Whether the token may write at all, and its account is a Developer in some project of the namespace."""
        return projects.may_write(self._api)

    def may_check(self) -> bool:
        """The same: a commit status asks for the role Developer, too (docs REST "Commits", "Set commit pipeline status")."""
        return projects.may_write(self._api)

    def forget(self) -> None:
        """What is remembered of the token and of its roles is asked anew."""
        self._api.forget()

    def permission(self, repository: SourceRepository, user: UserRef) -> Permission:
        """One request; three for who is no member."""
        return people.permission(self._api, repository, user)

    def credentials(self, repository: SourceRepository) -> GitCredentials:
        """The operator's token, for his own GitLab only: whoever forged an address must not get it."""
        if not self._api.site.holds(repository.clone_url):
            raise HostRejected(
                f"the clone address of {repository.full_name} is not on {self._api.site.authority}",
                hint="set FIXWRIGHT_GITLAB_URL to the address that GitLab clones from",
            )
        if not repository.clone_url.startswith(f"{self._api.site.origin}/"):
            raise HostRejected(f"the clone address of {repository.full_name} is not encrypted")
        # Any user name will do with a token (docs "Clone using a token"); this one is of no account.
        packed = b64encode(f"oauth2:{self._api.secret()}".encode()).decode()
        return GitCredentials(f"Authorization: Basic {packed}")

    def pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Three requests: the merge request, its target branch, its number of commits. One more for the merge base when somebody pushed to
        the target since, one for the name of a fork."""
        return pulls.pull_request(self._api, ref)

    def authors(self, ref: PullRequestRef) -> Sequence[UserRef]:
        """The accounts behind the addresses in the commits, and who pushed them."""
        return people.authors(self._api, ref)

    # --- writing ---

    def written(self, event: CommentEvent) -> float | None:
        """One request: whoever keeps a webhook may let GitLab deliver any text in our name for it (`custom_webhook_template`)."""
        return notes.written(self._api, event)

    def acknowledge(self, comment: CommentRef) -> None:
        """Eyes."""
        notes.acknowledge(self._api, comment)

    def ensure_check(self, commit: CommitRef, check: Check, known: CheckState | None = None) -> CheckRef:
        """The commit status `Fixwright`."""
        return statuses.ensure_status(self._api, self._memory, commit, check, known)

    def ensure_comment(self, ref: PullRequestRef, topic: str, body: str, *, internal: bool = False) -> None:
        """One note in the conversation; the status leads to the one with the table."""
        note = notes.ensure_comment(self._api, ref, topic, body, self._limits, internal=internal)
        if note is not None and topic == SUMMARY and body:
            statuses.point_to_comment(self._api, self._memory, ref, note)

    def ensure_reply(self, comment: CommentRef, topic: str, body: str) -> None:
        """One answer, in the discussion of a note or in the conversation."""
        notes.ensure_reply(self._api, comment, topic, body, self._limits)

    def ensure_threads(
        self,
        ref: PullRequestRef,
        head: CommitId,
        threads_: Sequence[Thread],
        introduction: str,  # a review's text would be a thread of its own, for somebody to resolve: the sticky note says it
    ) -> Sequence[ThreadRef]:
        """Discussions on the diff; several new ones are one review, and one mail."""
        return discussions.ensure_threads(self._api, self._memory, ref, head, threads_, self._limits)

    def ensure_branch(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """One commit on a branch below `fixwright/`."""
        return branches.ensure_branch(self._api, self._memory, repository, commit)

    def ensure_no_branch(self, repository: SourceRepository, branch: str) -> None:
        """A branch below `fixwright/` whose tip is ours."""
        branches.ensure_no_branch(self._api, self._memory, repository, branch)

    def ensure_commit(self, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
        """One commit on the source branch of somebody's merge request."""
        return branches.ensure_commit(self._api, self._memory, repository, commit)

    def ensure_pull_request(self, draft: PullRequestDraft) -> PullRequestRef:
        """The open merge request from `draft.branch`."""
        return merge_requests.ensure_pull_request(self._api, draft, self._limits)

    def ensure_closed(self, ref: PullRequestRef, reason: str) -> None:
        """Note and close, unless it is closed."""
        merge_requests.ensure_closed(self._api, ref, reason, self._limits)
