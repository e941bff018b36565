"""Merge requests and their versions (REST: "Merge requests API")."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.worlds.bare import FileDiff
from tests.worlds.gitlab.model import Json, Level, MergeRequest, Refs, Version
from tests.worlds.gitlab.shapes.base import moment, perhaps
from tests.worlds.gitlab.shapes.code import Code
from tests.worlds.gitlab.tokens import Caller
from tests.worlds.gitlab.versions import conflicts

MOST_FILES, MOST_LINES = 1_000, 50_000
"""What GitLab keeps of a diff (docs, "Diff limits")."""


class MergeRequests(Code):
    """JSON of merge requests."""

    head_pipeline: Callable[[MergeRequest], Json | None] = staticmethod(lambda _: None)
    """The newest pipeline of its head, as the pipelines of the double show it."""
    blocked: Callable[[MergeRequest], str | None] = staticmethod(lambda _: None)
    """What else forbids a merge: `ci_must_pass`, `status_checks_must_pass`."""

    def of_merge_request(self, request: MergeRequest) -> str:
        """Its page."""
        return f"{self.of_project(request.project)}/-/merge_requests/{request.iid}"

    def merge_status(self, request: MergeRequest) -> tuple[str, str]:
        """(`merge_status`, `detailed_merge_status`)."""
        if request.state != "opened":
            return "can_be_merged" if request.state == "merged" else "unchecked", "not_open"
        if not request.prepared:
            return "preparing", "preparing"
        if request.source is None or request.source.git.branch(request.source_branch) is None:
            return "cannot_be_merged", "broken_status"
        if request.project.git.branch(request.target_branch) is None:
            return "cannot_be_merged", "broken_status"
        if conflicts(request):
            return "cannot_be_merged", "conflict"
        if request.draft:
            return "can_be_merged", "draft_status"
        tip = request.project.git.branch(request.target_branch)
        if request.project.merge_method != "merge" and tip and not request.project.git.is_ancestor(tip, request.head):
            return "can_be_merged", "need_rebase"
        return "can_be_merged", self.blocked(request) or "mergeable"

    def merge_request(self, request: MergeRequest) -> Json:
        """As in a list."""
        status, detailed = self.merge_status(request)
        path, short = request.project.full_path, f"!{request.iid}"
        visible = [note for note in request.notes if not note.system]
        tasks = re.findall(r"^\s*[-*] \[([ x])\]", request.description or "", re.M)
        merger = self.user(request.merge_user) if request.merge_user else None
        spent = {"time_estimate": 0, "total_time_spent": 0, "human_time_estimate": None, "human_total_time_spent": None}
        return {
            "id": request.id,
            "iid": request.iid,
            "project_id": request.project.id,
            "title": request.title,
            "description": request.description,
            "state": request.state,
            "created_at": moment(request.created_at),
            "updated_at": moment(request.updated_at),
            "merged_by": merger,
            "merge_user": merger,
            "merged_at": perhaps(request.merged_at),
            "closed_by": self.user(request.closed_by) if request.closed_by else None,
            "closed_at": perhaps(request.closed_at),
            "target_branch": request.target_branch,
            "source_branch": request.source_branch,
            "user_notes_count": len(visible),
            "upvotes": sum(award.name == "thumbsup" for award in request.awards),
            "downvotes": sum(award.name == "thumbsdown" for award in request.awards),
            "author": self.user(request.author),
            "assignees": [self.user(user) for user in request.assignees],
            "assignee": self.user(request.assignees[0]) if request.assignees else None,
            "reviewers": [self.user(user) for user in request.reviewers],
            "source_project_id": request.source_id,
            "target_project_id": request.project.id,
            "labels": list(request.labels),
            "draft": request.draft,
            "imported": False,
            "imported_from": "none",
            "work_in_progress": request.draft,
            "milestone": None,
            "merge_when_pipeline_succeeds": False,
            "merge_status": status,
            "detailed_merge_status": detailed,
            "merge_after": None,
            "sha": request.head,
            "merge_commit_sha": request.merge_commit,
            "squash_commit_sha": request.squash_commit,
            "discussion_locked": None,
            "should_remove_source_branch": None,
            "force_remove_source_branch": request.remove_source_branch,
            "prepared_at": moment(request.created_at) if request.prepared else None,
            **({"allow_collaboration": request.allow_collaboration} if request.source is not request.project else {}),
            **({"allow_maintainer_to_push": request.allow_collaboration} if request.source is not request.project else {}),
            "reference": short,
            "references": {"short": short, "relative": short, "full": f"{path}{short}"},
            "web_url": self.of_merge_request(request),
            "time_stats": spent,
            "squash": request.squash,
            "squash_on_merge": request.squash,
            "task_completion_status": {"count": len(tasks), "completed_count": tasks.count("x")},
            "has_conflicts": status == "cannot_be_merged" and detailed == "conflict",
            "blocking_discussions_resolved": all(known.resolved for known in request.discussions if known.resolvable),
            "approvals_before_merge": None,
        }

    def one_merge_request(self, request: MergeRequest, caller: Caller) -> Json:
        """By itself. While GitLab still prepares it there is no diff to speak of."""
        ready = request.prepared
        return {
            **self.merge_request(request),
            "subscribed": request.author is caller.user,
            "changes_count": self._size(request, request.version) if ready else None,
            "latest_build_started_at": None,
            "latest_build_finished_at": None,
            "first_deployed_to_production_at": None,
            "pipeline": self.head_pipeline(request),
            "head_pipeline": self.head_pipeline(request),
            "diff_refs": self.refs(request.version.refs) if ready else None,
            "merge_error": None,
            "first_contribution": False,
            "user": {"can_merge": caller.level(request.project) >= self._to_merge(request)},
        }

    def _to_merge(self, request: MergeRequest) -> Level:
        return request.project.protected.get(request.target_branch, (Level.DEVELOPER, Level.DEVELOPER))[1]

    def refs(self, refs: Refs) -> Json:
        """`diff_refs`."""
        return {"base_sha": refs.base, "head_sha": refs.head, "start_sha": refs.start}

    def files(self, request: MergeRequest, version: Version, *, collapsing: bool = False) -> list[Json]:
        """The diff of a version. `collapsing`: larger files are left out, as the merge request's own lists do it."""
        return [self.diff(file, collapsing=collapsing) for file in self._kept(request, version)[0]]

    def _kept(self, request: MergeRequest, version: Version) -> tuple[list[FileDiff], bool]:
        """The files that GitLab keeps of a version, and whether there are more."""
        kept: list[FileDiff] = []
        lines = 0
        for file in request.project.git.diff(version.refs.base, version.refs.head):
            if len(kept) >= MOST_FILES or lines >= MOST_LINES:
                return kept, True
            kept.append(file)
            lines += (file.patch or "").count("\n") + 1
        return kept, False

    def _size(self, request: MergeRequest, version: Version) -> str:
        """How many files, `1000+` where not all are kept."""
        kept, more = self._kept(request, version)
        return f"{len(kept)}{'+' if more else ''}"

    def version(self, request: MergeRequest, version: Version) -> Json:
        """A version in the list."""
        size = self._size(request, version)
        return {
            "id": version.id,
            "head_commit_sha": version.refs.head,
            "base_commit_sha": version.refs.base,
            "start_commit_sha": version.refs.start,
            "created_at": moment(version.created_at),
            "merge_request_id": request.id,
            "state": "overflow" if size.endswith("+") else "empty" if size == "0" else "collected",
            "real_size": size,
            "patch_id_sha": version.refs.head[::-1],
        }

    def one_version(self, request: MergeRequest, version: Version) -> Json:
        """A version with its commits and diff."""
        project = request.project
        commits = project.git.commits(version.refs.base, version.refs.head)[::-1]
        return {
            **self.version(request, version),
            "commits": [self.commit(project, sha) for sha in commits],
            "diffs": self.files(request, version),
        }
