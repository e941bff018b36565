"""Projects (REST: "Projects API")."""

from __future__ import annotations

from tests.worlds.gitlab.model import Json, Level, Project
from tests.worlds.gitlab.shapes.accounts import Accounts
from tests.worlds.gitlab.shapes.base import moment
from tests.worlds.gitlab.tokens import Caller


class Projects(Accounts):
    """JSON of projects."""

    def ssh(self, project: Project) -> str:
        """Address for git over SSH."""
        return f"git@{self.host}:{project.full_path}.git"

    def simple_project(self, project: Project) -> Json:
        """The form of `simple=true`, and of everybody who is nobody."""
        web, branch = self.of_project(project), project.default_branch
        readme = f"{web}/-/blob/{branch}/README.md" if branch and project.git.branch(branch) and self._readme(project) else None
        return {
            "id": project.id,
            "description": project.description,
            "name": project.name,
            "name_with_namespace": f"{project.namespace.full_name} / {project.name}",
            "path": project.path,
            "path_with_namespace": project.full_path,
            "created_at": moment(project.created_at),
            "default_branch": branch,
            "tag_list": [],
            "topics": [],
            "ssh_url_to_repo": self.ssh(project),
            "http_url_to_repo": f"{web}.git",
            "web_url": web,
            "readme_url": readme,
            "forks_count": sum(known.parent is project for known in self._state.projects.values()),
            "avatar_url": None,
            "star_count": 0,
            "last_activity_at": moment(project.last_activity_at or project.created_at),
            "visibility": project.visibility,
            "namespace": self.namespace(project.namespace),
        }

    def _readme(self, project: Project) -> bool:
        tip = project.git.branch(project.default_branch or "")
        return tip is not None and project.git.entry(tip, "README.md") is not None

    def project(self, project: Project, caller: Caller) -> Json:
        """As in a list."""
        if caller.user is None:
            return self.simple_project(project)
        web, features = self.of_project(project), {"issues": True, "merge_requests": True, "wiki": True, "jobs": True, "snippets": False}
        return {
            **self.simple_project(project),
            "_links": self._links(project),
            "marked_for_deletion_at": project.deletion_on.isoformat() if project.deletion_on else None,
            "marked_for_deletion_on": project.deletion_on.isoformat() if project.deletion_on else None,
            "packages_enabled": True,
            "empty_repo": not project.git.refs(),
            "archived": project.archived,
            "owner": self.user(project.namespace.owner) if project.namespace.owner else None,
            "resolve_outdated_diff_discussions": project.resolve_outdated_diff_discussions,
            "repository_object_format": "sha1",
            **{f"{name}_enabled": on for name, on in features.items()},
            "creator_id": project.creator.id,
            "import_status": "finished" if project.parent else "none",
            "open_issues_count": 0,
            "ci_config_path": "",
            "public_jobs": True,
            "shared_with_groups": [],
            "only_allow_merge_if_pipeline_succeeds": project.only_merge_if_pipeline_succeeds,
            "allow_merge_on_skipped_pipeline": None,
            "request_access_enabled": True,
            "only_allow_merge_if_all_discussions_are_resolved": project.only_merge_if_discussions_resolved,
            "remove_source_branch_after_merge": True,
            "printing_merge_request_link_enabled": True,
            "merge_method": project.merge_method,
            "squash_option": "default_off",
            "merge_pipelines_enabled": project.merge_pipelines_enabled,
            "merge_trains_enabled": project.merge_trains_enabled,
            "external_authorization_classification_label": "",
            "container_registry_enabled": False,
            "service_desk_enabled": False,
            "repository_access_level": "enabled",
            "merge_requests_access_level": "enabled",
            "build_timeout": 3600,
            "web_ide_url": f"{self.web}/-/ide/project/{project.full_path}",
            **({"forked_from_project": self.simple_project(project.parent)} if project.parent and caller.sees(project.parent) else {}),
            "permissions": self._permissions(project, caller),
            "web_url": web,
        }

    def _links(self, project: Project) -> Json:
        root = f"{self.api}/projects/{project.id}"
        names = {"merge_requests": "merge_requests", "repo_branches": "repository/branches", "labels": "labels", "members": "members"}
        return {"self": root} | {name: f"{root}/{path}" for name, path in names.items()}

    def _permissions(self, project: Project, caller: Caller) -> Json:
        user = caller.user
        given = project.members.get(user.id) if user else None
        above = [group.members[user.id].level for group in project.namespace.line if user and user.id in group.members]
        own = given.level if given else (Level.OWNER if project.namespace.owner is user else Level.NONE)
        return {
            "project_access": {"access_level": int(own), "notification_level": 3} if own > Level.NONE else None,
            "group_access": {"access_level": int(max(above)), "notification_level": 3} if above else None,
        }
