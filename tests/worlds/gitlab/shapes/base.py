"""What all shapes share: where things are, and how a moment looks."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.worlds.gitlab.model import Namespace, Project, User
from tests.worlds.gitlab.state import State


def moment(at: datetime) -> str:
    """A moment as GitLab writes it in its API."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def perhaps(at: datetime | None) -> str | None:
    """The same for one that may not have come."""
    return moment(at) if at is not None else None


def of_git(seconds: int) -> str:
    """The moment of a commit, which git keeps to the second and GitLab shows with the author's offset."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")


class Places:
    """Addresses. `web` is known once the server listens."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.web = "http://gitlab.invalid"
        """Root of the instance, with its relative path."""
        self.moment = moment
        self.perhaps = perhaps

    @property
    def api(self) -> str:
        """Root of the API."""
        return f"{self.web}/api/v4"

    @property
    def host(self) -> str:
        """Authority without port."""
        return self.web.partition("//")[2].partition("/")[0].partition(":")[0]

    def of_user(self, user: User) -> str:
        """A user's page."""
        return f"{self.web}/{user.username}"

    def of_namespace(self, namespace: Namespace) -> str:
        """A group's or user's page."""
        return f"{self.web}/groups/{namespace.full_path}" if namespace.kind == "group" else f"{self.web}/{namespace.path}"

    def of_project(self, project: Project) -> str:
        """A project's page."""
        return f"{self.web}/{project.full_path}"
