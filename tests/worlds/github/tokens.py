"""Who is asking: the app by its JWT, an installation or a person by token.

Source: GitHub, "Generating a JSON Web Token for a GitHub App", "Generating an installation access token for a GitHub App".
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from tests.worlds.github.model import Account, App, Installation, Repository, Role
from tests.worlds.github.state import State

LEVELS = {"": 0, "read": 1, "write": 2, "admin": 3}
LONG_TOKEN = 520
"""Characters of the installation tokens that GitHub gives out since 2026."""
LIFETIME = timedelta(hours=1)
_LONGEST_JWT = 600  # seconds that `exp` may lie ahead


class BadCredentials(Exception):
    """401, with GitHub's text."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was recognized, or nobody (`kind` "anonymous")."""

    kind: str
    """`app`, `installation`, `user` or `anonymous`."""
    login: str = ""
    app: App | None = None
    installation: Installation | None = None
    permissions: dict[str, str] | None = None
    repositories: frozenset[int] | None = None
    """Numbers that the token was narrowed to, None for all of the installation."""
    account: Account | None = None

    @property
    def rights(self) -> frozenset[str] | None:
        """`checks:write` and so on, None for whoever is no installation."""
        return None if self.kind != "installation" else frozenset(f"{name}:{level}" for name, level in (self.permissions or {}).items())

    @property
    def spender(self) -> str:
        """Whose limits a request counts against: each installation has its own (docs "Rate limits for the REST API")."""
        return f"installation {self.installation.id}" if self.kind == "installation" and self.installation else self.login or self.kind

    def sees(self, repository: Repository) -> bool:
        """True when the caller may know that the repository exists."""
        return not repository.private or self.owns(repository) or (self.kind == "user" and repository.role(self.login) >= Role.READ)

    def owns(self, repository: Repository) -> bool:
        """True for a token of an installation that covers the repository."""
        if self.installation is None or not self.installation.covers(repository):
            return False
        return self.repositories is None or repository.id in self.repositories

    def may(self, repository: Repository, needs: tuple[str, ...]) -> bool:
        """True when one of `needs` ("checks:write") is granted on a repository that the caller sees. No needs: always."""
        if not needs:
            return True
        if self.kind == "installation":
            if self.owns(repository):
                granted = {"metadata": "read"} | (self.permissions or {})
                return any(LEVELS[granted.get(name, "")] >= LEVELS[level] for name, level in map(_split, needs))
            return all(level == "read" for _, level in map(_split, needs))
        if self.kind == "user":
            return any(repository.role(self.login) >= _needed_role(*_split(need)) for need in needs)
        return all(level == "read" for _, level in map(_split, needs))


def _split(need: str) -> tuple[str, str]:
    name, _, level = need.partition(":")
    return name, level


def _needed_role(name: str, level: str) -> Role:
    """What a person needs where an app needs a permission: everybody who reads may write comments, only apps write checks."""
    if level == "read":
        return Role.READ
    return {"issues": Role.READ, "pull_requests": Role.READ, "checks": Role.ADMIN}.get(name, Role.WRITE)


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    expires: float


class Tokens:
    """All tokens that were given out."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[str, _Known] = {}

    def given(self) -> list[str]:
        """Every token that was ever given out."""
        return list(self._known)

    def recognize(self, authorization: str) -> Caller:
        """The caller behind an `Authorization` header; an empty one is nobody. Raises BadCredentials."""
        if not authorization:
            return Caller("anonymous")
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError as error:
                raise BadCredentials("Bad credentials") from error
        elif scheme.lower() not in ("bearer", "token"):
            raise BadCredentials("Bad credentials")
        value = value.strip()
        if value.startswith("eyJ") and value.count(".") == 2:
            return self._app(value)
        return self.by_token(value)

    def by_token(self, value: str) -> Caller:
        """The caller behind a token. Raises BadCredentials for an unknown, expired or revoked one."""
        known = self._known.get(value)
        if known is None or known.expires <= self._state.seconds():
            raise BadCredentials("Bad credentials")
        installation = known.caller.installation
        if installation is not None and (installation.id not in self._state.installations or installation.suspended_at is not None):
            raise BadCredentials("Bad credentials")
        return known.caller

    def _app(self, token: str) -> Caller:
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False})["iss"])
            app = next(app for app in self._state.apps.values() if issuer in (str(app.id), client_id(app)))
        except (jwt.InvalidTokenError, KeyError, StopIteration) as error:
            raise BadCredentials(
                "'Issuer' claim ('iss') must be an Integer" if isinstance(error, KeyError) else "Integration not found"
            ) from error
        try:
            claims = jwt.decode(
                token,
                app.public_key_pem,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "iat", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise BadCredentials("A JSON web token could not be decoded") from error
        now = self._state.seconds()
        if not isinstance(claims["exp"], int) or claims["exp"] <= now:
            raise BadCredentials(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
            )
        if claims["exp"] > now + _LONGEST_JWT + 1:
            raise BadCredentials("'Expiration time' claim ('exp') is too far in the future")
        if claims["iat"] > now + 1:
            raise BadCredentials("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
        return Caller("app", app.slug, app=app)

    def for_installation(
        self, installation: Installation, permissions: dict[str, str], repositories: frozenset[int] | None, *, short: bool = False
    ) -> tuple[str, datetime]:
        """Give out a token for an hour, in GitHub's long form unless `short`."""
        value = "ghs_" + secrets.token_hex(18) if short else _long_token(installation)
        expires = self._state.now() + LIFETIME
        caller = Caller(
            "installation", installation.app.bot.login, installation.app, installation, permissions, repositories, installation.app.bot
        )
        self._known[value] = _Known(caller, expires.timestamp())
        return value, expires

    def for_user(self, account: Account) -> str:
        """A personal token that does not expire."""
        value = "ghp_" + secrets.token_hex(18)
        self._known[value] = _Known(Caller("user", account.login, account=account), datetime.max.replace(tzinfo=UTC).timestamp())
        return value

    def revoke(self, authorization: str) -> None:
        """Forget a token."""
        self._known.pop(authorization.partition(" ")[2].strip(), None)

    def revoke_all(self) -> None:
        """Forget every token that was given out: of installations and of people."""
        self._known.clear()


def client_id(app: App) -> str:
    """The app's client id, which may stand in `iss` as well."""
    return f"Iv23li{app.id:014d}"


def _segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _long_token(installation: Installation) -> str:
    """`ghs_APPID_JWT`, 520 characters with dots, dashes and underscores. To the client it is opaque, so that only its form is real."""
    prefix = f"ghs_{installation.app.id}_"
    header = _segment(json.dumps({"alg": "ES256", "typ": "JWT", "kid": secrets.token_hex(8)}).encode())
    signature = _segment(secrets.token_bytes(64))
    room = LONG_TOKEN - len(prefix) - len(header) - len(signature) - 2
    claims = json.dumps({"iss": "github.com", "ins": installation.id, "jti": ""})[:-2]
    padding = room * 3 // 4 - len(claims) - 2
    payload = _segment((claims + secrets.token_hex(padding // 2 + 1)[:padding] + '"}').encode())
    return f"{prefix}{header}.{payload}.{signature}{secrets.token_urlsafe(4)}"[:LONG_TOKEN]
