"""Signing in: the App's JWT and installation tokens.

Sources: docs "Generating a JSON Web Token (JWT) for a GitHub App", "Generating an installation access token". A token lives one hour
and cannot be renewed. It is opaque: since 2026 it may have 40 or 520 characters, with dots in it; nothing here looks inside.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm
from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound, HostRejected, HostUnauthorized, NotConfigured
from pipeline.leaks import remember
from pipeline.ports import HostMemory
from providers.github.client import Answer, Client, path
from providers.github.settings import AppSettings

log = logging.getLogger(__name__)

JWT_BACKDATED = 60
"""Seconds: GitHub's own advice against clock drift."""
JWT_LIFETIME = 9 * 60
"""Seconds from the issue time on; GitHub refuses more than ten minutes."""
REFRESH_BEFORE = 300.0
"""Seconds before its end at which a token is made anew, so that no step loses it half-way."""
APP_NAME_KEPT = 3_600.0
"""Seconds for which the App's name is remembered; it can be renamed."""
MINTING = 60.0
"""Seconds for which one process may keep the others waiting for a new token."""
GRANTED_KEPT = 600.0
"""Seconds for which an installation's permissions are remembered; GitHub tells of a change, but a delivery can be lost."""
REFUSED_KEPT = 600.0
"""Seconds for which it is remembered that a repository known by its name alone is not ours to see; as long as what was granted."""
TOLERATED_SKEW = 30.0
"""Seconds of clock difference that need no correction."""

Permissions = Mapping[str, str]
"""What a token may do, in GitHub's words: `{"checks": "write"}`."""
LEVELS: Mapping[str, int] = {"": 0, "read": 1, "write": 2, "admin": 3}
"""Each level of a permission includes those below."""
READ: Permissions = {"metadata": "read", "contents": "read", "pull_requests": "read"}
METADATA: Permissions = {"metadata": "read"}
CLONE: Permissions = {"contents": "read"}
CHECK: Permissions = {"checks": "write"}
SPEAK: Permissions = {"pull_requests": "write", "issues": "write"}
RESOLVE: Permissions = {"pull_requests": "write", "contents": "write"}
"""GitHub asks for both where a thread is resolved; an App without write access to contents cannot."""
STATUS: Permissions = {"statuses": "write"}
ADVISE: Permissions = {"repository_advisories": "write"}
PROPOSE: Permissions = {"contents": "write", "pull_requests": "write"}

EVERY = ""
"""Stands for all repositories of the installation: only for listing them."""

_UNREACHABLE = re.compile(r"repositor(?:y|ies)\b.* not accessible")
"""GitHub's words where a token is asked for a repository that the installation does not have. They are documented nowhere: other
words make it a missing permission, which ends the same way with another hint."""
_NOT_INSTALLED = "it is gone, or the App is not installed on it"
_Result = TypeVar("_Result")


class AppAnswer(Answer):
    """`GET /app`."""

    id: int
    slug: str


class InstallationAnswer(Answer):
    """`GET /app/installations/{id}`."""

    permissions: dict[str, str] = Field(default_factory=dict)


class TokenAnswer(Answer):
    """`POST /app/installations/{id}/access_tokens`."""

    token: str
    expires_at: datetime


class AppKey:
    """Signs as the App itself."""

    def __init__(self, settings: AppSettings) -> None:
        self.app_id = settings.app_id
        self._key = settings.private_key

    def token(self, *, now: float, skew: float = 0.0) -> str:
        """A JWT for the next minutes. `skew`: seconds by which GitHub's clock is ahead of `now`."""
        issued = int(now + (skew if abs(skew) > TOLERATED_SKEW else 0.0)) - JWT_BACKDATED
        try:
            claims = {"iat": issued, "exp": issued + JWT_LIFETIME, "iss": self.app_id}
            return jwt.encode(claims, _private_key(self._key), algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise NotConfigured(
                "the App's private key is damaged or is no RSA key",
                hint="set FIXWRIGHT_GITHUB_PRIVATE_KEY to the file that GitHub let you download",
            ) from None  # the library's message may quote the key


@lru_cache(maxsize=8)
def _private_key(pem: str) -> RSAPrivateKey:
    """The key, read once: OpenSSL proves its primes whenever it reads one, which takes longer than the signature (32 ms to 1 ms).

    Raises:
        ValueError, TypeError, jwt.PyJWTError: it is damaged, wants a password, or is of another kind.
    """
    key = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(pem)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("the public half cannot sign")
    return key


class SignIn:
    """The credentials of one installation, shared with all processes through `HostMemory`."""

    def __init__(
        self, client: Client, key: AppKey, installation: str, memory: HostMemory, *, site: str, clock: Callable[[], float]
    ) -> None:
        self._client, self._key, self._installation, self._memory = client, key, installation, memory
        self._site, self._clock = site, clock
        self._held: dict[str, tuple[str, float]] = {}
        self._granted = f"github/{site}/granted/{key.app_id}/{installation}"
        self._refused = f"github/{site}/refused/{key.app_id}/{installation}"

    @property
    def app_id(self) -> str:
        """Number of our App."""
        return self._key.app_id

    @property
    def installation(self) -> str:
        """GitHub's number of the installation."""
        return self._installation

    def bot_login(self) -> str:
        """Login under which what we write appears: `<slug>[bot]`. No person can have a login with brackets."""
        name = f"github/{self._site}/app/{self.app_id}"
        known = self._memory.get(name)
        if known is None:
            answer = self._as_app(lambda signed: self._client.get("/app", AppAnswer, jwt=signed))
            known = answer.slug.encode()
            self._memory.put(name, known, APP_NAME_KEPT)
        return f"{known.decode()}[bot]"

    def token(self, repository: str, permissions: Permissions, *, not_this: str = "") -> str:
        """A token for one repository and these permissions, from memory or made now.

        Args:
            repository: GitHub's number of it; its name without owner where only that is known; or `EVERY`.
            not_this: a token that GitHub has just refused; another one is handed out.
        """
        name = self._name(repository, permissions)
        token, until = self._held.get(name, ("", 0.0))
        if token and token != not_this and self._clock() < until:
            return token
        found = self._remembered(name)
        if found is None or found[0] == not_this:
            if name in (self._memory.get(self._refused) or b"").decode().split("\n"):
                raise HostNotFound("GitHub refused a token for this lately", hint=_NOT_INSTALLED)
            with self._memory.lock(f"{name}/mint", MINTING):
                found = self._remembered(name)  # another process may have been faster
                if found is None or found[0] == not_this:
                    found = self._mint(name, repository, permissions)
        self._held[name] = found
        remember(found[0], passing=True)
        return found[0]

    def has(self, repository: str, permissions: Permissions) -> bool:
        """True when a token for that can be handed out without a request."""
        name = self._name(repository, permissions)
        return self._clock() < self._held.get(name, ("", 0.0))[1] or self._remembered(name) is not None

    def may(self, permissions: Permissions) -> bool:
        """True when the installation was granted all of these. Asked of GitHub now and then, and after `forget`."""
        known = self._memory.get(self._granted)
        if known is None:
            address = path("app", "installations", self._installation)
            known = self._as_app(lambda signed: self._client.get(address, InstallationAnswer, jwt=signed)).model_dump_json().encode()
            self._memory.put(self._granted, known, GRANTED_KEPT)
        granted = {"metadata": "read", **InstallationAnswer.model_validate_json(known).permissions}
        return all(LEVELS.get(granted.get(name, ""), 0) >= LEVELS[level] for name, level in permissions.items())

    def forget(self) -> None:
        """Its owner has accepted other permissions, or chosen other repositories: ask again before the next use."""
        self._memory.put(self._granted, b"{}", 0.0)
        self._memory.put(self._refused, b"", 0.0)

    def with_token(self, repository: str, permissions: Permissions, call: Callable[[str], _Result]) -> _Result:
        """Do `call` with a token; when GitHub refuses the token (revoked, or its own hiccup), once more with a new one."""
        token = self.token(repository, permissions)
        try:
            return call(token)
        except HostUnauthorized:
            log.info("github.token_refused", extra={"installation": self._installation, "repository": repository})
        return call(self.token(repository, permissions, not_this=token))

    def _name(self, repository: str, permissions: Permissions) -> str:
        shape = hashlib.sha256(json.dumps(dict(permissions), sort_keys=True).encode()).hexdigest()[:12]
        return f"github/{self._site}/token/{self.app_id}/{self._installation}/{repository}/{shape}"

    def _remembered(self, name: str) -> tuple[str, float] | None:
        """Token and the time until which it may be handed out, when that is still to come."""
        value = self._memory.get(name)
        if value is None:
            return None
        until, _, token = value.decode().partition(" ")
        return (token, float(until)) if self._clock() < float(until) else None

    def _mint(self, name: str, repository: str, permissions: Permissions) -> tuple[str, float]:
        body = {**_narrowed(repository), "permissions": dict(permissions)}
        address = path("app", "installations", self._installation, "access_tokens")
        try:
            answer = self._as_app(lambda signed: self._client.send("POST", address, body, TokenAnswer, jwt=signed))
        except HostRejected as exc:  # 422: the installation was never granted this much, or does not have that repository
            if _UNREACHABLE.search(exc.message):
                if not repository.isdigit():  # one with a number was told to us, and may be there in a moment
                    refused = (self._memory.get(self._refused) or b"").decode().split("\n")
                    self._memory.put(self._refused, "\n".join(dict.fromkeys((*refused[-20:], name))).encode(), REFUSED_KEPT)
                raise HostNotFound(exc.message, hint=_NOT_INSTALLED) from exc
            raise HostForbidden(
                f"{exc.message} (asked for {', '.join(f'{what}:{how}' for what, how in permissions.items())})",
                hint="compare the App's permissions with app.yml, and accept them in the installation's settings",
            ) from exc
        until = answer.expires_at.timestamp() - REFRESH_BEFORE
        self._memory.put(name, f"{until:.0f} {answer.token}".encode(), max(until - self._clock(), 1.0))
        return answer.token, until

    def _as_app(self, call: Callable[[str], _Result]) -> _Result:
        return as_app(self._client, self._key, self._clock, call)


def as_app(client: Client, key: AppKey, clock: Callable[[], float], call: Callable[[str], _Result]) -> _Result:
    """Do `call` as the App, by GitHub's clock as its last answer showed it; when it refuses and its clock is another one, once more. What
    its answers show can be a proxy's clock: where that was refused, our own is tried."""
    known = client.skew()
    try:
        return call(key.token(now=clock(), skew=known))
    except HostUnauthorized:
        skew = client.skew()
        if abs(skew - known) <= TOLERATED_SKEW:
            if abs(known) <= TOLERATED_SKEW:
                raise
            skew = 0.0
        log.warning("github.clock_differs", extra={"seconds": round(skew)})
    return call(key.token(now=clock(), skew=skew))


def _narrowed(repository: str) -> dict[str, object]:
    """What limits a token to one repository (REST "Create an installation access token for an app")."""
    if repository == EVERY:
        return {}
    return {"repository_ids": [int(repository)]} if repository.isdigit() else {"repositories": [repository]}
