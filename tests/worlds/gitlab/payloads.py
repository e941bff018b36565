"""What each webhook payload contains.

Moments are of three kinds here, as GitLab writes them: ISO 8601 in most places, `2026-01-31 12:00:00 UTC` in the attributes of merge
requests and notes, and the author's own offset in commits. Source: GitLab docs, "Webhook events".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from tests.worlds.bare import NO_COMMIT
from tests.worlds.gitlab.model import Json, Member, MergeRequest, Namespace, Note, Position, Project, User

LEVELS = {"private": 0, "internal": 10, "public": 20}
_STATES = {"opened": 1, "closed": 2, "merged": 3, "locked": 4}
_LISTED = 20
"""Commits that a push lists: the newest ones ("Push events")."""
_NOTHING = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""git's empty tree, from which a first commit differs."""


def moment(at: datetime) -> str:
    """ISO 8601, in seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def spaced(at: datetime | None) -> str | None:
    """`2026-01-31 12:00:00 UTC`."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else None


class Places(Protocol):
    """Where the double is."""

    web: str
    """Its base address."""


class Payloads:
    """Builds payloads. Called with `State.lock` held."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def _base(self) -> str:
        return self._places.web

    # --- parts ---

    def user(self, user: User) -> Json:
        """`user`: an address that is not public is not shown."""
        return {
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "avatar_url": self._avatar(user),
            "email": "[REDACTED]",
        }

    def _avatar(self, user: User) -> str:
        return f"https://www.gravatar.com/avatar/{hashlib.sha256(user.email.encode()).hexdigest()}?s=80&d=identicon"

    def web(self, project: Project) -> str:
        """Address of a project."""
        return f"{self._base}/{project.full_path}"

    def project(self, project: Project) -> Json:
        """`project`, with the deprecated names that GitLab still sends."""
        web, ssh = self.web(project), self._ssh(project)
        return {
            "id": project.id,
            "name": project.name,
            "description": project.description,
            "web_url": web,
            "avatar_url": None,
            "git_ssh_url": ssh,
            "git_http_url": f"{web}.git",
            "namespace": project.namespace.name,
            "visibility_level": LEVELS[project.visibility],
            "path_with_namespace": project.full_path,
            "default_branch": project.default_branch,
            "ci_config_path": "",
            "homepage": web,
            "url": ssh,
            "ssh_url": ssh,
            "http_url": f"{web}.git",
        }

    def _ssh(self, project: Project) -> str:
        host = self._base.partition("//")[2].partition("/")[0].partition(":")[0]
        return f"git@{host}:{project.full_path}.git"

    def repository(self, project: Project) -> Json:
        """`repository`, the deprecated short form."""
        return {"name": project.name, "url": self._ssh(project), "description": project.description, "homepage": self.web(project)}

    def commit(self, project: Project, sha: str) -> Json:
        """A commit without its files."""
        known = project.git.commit(sha)
        return {
            "id": sha,
            "message": known.message,
            "title": known.message.partition("\n")[0],
            "timestamp": datetime.fromtimestamp(known.author.at).astimezone().isoformat(),
            "url": f"{self.web(project)}/-/commit/{sha}",
            "author": {"name": known.author.name, "email": known.author.email},
        }

    def _pushed(self, project: Project, sha: str) -> Json:
        known = project.git.commit(sha)
        changed = project.git.diff(known.parents[0] if known.parents else _NOTHING, sha)
        return self.commit(project, sha) | {
            "added": [file.path for file in changed if file.status == "added"],
            "modified": [file.path for file in changed if file.status not in ("added", "removed")],
            "removed": [file.path for file in changed if file.status == "removed"],
        }

    # --- code ---

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
            "user_avatar": self._avatar(actor),
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

    # --- places and people ---

    def deployment(
        self, project: Project, actor: User, ref: str, sha: str, environment: str, status: str, identity: int, now: datetime
    ) -> Json:
        """`deployment`."""
        web = self.web(project)
        return {
            "object_kind": "deployment",
            "status": status,
            "status_changed_at": now.strftime("%Y-%m-%d %H:%M:%S +0000"),
            "deployment_id": identity - 1,
            "deployable_id": identity,
            "deployable_url": f"{web}/-/jobs/{identity}",
            "environment": environment,
            "environment_tier": "production" if environment.startswith("prod") else "staging",
            "environment_slug": environment,
            "environment_external_url": f"https://{environment}.example.org",
            "project": self.project(project),
            "short_sha": sha[:8],
            "ref": ref,
            "user": self.user(actor),
            "user_url": f"{self._base}/{actor.username}",
            "commit_url": f"{web}/-/commit/{sha}",
            "commit_title": self.commit(project, sha)["title"],
        }

    def member_of_group(self, group: Namespace, member: Member, name: str, now: datetime) -> Json:
        """`user_*_group`."""
        return {
            "created_at": moment(member.created_at),
            "updated_at": moment(now),
            "group_name": group.name,
            "group_path": group.path,
            "group_id": group.id,
            "user_username": member.user.username,
            "user_name": member.user.name,
            "user_email": "[REDACTED]",
            "user_id": member.user.id,
            "group_access": member.level.name.title(),
            "group_plan": None,
            "expires_at": f"{member.expires_at}T00:00:00Z" if member.expires_at else None,
            "event_name": name,
        }

    def member_of_project(self, project: Project, member: Member, name: str, now: datetime) -> Json:
        """`user_*_team`."""
        return {
            "event_name": name,
            "created_at": moment(member.created_at),
            "updated_at": moment(now),
            "access_level": member.level.name.title(),
            "project_id": project.id,
            "project_name": project.name,
            "project_path": project.path,
            "project_path_with_namespace": project.full_path,
            "user_email": "[REDACTED]",
            "user_name": member.user.name,
            "user_username": member.user.username,
            "user_id": member.user.id,
            "project_visibility": project.visibility,
        }

    def project_event(self, project: Project, name: str, old_path: str, now: datetime) -> Json:
        """`project_*`."""
        owner = project.namespace.owner or project.creator
        return {
            "event_name": name,
            "created_at": moment(project.created_at),
            "updated_at": moment(now),
            "name": project.name,
            "path": project.path,
            "path_with_namespace": project.full_path,
            "project_id": project.id,
            "project_namespace_id": project.namespace.id,
            "owners": [{"name": owner.name, "email": "[REDACTED]"}],
            "project_visibility": project.visibility,
        } | ({"old_path_with_namespace": old_path} if old_path else {})

    def subgroup(self, group: Namespace, name: str, now: datetime) -> Json:
        """`subgroup_*`."""
        parent = group.parent or group
        return {
            "created_at": moment(group.created_at),
            "updated_at": moment(now),
            "event_name": name,
            "name": group.name,
            "path": group.path,
            "full_path": group.full_path,
            "group_id": group.id,
            "parent_group_id": parent.id,
            "parent_name": parent.name,
            "parent_path": parent.path,
            "parent_full_path": parent.full_path,
        }

    def group(self, group: Namespace, name: str, old_path: str, now: datetime) -> Json:
        """`group_*`, for system hooks."""
        whole = {
            "created_at": moment(group.created_at),
            "updated_at": moment(now),
            "event_name": name,
            "name": group.name,
            "path": group.path,
            "full_path": group.full_path,
            "group_id": group.id,
            "owner_email": None,
            "owner_name": None,
        }
        return whole | ({"old_path": old_path.rpartition("/")[2], "old_full_path": old_path} if old_path else {})


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
