"""Merge requests as they are now: one with its merge base, and the open ones of a project.

Sources: docs "Merge requests API" (`sha` is the head; `diff_refs` names merge base, tip of the target branch and head as they were when the
newest version was made; both are missing until GitLab has prepared it; `source_project_id` is missing when the fork was deleted),
"Repositories API" ("Merge base").
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, HostUnavailable
from pipeline.model.event import OpenPullRequest
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequest, PullRequestRef, PullRequestState, SourceRepository, UserRef
from pipeline.payloads import Number, Sha, Text
from providers.gitlab.api import Api
from providers.gitlab.client import Answer
from providers.gitlab.people import Person
from providers.gitlab.projects import ProjectAnswer, tip

STATES = {
    "opened": PullRequestState.OPEN,
    "locked": PullRequestState.OPEN,  # it is being merged: a moment later it is merged, or open again
    "closed": PullRequestState.CLOSED,
    "merged": PullRequestState.MERGED,
}
MANY = 10_000
"""Commits beyond which GitLab does not count (docs "REST API", "Pagination response headers")."""


class DiffRefs(Answer):
    """`diff_refs`: the three commits of the newest version."""

    base_sha: Sha | None = None
    """Merge base."""
    start_sha: Sha | None = None
    """Tip of the target branch."""
    head_sha: Sha | None = None


class MergeRequestAnswer(Answer):
    """A merge request; in lists some of it is missing."""

    iid: Number
    state: str
    title: Text = ""
    description: str | None = None
    web_url: str = ""
    source_branch: Text
    target_branch: Text
    source_project_id: Number | None = None
    target_project_id: Number
    sha: Sha | None = None
    diff_refs: DiffRefs | None = None
    draft: bool = False
    work_in_progress: bool = False
    """What `draft` was called before GitLab 13.2; both are there now."""
    author: Person | None = None
    labels: list[str] = Field(default_factory=list)
    reviewers: list[Person] = Field(default_factory=list)
    updated_at: datetime | None = None

    @property
    def head(self) -> CommitId | None:
        """Newest commit; None while GitLab has not prepared it, or when there is none."""
        known = self.sha or (self.diff_refs.head_sha if self.diff_refs else None)
        return CommitId(known) if known else None


class _Commit(Answer):
    id: Sha


def read(api: Api, ref: PullRequestRef) -> MergeRequestAnswer:
    """As GitLab describes it now. Raises HostNotFound."""
    return api.get(
        ref.repository, lambda project: project.mergerequests.get(ref.number), MergeRequestAnswer, what=f"merge request {ref.number}"
    )


def pull_request(api: Api, ref: PullRequestRef) -> PullRequest:
    """Its newest state. Raises HostNotFound, also when it has no commit; HostUnavailable while GitLab has not prepared it."""
    answer = read(api, ref)
    head = answer.head
    if head is None:
        if STATES.get(answer.state) is PullRequestState.OPEN:
            raise HostUnavailable(f"GitLab has not prepared merge request {ref.number} of {ref.repository.full_name} yet")
        raise HostNotFound(f"merge request {ref.number} of {ref.repository.full_name} has no commit")
    base, merge_base = _bases(api, ref, answer, head)
    return PullRequest(
        ref=ref,
        head=head,
        base_ref=answer.target_branch,
        base=base,
        merge_base=merge_base,
        head_ref=answer.source_branch,
        head_repository=_head_repository(api, ref, answer),
        author=answer.author.ref() if answer.author else UserRef("0", "ghost"),
        state=STATES.get(answer.state, PullRequestState.CLOSED),
        draft=answer.draft or answer.work_in_progress,
        title=answer.title,
        commits=_commits(api, ref),
        url=answer.web_url,
    )


def open_pull_requests(api: Api, repository: SourceRepository) -> Sequence[OpenPullRequest]:
    """Newest first; without those that GitLab has not prepared yet."""
    return [shown for answer in open_answers(api, repository) if (shown := as_open(repository, answer)) is not None]


def open_answers(api: Api, repository: SourceRepository) -> list[MergeRequestAnswer]:
    """The open ones as GitLab describes them in a list."""
    return api.pages(
        repository,
        lambda project: project.mergerequests.list(iterator=True, state="opened", order_by="created_at", sort="desc"),
        MergeRequestAnswer,
        what="open merge requests",
    )


def as_open(repository: SourceRepository, answer: MergeRequestAnswer) -> OpenPullRequest | None:
    """An entry of a list in the domain's words; None when it has no head."""
    if answer.head is None:
        return None
    return OpenPullRequest(
        PullRequestRef(repository, answer.iid), answer.head, answer.target_branch, answer.draft or answer.work_in_progress
    )


def _bases(api: Api, ref: PullRequestRef, answer: MergeRequestAnswer, head: CommitId) -> tuple[CommitId, CommitId]:
    """Tip of the target branch and merge base, as they are now.

    `diff_refs` are of the last push to the merge request: they still hold while head and target stand where they stood. A target that was
    deleted has no tip but that one; histories without a common commit have no merge base, and everything that differs is the change.
    """
    refs = answer.diff_refs or DiffRefs()
    try:
        base = tip(api, ref.repository, answer.target_branch)
    except HostNotFound:
        if refs.start_sha is None:
            raise
        base = CommitId(refs.start_sha)
    if refs.base_sha is not None and refs.start_sha == base and refs.head_sha == head:
        return base, CommitId(refs.base_sha)
    try:
        found = api.get(ref.repository, lambda project: project.repository_merge_base([base, head]), _Commit, what="the merge base")
    except (HostNotFound, HostRejected):
        return base, base
    return base, CommitId(found.id)


def _head_repository(api: Api, ref: PullRequestRef, answer: MergeRequestAnswer) -> str:
    """Path of the source project; `""` when it was deleted, or lies where the token sees nothing."""
    if answer.source_project_id is None:
        return ""
    if str(answer.source_project_id) == ref.repository.external_id:
        return ref.repository.full_name
    number = answer.source_project_id
    try:
        found = api.ask(lambda gl: gl.projects.get(number), ProjectAnswer, what="the source project of a merge request")
    except (HostNotFound, HostForbidden):
        return ""
    return found.path_with_namespace


def _commits(api: Api, ref: PullRequestRef) -> int:
    """How many commits it has. The list is asked for one of them: its headers tell how many there are."""
    found = api.total(
        ref.repository,
        lambda project: project.mergerequests.get(ref.number, lazy=True).commits(per_page=1),
        what=f"commits of merge request {ref.number}",
    )
    return MANY if found is None else found
