"""The diff of a merge request at one of its heads, as GitLab keeps it.

Source: docs REST "Merge requests" ("List versions", "Retrieve a version": each push makes one, which keeps the three commits and its diff;
`real_size` ends in `+` when files were left out; a file that is too large or collapsed comes with an empty `diff`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.errors import HostUnavailable
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequestRef
from providers.gitlab.api import Api
from providers.gitlab.client import Answer
from providers.gitlab.positions import Diff, FileDiff, Refs
from providers.gitlab.pulls import read

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

VERSIONS = 200
"""Newest versions among which a head is looked for."""


class _Version(Answer):
    id: int
    head_commit_sha: str | None = ""
    base_commit_sha: str | None = ""
    start_commit_sha: str | None = ""


class _File(Answer):
    old_path: str | None = ""
    new_path: str | None = ""
    diff: str | None = ""


class _Whole(_Version):
    real_size: str | int | None = ""
    diffs: list[_File] = Field(default_factory=list)


def diff_at(api: Api, ref: PullRequestRef, head: CommitId) -> Diff | None:
    """The newest diff whose head is that commit; None when the merge request has moved on and GitLab knows of none.

    Raises:
        HostUnavailable: it is the newest commit, and GitLab has not made its diff yet.
    """

    def of(project: Project) -> ProjectMergeRequest:
        return project.mergerequests.get(ref.number, lazy=True)

    what = f"the versions of merge request {ref.number}"
    listed = api.pages(ref.repository, lambda p: of(p).diffs.list(iterator=True), _Version, what=what, most=VERSIONS)
    newest = max((version for version in listed if version.head_commit_sha == head), key=lambda version: version.id, default=None)
    if newest is None:
        if read(api, ref).head == head:
            raise HostUnavailable(f"GitLab has not made the diff of {head[:12]} in merge request {ref.number} yet")
        return None
    whole = api.get(ref.repository, lambda p: of(p).diffs.get(newest.id), _Whole, what=f"version {newest.id} of merge request {ref.number}")
    files = tuple(FileDiff(file.old_path or "", file.new_path or "", file.diff or "") for file in whole.diffs)
    refs = Refs(newest.base_commit_sha or "", newest.start_commit_sha or "", head)
    return Diff(refs, files, whole=not str(whole.real_size or "").endswith("+"))
