"""The token that asks (docs, "Personal access tokens API"): what it is, and its successor."""

from __future__ import annotations

from datetime import date, timedelta

from tests.worlds.gitlab.call import Answer, Call, bad_request, operation, unauthorized
from tests.worlds.gitlab.model import AccessToken, Json
from tests.worlds.gitlab.tokens import LONGEST_LIFE

_WEEK = timedelta(days=7)
"""Life of a token's successor unless told otherwise."""


def _token(call: Call) -> AccessToken:
    if call.caller.token is None:
        raise unauthorized()
    return call.caller.token


def _shown(call: Call, token: AccessToken) -> Json:
    shapes = call.gitlab.shapes
    expired = token.expires_at is not None and call.gitlab.state.now().date() >= token.expires_at
    return {
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "created_at": shapes.moment(token.created_at),
        "description": token.description,
        "scopes": list(token.scopes),
        "user_id": token.user.id,
        "last_used_at": shapes.perhaps(token.last_used_at),
        "active": not token.revoked and not expired,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
    }


@operation(
    "GET", "/personal_access_tokens/self", signed_in=True, scopes=("read_user", "self_rotate", "read_repository", "write_repository")
)
def show(call: Call) -> Answer:
    """The token itself: any valid one may ask, whatever its scopes."""
    return Answer(body=_shown(call, _token(call)))


@operation("POST", "/personal_access_tokens/self/rotate", scopes=("self_rotate",))
def rotate(call: Call) -> Answer:
    """Revoke it and make another one of the same rights. The old one can never be used again."""
    token, today = _token(call), call.gitlab.state.now().date()
    ends = today + _WEEK
    if call.given.get("expires_at"):
        try:
            ends = date.fromisoformat(call.text("expires_at"))
        except ValueError as error:
            raise bad_request("expires_at is invalid") from error
        if not today < ends <= today + LONGEST_LIFE:
            raise bad_request("Expiration date must be before " + (today + LONGEST_LIFE).isoformat())
    token.revoked = True
    made = call.gitlab.tokens.add(
        token.user, token.scopes, name=token.name, kind=token.kind, place=token.place, level=token.level, expires_at=ends
    )
    return Answer(201, _shown(call, made) | {"token": made.value})
