"""What the routes share: the wired application, and who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from bot.access import credential, holder, person
from bot.api.errors import ApiError
from bot.api.ratelimit import RateLimits
from bot.oidc import Issuer
from bot.wiring import App
from pipeline.model.account import Principal, Scope
from pipeline.quota import Plans
from pipeline.store.engine import Database
from pipeline.store.listing import Totals

BEARER = HTTPBearer(auto_error=False, description="Organization API key, or a token of the configured OpenID Connect issuer")
API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key, where no bearer token can be sent")


@dataclass(frozen=True)
class Api:
    """What the routes work with."""

    app: App
    secret: bytes
    """What digests of keys are made with."""
    plans: Plans
    rates: RateLimits
    issuer: Issuer | None = None
    """Who vouches for people; None: nobody does."""
    totals: Totals = field(default_factory=Totals)

    @property
    def database(self) -> Database:
        """Of the application."""
        return self.app.database

    def who(self, headers: Mapping[str, str]) -> Principal | None:
        """Who asks; None when the credential opens nothing."""
        shown = credential(headers)
        principal = holder(self.database, self.secret, shown) if shown else None
        if principal is None and shown and self.issuer is not None:
            principal = person(self.database, self.issuer, shown)
        if principal is not None:
            self.rates.knows(shown, self.plans.of(principal.organization.plan).calls_per_minute)
        return principal


def api_of(request: Request) -> Api:
    """What `make_api` put there."""
    found: Api = request.app.state.api
    return found


def _who(request: Request) -> Principal:
    principal = api_of(request).who(request.headers)
    if principal is None:
        missing = "send an API key: as a bearer token of the Authorization header, or in X-API-Key"
        what = "this key opens nothing: it is malformed, expired or revoked" if credential(request.headers) else missing
        raise ApiError(401, "UNAUTHORIZED", what, headers={"WWW-Authenticate": "Bearer"})
    return principal


def needs(scope: Scope) -> Callable[..., Principal]:
    """A dependency: who asks, and has this scope."""

    def asked(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],  # noqa: ARG001  for the OpenAPI document
        key: Annotated[str | None, Security(API_KEY)],  # noqa: ARG001  likewise
    ) -> Principal:
        principal = _who(request)
        if not principal.may(scope):
            raise ApiError(403, "MISSING_SCOPE", f"this key lacks the scope {scope}", {"scope": str(scope)})
        return principal

    return asked


Context = Annotated[Api, Depends(api_of)]
Reader = Annotated[Principal, Depends(needs(Scope.READ))]
Scanning = Annotated[Principal, Depends(needs(Scope.SCAN_WRITE))]
Finding = Annotated[Principal, Depends(needs(Scope.FINDING_WRITE))]
Fixing = Annotated[Principal, Depends(needs(Scope.FIX_WRITE))]
Proposing = Annotated[Principal, Depends(needs(Scope.PR_WRITE))]
Administrator = Annotated[Principal, Depends(needs(Scope.ADMIN))]


def when(moment: float) -> datetime:
    """Seconds since 1970 as the API says them."""
    return datetime.fromtimestamp(moment, UTC)


def maybe(moment: float | None) -> datetime | None:
    """Likewise, of what may not have been."""
    return None if moment is None else when(moment)
