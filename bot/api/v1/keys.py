"""/api-keys: keys of the calling organization, for a key with the scope `admin`. Not in the original contract."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from bot.api.context import Administrator, Context, maybe, when
from bot.api.errors import documented, not_found, wrong_state
from bot.api.idempotency import Repeatable
from bot.api.links import link
from bot.api.schemas import SAYS, Strict
from pipeline.errors import StaleWrite
from pipeline.model.account import Scope
from pipeline.store.keys import ApiKey

router = APIRouter(prefix="/api-keys", tags=["API keys"])

DAY = 86_400.0
_MADE = link(201, ("rotate_key", "revoke_key"), key_id="$response.body#/id")

KeyPath = Annotated[str, Path(description="`id` of a key.")]


class PublicApiKeyResponse(BaseModel):
    """A key without what it opens with."""

    id: str
    name: str
    key_prefix: str
    scopes: list[Scope]
    state: str = Field(description="active, expired or revoked.")
    created_by: str | None = None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="To the minute.")
    revoked_at: datetime | None = None


class PublicApiKeyCreated(PublicApiKeyResponse):
    """A new key, with what it opens with."""

    key: str | None = Field(description="Shown this once: null where this answer is given again for an `Idempotency-Key`.")


class PublicApiKeyList(BaseModel):
    """Every key."""

    items: list[PublicApiKeyResponse]


class PublicApiKeyCreate(Strict):
    """What a key is to be."""

    name: str = Field(min_length=1, max_length=100, pattern=SAYS)
    scopes: list[Scope] | None = Field(default=None, description="All but `admin` when it is left out.")
    expires_in_days: float | None = Field(default=None, gt=0, le=3650, allow_inf_nan=False)


class PublicApiKeyRotate(Strict):
    """How a key is to be rotated."""

    overlap_days: float = Field(default=1.0, ge=0, le=90, allow_inf_nan=False, description="How long the old key holds.")


def _shape(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "key_prefix": key.prefix,
        "scopes": list(key.scopes),
        "state": key.state,
        "created_by": key.created_by or None,
        "created_at": when(key.created_at),
        "expires_at": maybe(key.expires_at),
        "last_used_at": maybe(key.last_used_at),
        "revoked_at": maybe(key.revoked_at),
    }


@router.get("", responses=documented(), summary="List API keys")
def list_keys(api: Context, principal: Administrator) -> PublicApiKeyList:
    """Every key of the calling organization, the newest first."""
    with api.database.read() as work:
        found = work.keys.all(principal.organization.id)
    return PublicApiKeyList(items=[PublicApiKeyResponse.model_validate(_shape(key)) for key in found])


@router.post("", status_code=201, responses={**documented(), **_MADE}, summary="Make an API key")
def create_key(api: Context, principal: Administrator, body: PublicApiKeyCreate, once: Repeatable) -> PublicApiKeyCreated:
    """Make a key. It is shown this once."""
    expires = None if body.expires_in_days is None else body.expires_in_days * DAY
    with api.database.work() as work:
        made, key = work.keys.create(
            principal.organization.id, body.name, api.secret, scopes=body.scopes or (), expires_in=expires, created_by=principal.name
        )
        answer = PublicApiKeyCreated.model_validate({**_shape(work.keys.get(made)), "key": key})
        once.keep(work, 201, answer.model_copy(update={"key": None}))
        return answer


@router.post("/{key_id}/rotate", status_code=201, responses=documented(404, 409), summary="Rotate an API key")
def rotate_key(
    api: Context, principal: Administrator, key_id: KeyPath, once: Repeatable, body: PublicApiKeyRotate | None = None
) -> PublicApiKeyCreated:
    """Make a key with the name and scopes of an old one, which holds for a day more, or as long as is said."""
    overlap = (body or PublicApiKeyRotate()).overlap_days * DAY
    organization = principal.organization.id
    with api.database.work() as work:
        try:
            work.keys.get(key_id, organization)
        except StaleWrite:
            raise not_found("key") from None
        try:
            made, key = work.keys.rotate(key_id, api.secret, overlap, principal.name, organization)
        except StaleWrite as error:
            raise wrong_state(error.message) from None
        answer = PublicApiKeyCreated.model_validate({**_shape(work.keys.get(made)), "key": key})
        once.keep(work, 201, answer.model_copy(update={"key": None}))
        return answer


@router.delete("/{key_id}", responses=documented(404), summary="Revoke an API key")
def revoke_key(api: Context, principal: Administrator, key_id: KeyPath) -> PublicApiKeyResponse:
    """It opens nothing any more. Revoking it once more changes nothing."""
    with api.database.work() as work:
        try:
            work.keys.revoke(key_id, principal.name, principal.organization.id)
            return PublicApiKeyResponse.model_validate(_shape(work.keys.get(key_id, principal.organization.id)))
        except StaleWrite:
            raise not_found("key") from None
