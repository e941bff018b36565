"""What an operator does with a GitLab from the command line: try a token, connect, exchange the token."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound, HostRejected, HostUnavailable, NotConfigured
from pipeline.model.setup import Diagnosis
from pipeline.ports import Configuration, HostMemory
from pipeline.sandbox.hops import first_cause, way_hint
from pipeline.sandbox.outward import proxy_for, without_password
from providers.gitlab.api import WRITES, Account, Api, Token
from providers.gitlab.client import Answer
from providers.gitlab.connecting import Connector
from providers.gitlab.diagnose import ending
from providers.gitlab.hook_api import GitlabHooks
from providers.gitlab.hook_care import Known, wanted_of
from providers.gitlab.settings import Trust

DAYS = 364
"""Life of an exchanged token. GitLab allows a year where the administrator allows no more (docs "Personal access tokens"), and makes
one of a week where nothing is asked for (docs "Personal access tokens API", "Rotate")."""


class _Rotated(Answer):
    token: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """Who a token belongs to, and what it says of itself."""

    account: Account
    token: Token | None
    """None where nobody says (before GitLab 15.5)."""

    def __str__(self) -> str:
        if self.token is None:
            return f"@{self.account.username}"
        ends = f"ends on {self.token.expires_at}" if self.token.expires_at else "never ends"
        return f"@{self.account.username}, token {self.token.name or 'without a name'} {ends}"


class Administration:
    """One GitLab, with the operator's token.

    Args:
        api: not of one account.
        configuration: of the instance, with its secrets.
        sleep: waits out the limits that GitLab sets.
    """

    def __init__(self, api: Api, configuration: Configuration, memory: HostMemory, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api, self._configuration, self._memory, self._sleep = api, configuration, memory, sleep
        self.site = api.site
        self.instance = api.instance
        """What its repositories are known under, as in `Installation.instance`."""

    def who(self) -> Signed:
        """Asked now. Raises HostError; NotConfigured for a token without the scope that everything needs."""
        self._api.forget()
        try:
            signed = Signed(self._api.me(), self._api.token())
        except HostUnavailable as error:
            raise self._away(error) from error
        except (HostGarbage, HostNotFound) as error:  # GitLab tells any token whose it is
            hint = error.hint if isinstance(error, HostGarbage) else ""
            said = f"what answers at {self.site.web_url} is no GitLab: {error.message}"
            raise type(error)(said, hint=hint or "is this GitLab's address, with the path below which it lies?") from error
        if signed.token is not None and signed.token.scopes and WRITES not in signed.token.scopes:
            scopes = ", ".join(sorted(signed.token.scopes))
            raise NotConfigured(
                f"the token of @{signed.account.username} lacks the scope {WRITES}: it has {scopes}",
                hint=f"make one with the scope {WRITES}; a token's scopes cannot be changed",
            )
        return signed

    def _away(self, error: HostUnavailable) -> HostUnavailable:
        """What stands in the way: something answers in GitLab's place, or nothing does, and why."""
        url = self.site.web_url
        if self._api.answered():
            return HostUnavailable(
                f"{url} does not work now: {error.message}", hint="GitLab, or a proxy before it, says so: try again later"
            )
        proxy = proxy_for(url)
        through = f" through the proxy {without_password(proxy)}" if proxy else ""
        hint = f"is that GitLab's address? {way_hint(error)}"
        return HostUnavailable(f"{url} cannot be reached{through}: {first_cause(error)}", hint=hint)

    def ending(self, signed: Signed) -> Diagnosis | None:
        """When its token ends; None where nobody says."""
        return None if signed.token is None else ending(signed.token, self._api)

    def connector(self, hook_url: str, *, dry_run: bool = False) -> Connector:
        """See `providers.gitlab.connecting`. Raises NotConfigured without secrets."""
        Trust.of(self._configuration)
        wanted = wanted_of("project", self._configuration, hook_url)
        hooks = GitlabHooks(self._api, self._sleep)
        return Connector(hooks, hook_url, token=wanted.token, signing_token=wanted.signing_token, dry_run=dry_run)

    def known(self, hook_url: str) -> Known:
        """Where our hooks hang."""
        return Known(self._memory, self.site, hook_url)

    def rotate(self, days: int = DAYS) -> tuple[str, date]:
        """A new token of the same scopes; the old one is void from now on. Returns it with the day on which it ends. Raises HostError."""
        expires = self._api.today() + timedelta(days=days)
        try:
            made = self._api.ask(
                lambda gl: gl.personal_access_tokens.rotate("self", expires_at=expires.isoformat()), _Rotated, what="a new token"
            )
        except HostForbidden as error:
            raise HostForbidden(error.message, hint="the token needs the scope api or self_rotate") from None
        except (HostUnavailable, HostGarbage) as error:
            hint = (
                "GitLab may have exchanged it all the same, and the old one is void then: see with `fixwright doctor gitlab`; "
                "when it is refused, make another one, and run: fixwright gitlab setup"
            )
            raise type(error)(error.message, hint=hint) from error
        except HostRejected as error:
            raise HostRejected(error.message, hint="shorter lives may be allowed only: fixwright gitlab rotate --days 90") from None
        if not made.token:
            raise NotConfigured("GitLab gave no new token", hint="make one on GitLab, and run: fixwright gitlab setup")
        return made.token, expires
