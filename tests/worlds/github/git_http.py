"""Who may use git over HTTP, and what a push does.

Source: GitHub, "Authenticating as a GitHub App installation" (user name x-access-token).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.git_http import Admitted, GitRequest
from tests.worlds.github.tokens import BadCredentials, Caller
from tests.worlds.record import Asked, Effect

if TYPE_CHECKING:
    from tests.worlds.github.core import Github
    from tests.worlds.github.model import Repository


class Gate:
    """GitHub's."""

    realm = "GitHub"

    def __init__(self, github: Github) -> None:
        self._github = github

    def admit(self, request: GitRequest, authorization: str) -> Admitted:
        """Basic authentication with a token; anonymous reading of what is public."""
        status, text, repository, caller = self._admit(request, authorization)
        visitor = (caller, repository)
        return Admitted(status, text, repository.git if repository else None, caller.login or caller.kind, visitor)

    def _admit(self, request: GitRequest, authorization: str) -> tuple[int, str, Repository | None, Caller]:
        nobody = Caller("anonymous")
        owner, _, name = request.path.partition("/")
        with self._github.state.lock:
            repository = self._github.state.repository(owner, name)
            if not authorization:
                public = repository is not None and not repository.private and not request.writes
                return (200, "", repository, nobody) if public else (401, "No anonymous write access.\n", None, nobody)
            if not authorization.lower().startswith("basic "):
                return 401, "Basic authentication only.\n", None, nobody
            try:
                caller = self._github.tokens.recognize(authorization)
            except BadCredentials:
                return 401, "Invalid username or token.\n", None, nobody
            if repository is None or not caller.sees(repository):
                return 404, "Repository not found.\n", None, caller
            if not caller.may(repository, ("contents:write" if request.writes else "contents:read",)):
                return 403, f"Permission to {repository.full_name}.git denied to {caller.login}.\n", None, caller
            return 200, "", repository, caller

    def asked(self, method: str, path: str, query: str, status: int, admitted: Admitted) -> None:
        """One more request in the record."""
        caller: Caller = admitted.visitor[0]
        who = (admitted.actor, self._github.state.seconds(), query, caller.rights, caller.repositories)
        self._github.record.asked.append(Asked(method, path, status, *who))

    def pushed(self, admitted: Admitted, path: str) -> None:
        """What was pushed has its consequences."""
        caller: Caller = admitted.visitor[0]
        repository: Repository = admitted.visitor[1]
        with self._github.state.lock:
            actor = caller.account
            if actor is not None and repository.git.refs() != repository.refs:
                self._github.record.effects.append(Effect("POST", path, "git push", None, actor.login, self._github.state.seconds()))
                self._github.actions.look_at_refs(repository, actor)
