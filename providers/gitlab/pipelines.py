"""Which pipelines decide about a commit: where a status has to stand for people, and for the rule "Pipelines must succeed", to see it.

Sources: docs "Merge request pipelines" (`refs/merge-requests/N/head`; of a fork they run in the fork's project, unless a member of the
parent project starts them), "Merged results pipelines" (`refs/merge-requests/N/merge`, on a commit that GitLab makes of both branches),
"Merge trains" (`refs/merge-requests/N/train`); REST "Commits" ("List all merge requests associated with a commit"), "Merge requests"
("List pipelines", newest first), "Pipelines".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.model.target import CommitRef, PullRequestRef, SourceRepository
from providers.gitlab.api import Api
from providers.gitlab.client import Answer
from providers.gitlab.projects import tip

MERGE_REQUESTS = 10
"""Open merge requests of one head that are looked at."""
PIPELINES = 20
"""Newest pipelines of each that are looked at."""
BRANCHES = 5
"""Branches with a commit that are looked at."""
REFS = "refs/merge-requests/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a status of a commit is to stand."""

    project: SourceRepository
    """Whose pipeline it is."""
    sha: str
    pipeline: int | None = None
    """None while there is none: GitLab makes one for the status."""
    ref: str = ""
    """Branch that a new pipeline would be of; empty: whichever GitLab finds first that holds the commit."""
    instead: Place | None = None
    """Where it stands when we may not write here."""
    pull_request: PullRequestRef | None = None
    """The merge request that looks there."""


class PipelineAnswer(Answer):
    """One pipeline, as lists show it."""

    id: int
    sha: str = ""
    ref: str | None = ""
    project_id: int | None = None

    def is_of(self, number: int, kind: str) -> bool:
        """True when it was made for that merge request: `head`, `merge`."""
        return self.ref == f"{REFS}{number}/{kind}"


class _MergeRequest(Answer):
    iid: int
    sha: str | None = ""
    source_branch: str = ""
    source_project_id: int | None = None
    project_id: int | None = None


class _Ref(Answer):
    name: str


class _Commit(Answer):
    parent_ids: list[str] = Field(default_factory=list)


def places(api: Api, commit: CommitRef) -> Sequence[Place]:
    """Every place that counts for a commit, at least one: that of each open merge request whose head it is, else its newest pipeline."""
    found: dict[tuple[str, str, int | None, str], Place] = {}
    for merge_request in _with_head(api, commit):
        place = _place_of(api, commit, merge_request)
        found.setdefault((place.project.external_id, place.sha, place.pipeline, place.ref), place)
    return tuple(found.values()) or (_place_of_commit(api, commit),)


def _with_head(api: Api, commit: CommitRef) -> Sequence[_MergeRequest]:
    """The open merge requests whose newest commit it is; GitLab lists those, too, that only contain it."""
    try:
        listed = api.pages(
            commit.repository,
            lambda p: p.commits.get(commit.commit, lazy=True).merge_requests(state="opened", iterator=True),
            _MergeRequest,
            what=f"the merge requests with {commit.commit[:12]}",
            most=100,
        )
    except (HostForbidden, HostNotFound):  # merge requests are switched off, or the commit is gone, which the status will tell
        return ()
    ours = [found for found in listed if found.sha == commit.commit and found.project_id in (None, int(commit.repository.external_id))]
    return sorted(ours, key=lambda merge_request: merge_request.iid)[:MERGE_REQUESTS]


def _place_of(api: Api, commit: CommitRef, merge_request: _MergeRequest) -> Place:
    """The newest pipeline of a merge request that is about the commit: its own first, then one of the branch, then one yet to be made."""
    target = commit.repository
    ref = PullRequestRef(target, merge_request.iid)
    listed = api.pages(
        target,
        lambda p: p.mergerequests.get(merge_request.iid, lazy=True).pipelines.list(iterator=True),
        PipelineAnswer,
        what=f"the pipelines of merge request {merge_request.iid}",
        most=PIPELINES,
    )
    newest = sorted(listed, key=lambda pipeline: pipeline.id, reverse=True)
    aside = Place(target, commit.commit, ref=f"{REFS}{merge_request.iid}/head", pull_request=ref)
    source = project_of(target, merge_request.source_project_id)
    for pipeline in newest:
        if _is_about(api, commit, merge_request, pipeline):
            owner = project_of(target, pipeline.project_id)
            foreign = aside if owner.external_id != target.external_id else None
            return Place(owner, pipeline.sha, pipeline.id, instead=foreign, pull_request=ref)
    for pipeline in newest:
        if pipeline.sha == commit.commit:
            owner = project_of(target, pipeline.project_id or merge_request.source_project_id)
            foreign = aside if owner.external_id != target.external_id else None
            return Place(owner, pipeline.sha, pipeline.id, pipeline.ref or "", instead=foreign, pull_request=ref)
    if merge_request.source_project_id is None:  # the fork was deleted
        return aside
    foreign = aside if source.external_id != target.external_id else None
    return Place(source, commit.commit, ref=merge_request.source_branch, instead=foreign, pull_request=ref)


def _is_about(api: Api, commit: CommitRef, merge_request: _MergeRequest, pipeline: PipelineAnswer) -> bool:
    """True for a pipeline of the merge request itself on that head: on it, or on what it would be once merged."""
    if pipeline.is_of(merge_request.iid, "head"):
        return pipeline.sha == commit.commit
    return pipeline.is_of(merge_request.iid, "merge") and commit.commit in _parents(api, commit, pipeline)


def _parents(api: Api, commit: CommitRef, pipeline: PipelineAnswer) -> Sequence[str]:
    """Of the commit that GitLab made of both branches."""
    try:
        return api.get(
            project_of(commit.repository, pipeline.project_id),
            lambda p: p.commits.get(pipeline.sha),
            _Commit,
            what=f"commit {pipeline.sha[:12]}",
        ).parent_ids
    except (HostForbidden, HostNotFound):
        return ()


def _place_of_commit(api: Api, commit: CommitRef) -> Place:
    """The newest pipeline of a branch on the commit; a merge train's commit has the train's alone."""
    try:
        listed = api.pages(
            commit.repository,
            lambda p: p.pipelines.list(iterator=True, sha=commit.commit, order_by="id", sort="desc"),
            PipelineAnswer,
            what=f"the pipelines of {commit.commit[:12]}",
            most=PIPELINES,
        )
    except (HostForbidden, HostNotFound):  # pipelines are switched off, or not ours to see
        return Place(commit.repository, commit.commit)
    newest = sorted((p for p in listed if p.sha == commit.commit), key=lambda p: p.id, reverse=True)
    # What was merged without a commit of its own has pipelines of its merge request, too: these are of the past.
    chosen = next((p for p in newest if not (p.ref or "").startswith(REFS)), next(iter(newest), None))
    if chosen is None:
        return Place(commit.repository, commit.commit, ref=_branch_at(api, commit))
    return Place(commit.repository, chosen.sha, chosen.id, chosen.ref or "")


def _branch_at(api: Api, commit: CommitRef) -> str:
    """A branch whose tip it is, the default one first; empty when there is none. Left to itself, GitLab would take the first by name of
    all branches that hold the commit."""
    repository = commit.repository
    candidates = [repository.default_branch] if repository.default_branch else []
    if candidates and _is_tip(api, commit, candidates[0]):
        return candidates[0]
    try:
        listed = api.pages(
            repository,
            lambda p: p.commits.get(commit.commit, lazy=True).refs("branch", iterator=True),
            _Ref,
            what=f"the branches with {commit.commit[:12]}",
            most=BRANCHES,
        )
    except (HostForbidden, HostNotFound):
        return ""
    return next((ref.name for ref in listed if ref.name not in candidates and _is_tip(api, commit, ref.name)), "")


def _is_tip(api: Api, commit: CommitRef, branch: str) -> bool:
    try:
        return tip(api, commit.repository, branch) == commit.commit
    except HostNotFound:
        return False


def project_of(target: SourceRepository, number: int | None) -> SourceRepository:
    """The project of that number; of another one than the merge request's we know no more than that."""
    if number is None or str(number) == target.external_id:
        return target
    return replace(target, external_id=str(number), full_name=f"project {number}", default_branch="", clone_url="", private=True)
