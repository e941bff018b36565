"""Who may use git over HTTP, and what a push does.

Source: GitLab docs, "Personal access tokens" (any user name, `oauth2` by custom, the token as the password), "Protected branches".
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from tests.worlds.git_http import Admitted, GitRequest
from tests.worlds.gitlab.model import Level, Project
from tests.worlds.gitlab.tokens import BadCredentials, Caller
from tests.worlds.record import Asked, Effect

if TYPE_CHECKING:
    from tests.worlds.gitlab.core import Gitlab

DENIED = "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect.\n"
MISSING = "The project you were looking for could not be found or you don't have permission to view it.\n"


class Gate:
    """GitLab's."""

    realm = "GitLab"

    def __init__(self, gitlab: Gitlab) -> None:
        self._gitlab = gitlab

    def admit(self, request: GitRequest, authorization: str) -> Admitted:
        """Basic authentication with a token; anonymous reading of what is public."""
        with self._gitlab.state.lock:
            status, text, project, caller = self._admit(request, authorization)
            hidden = _not_for(caller, project) if project is not None and request.writes else ()
        return Admitted(status, text, project.git if project else None, caller.name or "anonymous", (caller, project), hidden)

    def _admit(self, request: GitRequest, authorization: str) -> tuple[int, str, Project | None, Caller]:
        nobody = Caller()
        state = self._gitlab.state
        project = state.project(request.path) or state.project_once_at(request.path)
        if not authorization:
            public = project is not None and project.visibility == "public" and not request.writes
            return (200, "", project, nobody) if public else (401, DENIED, None, nobody)
        try:
            caller = self._gitlab.tokens.caller(_password(authorization))
        except BadCredentials:
            return 401, DENIED, None, nobody
        needed = {"api", "write_repository"} if request.writes else {"api", "read_api", "read_repository", "write_repository"}
        if not caller.scopes & (needed - {"read_api"}):
            return 403, "You are not allowed to access the repository with this token.\n", None, caller
        if project is None or not caller.sees(project):
            return 404, MISSING, None, caller
        if request.writes and (project.archived or caller.level(project) < Level.DEVELOPER):
            return 403, "You are not allowed to push code to this project.\n", None, caller
        if not request.writes and project.visibility == "private" and caller.level(project) < Level.REPORTER:
            return 403, "You are not allowed to download code from this project.\n", None, caller
        return 200, "", project, caller

    def asked(self, method: str, path: str, query: str, status: int, admitted: Admitted) -> None:
        """One more request in the record."""
        caller: Caller = admitted.visitor[0]
        at = self._gitlab.seconds()
        self._gitlab.record.asked.append(Asked(method, path, status, admitted.actor, at, query, caller.scopes if caller.token else None))

    def pushed(self, admitted: Admitted, path: str) -> None:
        """What was pushed has its consequences."""
        caller: Caller = admitted.visitor[0]
        project: Project = admitted.visitor[1]
        with self._gitlab.state.lock:
            if caller.user is not None and project.git.refs() != project.refs:
                self._gitlab.record.effects.append(Effect("POST", path, "git push", None, caller.name, self._gitlab.seconds()))
                self._gitlab.actions.look_at_refs(project, caller.user)


def _not_for(caller: Caller, project: Project) -> tuple[str, ...]:
    """Protected branches that the caller may not push to."""
    level = caller.level(project)
    return tuple(f"refs/heads/{name}" for name, (push, _) in project.protected.items() if level < push or push is Level.NONE)


def _password(authorization: str) -> str:
    """The token of a Basic header. Raises BadCredentials."""
    kind, _, packed = authorization.partition(" ")
    try:
        _, _, password = base64.b64decode(packed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadCredentials("no Basic authentication") from error
    if kind.lower() != "basic" or not password:
        raise BadCredentials("no Basic authentication")
    return password
