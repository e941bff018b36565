"""What webhooks say of people, groups, projects and deployments (GitLab docs, "Webhook events", "System hooks")."""

from __future__ import annotations

from datetime import datetime

from tests.worlds.gitlab.model import Json, Member, Namespace, Project, User
from tests.worlds.gitlab.payload_parts import Parts, moment


class PlacePayloads(Parts):
    """Called with `State.lock` held."""

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
            "user_url": f"{self.base}/{actor.username}",
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
        return _group(group, name, now) | {
            "parent_group_id": parent.id,
            "parent_name": parent.name,
            "parent_path": parent.path,
            "parent_full_path": parent.full_path,
        }

    def group(self, group: Namespace, name: str, old_path: str, now: datetime) -> Json:
        """`group_*`, for system hooks."""
        whole = _group(group, name, now) | {"owner_email": None, "owner_name": None}
        return whole | ({"old_path": old_path.rpartition("/")[2], "old_full_path": old_path} if old_path else {})


def _group(group: Namespace, name: str, now: datetime) -> Json:
    """What every event about a group says."""
    return {
        "created_at": moment(group.created_at),
        "updated_at": moment(now),
        "event_name": name,
        "name": group.name,
        "path": group.path,
        "full_path": group.full_path,
        "group_id": group.id,
    }
