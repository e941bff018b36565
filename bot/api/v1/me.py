"""GET /me: who asks."""

from __future__ import annotations

from fastapi import APIRouter

from bot.api.context import Context, Reader, when
from bot.api.errors import documented
from bot.api.schemas import PublicApiKeyInfo, PublicMeResponse, PublicQuotaPeriod
from pipeline.model.account import Scope
from pipeline.quota import period_of

router = APIRouter(tags=["Account"])


@router.get("/me", responses=documented(), summary="Get Public Api Me")
def me(api: Context, principal: Reader) -> PublicMeResponse:
    """Return safe metadata for the credential that asks: its organization, its scopes, and the period of its quotas."""
    organization = principal.organization
    period = period_of(api.database.now())
    return PublicMeResponse(
        organization_id=organization.id,
        organization_name=organization.name,
        organization_slug=organization.slug,
        api_key=PublicApiKeyInfo(
            id=principal.id,
            name=principal.name,
            key_prefix=principal.prefix,
            scopes=[scope for scope in Scope if scope in principal.scopes],
        ),
        quota_period=PublicQuotaPeriod(period_start=when(period.start), period_end=when(period.end)),
    )
