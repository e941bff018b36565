"""Who is asking, and what a token may do.

Source: GitLab docs, "Personal access token scopes", "Project access tokens", "REST API authentication".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from tests.worlds.gitlab.model import AccessToken, Level, Member, Namespace, Project, User
from tests.worlds.gitlab.state import State

SCOPES = (
    "api",
    "read_api",
    "read_user",
    "create_runner",
    "manage_runner",
    "k8s_proxy",
    "self_rotate",
    "read_repository",
    "write_repository",
    "read_registry",
    "write_registry",
    "ai_features",
    "sudo",
    "admin_mode",
)
LONGEST_LIFE = timedelta(days=365)


class BadCredentials(Exception):
    """401. `code` and the text are those of the answer; without a code it is the plain one."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was recognized, or nobody."""

    user: User | None = None
    token: AccessToken | None = None

    @property
    def name(self) -> str:
        """User name, empty for nobody."""
        return self.user.username if self.user else ""

    @property
    def scopes(self) -> frozenset[str]:
        """What the token may be used for."""
        return frozenset(self.token.scopes if self.token else ())

    def level(self, project: Project) -> Level:
        """What the caller may do on a project; an administrator everything."""
        if self.user is not None and self.user.admin:
            return Level.OWNER
        return project.level(self.user)

    def group_level(self, group: Namespace) -> Level:
        """What the caller may do on a group."""
        if self.user is None:
            return Level.NONE
        if self.user.admin or group.owner is self.user:
            return Level.OWNER
        return max((place.members[self.user.id].level for place in group.line if self.user.id in place.members), default=Level.NONE)

    def sees(self, project: Project) -> bool:
        """True when the caller may know that the project exists."""
        return project.readable(self.user)

    def sees_group(self, group: Namespace, state: State) -> bool:
        """True when the caller may know that the group exists: a member of it, or of something below it."""
        if group.visibility == "public" or (group.visibility == "internal" and self.user is not None):
            return True
        below = state.groups_below(group)
        if any(self.group_level(known) > Level.NONE for known in below):
            return True
        return any(project.namespace in below and self.level(project) > Level.NONE for project in state.projects.values())


class Tokens:
    """All tokens of the world."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        user: User,
        scopes: tuple[str, ...] = ("api",),
        *,
        name: str = "token",
        kind: str = "personal",
        place: Project | Namespace | None = None,
        level: Level = Level.NONE,
        expires_at: date | None = None,
    ) -> AccessToken:
        """A token of a user. Raises ValueError for an unknown scope."""
        if unknown := set(scopes) - set(SCOPES):
            raise ValueError(f"no such scope: {', '.join(sorted(unknown))}")
        today = self._state.now().date()
        value = "glpat-" + secrets.token_urlsafe(27).replace("-", "x").replace("_", "y")
        made = AccessToken(
            self._state.new_id("token"),
            value,
            user,
            name,
            scopes,
            self._state.now(),
            expires_at or today + LONGEST_LIFE,
            kind,
            place,
            level,
        )
        self._state.tokens.append(made)
        return made

    def add_bot(self, place: Project | Namespace, level: Level, scopes: tuple[str, ...], name: str, expires_at: date | None) -> AccessToken:
        """A project or group access token: GitLab makes a bot user for it, which is a member there."""
        kind = "project" if isinstance(place, Project) else "group"
        bot = self._state.user(f"{kind}_{place.id}_bot_{secrets.token_hex(16)}", name=name, bot=True)
        place.members[bot.id] = Member(bot, level, self._state.now())
        return self.add(bot, scopes, name=name, kind=kind, place=place, level=level, expires_at=expires_at)

    def find(self, value: str) -> AccessToken | None:
        """A token by its value."""
        return next((token for token in self._state.tokens if secrets.compare_digest(token.value.encode(), value.encode())), None)

    def recognize(self, headers: Mapping[str, str], private: str | None = None) -> Caller:
        """Who sends these headers. `private`: the parameter `private_token`. Raises BadCredentials."""
        authorization = headers.get("authorization", "")
        bearer = authorization[7:] if authorization.lower().startswith("bearer ") else None
        value = headers.get("private-token") or bearer or private
        return self.caller(value) if value else Caller()

    def caller(self, value: str) -> Caller:
        """Whose token this is. Raises BadCredentials."""
        token = self.find(value)
        if token is None:
            raise BadCredentials("401 Unauthorized")
        if token.revoked:
            raise BadCredentials("Token was revoked. You have to re-authorize from the user.", "invalid_token")
        if token.expires_at is not None and self._state.now().date() >= token.expires_at:
            raise BadCredentials("Token is expired. You can either do re-authorization or token refresh.", "invalid_token")
        if token.user.state != "active":
            raise BadCredentials("401 Unauthorized")
        token.last_used_at = self._state.now()
        return Caller(token.user, token)
