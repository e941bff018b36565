"""What is the same in all webhook payloads.

Moments are of three kinds there, as GitLab writes them: ISO 8601 in most places, `2026-01-31 12:00:00 UTC` in the attributes of merge
requests and notes, and the author's own offset in commits. Source: GitLab docs, "Webhook events".
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Protocol

from tests.worlds.gitlab.model import Json, Project, User

LEVELS = {"private": 0, "internal": 10, "public": 20}


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


class Parts:
    """Builds them. Called with `State.lock` held."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def base(self) -> str:
        """Address of the instance."""
        return self._places.web

    # --- parts ---

    def user(self, user: User) -> Json:
        """`user`: an address that is not public is not shown."""
        return {
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "avatar_url": self.avatar(user),
            "email": "[REDACTED]",
        }

    def avatar(self, user: User) -> str:
        """A picture."""
        return f"https://www.gravatar.com/avatar/{hashlib.sha256(user.email.encode()).hexdigest()}?s=80&d=identicon"

    def web(self, project: Project) -> str:
        """Address of a project."""
        return f"{self.base}/{project.full_path}"

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
        host = self.base.partition("//")[2].partition("/")[0].partition(":")[0]
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
