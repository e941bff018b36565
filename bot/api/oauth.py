"""/oauth: login of command-line clients (RFC 8628). A person says yes at /device (`bot.pages.device`) or with `fixwright keys approve`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from bot.api.context import Context
from bot.api.errors import documented
from pipeline.store.logins import INTERVAL, LOGIN_SECONDS, Granted

router = APIRouter(prefix="/oauth", tags=["Device login"])

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

_MEANS: Final = {
    "authorization_pending": "nobody has said yes yet",
    "slow_down": "ask less often: 5 seconds more between two questions",
    "access_denied": "the person said no",
    "expired_token": "the code is over; begin again",
    "invalid_grant": "there is no such code, or it was used",
    "temporarily_unavailable": "too many logins wait; try again in some minutes",
}


class OAuthDeviceRequest(BaseModel):
    """Which program asks."""

    client_name: str = Field(min_length=1, max_length=100, pattern=r"\S")


class OAuthDeviceResponse(BaseModel):
    """What the program shows to its user, and asks with."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class OAuthTokenResponse(BaseModel):
    """A key."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105  the word of RFC 6749, 5.1
    scope: str


class OAuthError(BaseModel):
    """As RFC 6749, 5.2."""

    error: str
    error_description: str


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {400: {"model": OAuthError, "description": "As RFC 8628, 3.5"}}
_COMMON: Final[dict[int | str, dict[str, Any]]] = {code: said for code, said in documented().items() if code in (413, 429, 503)}


@router.post("/device/code", responses={**_COMMON, **_ERRORS}, response_model=OAuthDeviceResponse, summary="Begin a device login")
def device_code(api: Context, body: OAuthDeviceRequest) -> OAuthDeviceResponse | JSONResponse:
    """A command-line client asks for a code, which its user types at `verification_uri`."""
    with api.database.work() as work:
        begun = work.logins.begin(body.client_name, api.secret)
    if begun is None:
        return _refused("temporarily_unavailable")
    page = f"{api.app.settings.url}/device"
    return OAuthDeviceResponse(
        device_code=begun.device_code,
        user_code=begun.user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={quote(begun.user_code)}",
        expires_in=int(LOGIN_SECONDS),
        interval=INTERVAL,
    )


@router.post("/token", responses={**_COMMON, **_ERRORS}, response_model=OAuthTokenResponse, summary="Ask for the key of a device login")
def token(
    api: Context,
    grant_type: Annotated[Literal["urn:ietf:params:oauth:grant-type:device_code"], Form()],  # noqa: ARG001  FastAPI has looked at it
    device_code: Annotated[str, Form(max_length=500)],
) -> OAuthTokenResponse | JSONResponse:
    """Ask every `interval` seconds until a key comes, or an error that is neither `authorization_pending` nor `slow_down`."""
    with api.database.work() as work:
        found = work.logins.poll(device_code, api.secret)
        if isinstance(found, Granted):
            _, key = work.keys.create(found.organization, found.client_name, api.secret, scopes=found.scopes, created_by=found.approved_by)
            return OAuthTokenResponse(access_token=key, scope=" ".join(found.scopes))
    return _refused(found)


def _refused(error: str) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": _MEANS[error]}, 400, {"Cache-Control": "no-store"})
