"""What webhooks say of code and of the talk about it (GitLab docs, "Webhook events")."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from tests.worlds.bare import NO_COMMIT
from tests.worlds.gitlab.model import Json, MergeRequest, Note, Position, Project, User
from tests.worlds.gitlab.payload_parts import spaced
from tests.worlds.gitlab.place_payloads import PlacePayloads

_STATES = {"opened": 1, "closed": 2, "merged": 3, "locked": 4}
_LISTED = 20
"""Commits that a push lists: the newest ones ("Push events")."""
_NOTHING = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""git's empty tree, from which a first commit differs."""


class Payloads(PlacePayloads):
    """All payloads. Called with `State.lock` held."""

    # --- code ---

    def _pushed(self, project: Project, sha: str) -> Json:
        known = project.git.commit(sha)
        changed = project.git.diff(known.parents[0] if known.parents else _NOTHING, sha)
        return self.commit(project, sha) | {
            "added": [file.path for file in changed if file.status == "added"],
            "modified": [file.path for file in changed if file.status not in ("added", "removed")],
            "removed": [file.path for file in changed if file.status == "removed"],
        }

    def push(self, project: Project, actor: User, ref: str, old: str, new: str, commits: Sequence[str]) -> Json:
        """`push` and `tag_push`; `commits`: all that it brought, oldest first."""
        tag = ref.startswith("refs/tags/")
        kind, urls = ("tag_push" if tag else "push"), self.project(project)
        more = {key: urls[key] for key in ("git_http_url", "git_ssh_url", "visibility_level")}
        return {
            "object_kind": kind,
            "event_name": kind,
            "before": old,
            "after": new,
            "ref": ref,
            "ref_protected": ref.removeprefix("refs/heads/") in project.protected,
            "checkout_sha": None if new == NO_COMMIT else (project.git.resolve(new) or new) if tag else new,
            "message": None,
            "user_id": actor.id,
            "user_name": actor.name,
            "user_username": actor.username,
            "user_email": "",
            "user_avatar": self.avatar(actor),
            "project_id": project.id,
            "project": urls,
            "commits": [self._pushed(project, sha) for sha in commits[-_LISTED:]],
            "total_commits_count": len(commits),
            "push_options": {},
            "repository": self.repository(project) | more,
        }

    def merge_request(self, merge_request: MergeRequest, actor: User, action: str, oldrev: str, changes: Mapping[str, Json]) -> Json:
        """`merge_request`."""
        project = merge_request.project
        about = self.attributes(merge_request) | {"action": action} | ({"oldrev": oldrev} if oldrev else {})
        people = {"assignees": merge_request.assignees, "reviewers": merge_request.reviewers}
        return {
            "object_kind": "merge_request",
            "event_type": "merge_request",
            "user": self.user(actor),
            "project": self.project(project),
            "object_attributes": about,
            "labels": self.labels(merge_request.labels, project),
            "changes": dict(changes),
            "repository": self.repository(project),
        } | {key: [self.user(user) for user in users] for key, users in people.items() if users}

    def labels(self, names: Sequence[str], project: Project) -> list[Json]:
        """Labels as payloads have them."""
        return [
            {
                "id": int(hashlib.sha256(name.encode()).hexdigest()[:6], 16),
                "title": name,
                "color": "#6699cc",
                "project_id": project.id,
                "created_at": spaced(project.created_at),
                "updated_at": spaced(project.created_at),
                "template": False,
                "description": None,
                "type": "ProjectLabel",
                "group_id": None,
            }
            for name in names
        ]

    def attributes(self, merge_request: MergeRequest) -> Json:
        """`object_attributes` of a merge request, which is `merge_request` in a note about it."""
        target, source = merge_request.project, merge_request.source
        threads = [discussion for discussion in merge_request.discussions if discussion.resolvable]
        return {
            "assignee_id": merge_request.assignees[0].id if merge_request.assignees else None,
            "assignee_ids": [user.id for user in merge_request.assignees],
            "author_id": merge_request.author.id,
            "blocking_discussions_resolved": all(discussion.resolved for discussion in threads),
            "created_at": spaced(merge_request.created_at),
            "description": merge_request.description,
            "detailed_merge_status": "mergeable" if merge_request.state == "opened" else "not_open",
            "draft": merge_request.draft,
            "first_contribution": False,
            "head_pipeline_id": None,
            "human_time_change": None,
            "human_time_estimate": None,
            "human_total_time_spent": None,
            "id": merge_request.id,
            "iid": merge_request.iid,
            "labels": self.labels(merge_request.labels, target),
            "last_commit": self.commit(target, merge_request.head),
            "last_edited_at": None,
            "last_edited_by_id": None,
            "merge_commit_sha": merge_request.merge_commit,
            "merge_error": None,
            "merge_params": {"force_remove_source_branch": "1" if merge_request.remove_source_branch else "0"},
            "merge_status": "can_be_merged" if merge_request.state == "opened" else "unchecked",
            "merge_user_id": merge_request.merge_user.id if merge_request.merge_user else None,
            "merge_when_pipeline_succeeds": False,
            "milestone_id": None,
            "prepared_at": spaced(merge_request.created_at) if merge_request.prepared else None,
            "reviewer_ids": [user.id for user in merge_request.reviewers],
            "source": self.project(source) if source else None,
            "source_branch": merge_request.source_branch,
            "source_project_id": merge_request.source_id,
            "state": merge_request.state,
            "state_id": _STATES[merge_request.state],
            "target": self.project(target),
            "target_branch": merge_request.target_branch,
            "target_project_id": target.id,
            "time_change": 0,
            "time_estimate": 0,
            "title": merge_request.title,
            "total_time_spent": 0,
            "updated_at": spaced(merge_request.updated_at),
            "updated_by_id": None,
            "url": self.merge_request_url(merge_request),
            "work_in_progress": merge_request.draft,
        }

    def merge_request_url(self, merge_request: MergeRequest) -> str:
        """Address of its page."""
        return f"{self.web(merge_request.project)}/-/merge_requests/{merge_request.iid}"

    # --- talk ---

    def note(self, note: Note, actor: User, action: str) -> Json:
        """`note` on a merge request."""
        merge_request, first = note.merge_request, note.position
        about = {
            "attachment": None,
            "author_id": note.author.id,
            "change_position": _position(note.change_position),
            "commit_id": None,
            "created_at": spaced(note.created_at),
            "discussion_id": note.discussion.id,
            "id": note.id,
            "internal": note.internal,
            "line_code": note.line_code,
            "note": note.body,
            "noteable_id": merge_request.id,
            "noteable_type": "MergeRequest",
            "original_position": _position(note.original_position),
            "position": _position(first),
            "project_id": merge_request.project.id,
            "resolved_at": spaced(note.resolved_at),
            "resolved_by_id": note.resolved_by.id if note.resolved_by else None,
            "resolved_by_push": None,
            "st_diff": None,
            "system": note.system,
            "type": note.type,
            "updated_at": spaced(note.updated_at),
            "updated_by_id": note.edited_by.id if note.edited_by else None,
            "description": note.body,
            "url": f"{self.merge_request_url(merge_request)}#note_{note.id}",
            "action": action,
        }
        return self._note(merge_request.project, actor, about, internal=note.internal) | {"merge_request": self.attributes(merge_request)}

    def _note(self, project: Project, actor: User, about: Json, *, internal: bool) -> Json:
        return {
            "object_kind": "note",
            "event_type": "confidential_note" if internal else "note",
            "user": self.user(actor),
            "project_id": project.id,
            "project": self.project(project),
            "object_attributes": about,
            "repository": self.repository(project),
        }

    def note_elsewhere(self, project: Project, author: User, kind: str, body: str, identity: int, now: datetime) -> Json:
        """`note` on a `Commit`, an `Issue` or a `Snippet`."""
        head = project.git.branch(project.default_branch) if project.default_branch else None
        place = {"Commit": f"commit/{head}", "Issue": "issues/17", "Snippet": "snippets/53"}[kind]
        about = {
            "id": identity,
            "note": body,
            "noteable_type": kind,
            "author_id": author.id,
            "created_at": spaced(now),
            "updated_at": spaced(now),
            "project_id": project.id,
            "attachment": None,
            "line_code": None,
            "commit_id": (head or "") if kind == "Commit" else None,
            "noteable_id": None if kind == "Commit" else 53,
            "system": False,
            "internal": False,
            "st_diff": None,
            "action": "create",
            "url": f"{self.web(project)}/-/{place}#note_{identity}",
        }
        thing: Json = {"id": 53, "title": "a thing", "author_id": author.id, "project_id": project.id}
        if kind == "Commit" and head:
            thing = self.commit(project, head)
        elif kind == "Issue":
            thing |= {"iid": 17, "state": "opened", "description": "as told", "labels": []}
        return self._note(project, author, about, internal=False) | {kind.lower(): thing}


def _position(position: Position | None) -> Json | None:
    """A place in a diff."""
    if position is None:
        return None
    ends = position.range
    line_range = {
        word: {"line_code": end.line_code, "type": end.type, "old_line": end.old_line, "new_line": end.new_line}
        for word, end in zip(("start", "end"), ends or (), strict=False)
    }
    return {
        "base_sha": position.refs.base,
        "start_sha": position.refs.start,
        "head_sha": position.refs.head,
        "old_path": position.old_path,
        "new_path": position.new_path,
        "position_type": position.type,
        "old_line": position.old_line,
        "new_line": position.new_line,
        "line_range": line_range or None,
        "ignore_whitespace_change": False,
    }
