"""Who we are on one GitHub: an App on an installation (`providers.github.auth`), or whoever a token belongs to.

A token needs no App: the `GITHUB_TOKEN` of a job, or a person's own. Sources: docs "Automatic token authentication", "Managing your
personal access tokens", "Behind GitHub's new authentication token formats" (the prefix says whose it is; nothing else is looked at).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, HostUnauthorized
from pipeline.ports import Capabilities, HostMemory
from providers.github.auth import Permissions
from providers.github.client import Answer, Client

JOB_LOGIN = "github-actions[bot]"
"""Whose token a job has, where GitHub does not say it itself."""
APP_TOKEN = "ghs_"  # noqa: S105  # the prefix of all of them, no token
"""Only such a token writes check runs (docs REST "Create a check run"): it is an App's, also the one that a job is given."""
LOGIN_KEPT = 3_600.0
"""Seconds for which the owner of a token is remembered."""
_VIEWER = "query { viewer { login } }"
_Result = TypeVar("_Result")


class Identity(Protocol):
    """What requests need of whoever makes them."""

    @property
    def app_id(self) -> str:
        """Number of our App; empty without one."""

    @property
    def installation(self) -> str:
        """The host's number of the installation, or what stands in for it."""

    def bot_login(self) -> str:
        """Login under which what we write appears."""

    def token(self, repository: str, permissions: Permissions, *, not_this: str = "") -> str:
        """A token for one repository and these permissions."""

    def has(self, repository: str, permissions: Permissions) -> bool:
        """True when a token for that can be handed out without a request."""

    def may(self, permissions: Permissions) -> bool:
        """False when these were not granted, so that asking for a token would be in vain."""

    def forget(self) -> None:
        """What was learnt of our permissions does not count any more."""

    def with_token(self, repository: str, permissions: Permissions, call: Callable[[str], _Result]) -> _Result:
        """Do `call` with a token."""


class _User(Answer):
    login: str


class _Viewer(Answer):
    viewer: _User


class TokenSignIn:
    """One token for everything. It is not narrowed and not renewed: what it may do, its owner decided."""

    app_id = ""

    def __init__(self, client: Client, token: str, installation: str, memory: HostMemory, *, site: str) -> None:
        self._client, self._token, self._memory = client, token, memory
        self.installation = installation
        self._login = f"github/{site}/token/{hashlib.sha256(token.encode()).hexdigest()[:16]}/login"

    def bot_login(self) -> str:
        """The person's login; for an App's token, which has no user, what GraphQL calls the viewer."""
        known = self._memory.get(self._login)
        if known is None:
            known = self._ask().encode()
            self._memory.put(self._login, known, LOGIN_KEPT)
        return known.decode()

    def token(self, repository: str, permissions: Permissions, *, not_this: str = "") -> str:
        """Always the same one."""
        return self._token

    def has(self, repository: str, permissions: Permissions) -> bool:
        """It is here."""
        return True

    def may(self, permissions: Permissions) -> bool:
        """Nobody says what a token may do before it is tried."""
        return True

    def forget(self) -> None:
        """Nothing was learnt."""

    def with_token(self, repository: str, permissions: Permissions, call: Callable[[str], _Result]) -> _Result:
        """Do `call`; what GitHub refuses is the token's fault, and there is no other one."""
        try:
            return call(self._token)
        except HostUnauthorized as exc:
            raise HostUnauthorized(exc.message, hint="the token in FIXWRIGHT_GITHUB_TOKEN is wrong, expired or revoked") from exc
        except HostForbidden as exc:
            needed = ", ".join(f"{what}: {how}" for what, how in permissions.items())
            raise HostForbidden(exc.message, hint=f"the token in FIXWRIGHT_GITHUB_TOKEN needs {needed}") from exc

    def _ask(self) -> str:
        try:
            return self._client.get("/user", _User, token=self._token).login
        except HostForbidden:  # "Resource not accessible by integration"
            pass
        try:
            login = self._client.graphql(_VIEWER, {}, _Viewer, token=self._token).viewer.login
        except (HostForbidden, HostNotFound, HostRejected):
            return JOB_LOGIN
        return login.removesuffix("[bot]") + "[bot]"  # GraphQL may leave out what REST appends


def within(capabilities: Capabilities, token: str) -> Capabilities:
    """What a token's owner can do of it: a person cannot write check runs, so that statuses carry the verdict and the comment the table."""
    return capabilities if token.startswith(APP_TOKEN) else replace(capabilities, check_pages=False, annotations=0, buttons=0)
