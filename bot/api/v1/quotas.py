"""GET /quotas/balance: what is left in this period."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bot.api.context import Context, Reader, when
from bot.api.errors import documented
from pipeline.quota import UNLIMITED, Counter, period_of
from pipeline.store.quotas import Balance

router = APIRouter(prefix="/quotas", tags=["Quotas"])


class PublicQuotaCounter(BaseModel):
    """One counter."""

    plan: int = Field(description="Units that the plan has; 1,000,000,000 when it has no limit.")
    topup: int
    used: int
    remaining: int
    unlimited: bool = Field(description="Not in the original contract.")


class PublicQuotaRepositories(BaseModel):
    """How many source repositories are in use."""

    max: int | None = Field(default=None, description="null: no limit.")
    current: int = Field(description="Those in use. May be more than `max`: what is installed on the code host is worked on.")


class PublicQuotaBalanceResponse(BaseModel):
    """What is left in this period."""

    period_start: datetime
    period_end: datetime
    prs: PublicQuotaCounter
    sast_scans: PublicQuotaCounter
    deep_ai_scans: PublicQuotaCounter
    repositories: PublicQuotaRepositories
    plan: str = Field(description="Not in the original contract.")
    unlimited: bool = Field(description="Not in the original contract: true when no counter has a limit.")


@router.get("/balance", responses=documented(), summary="Return the current-period quota balance")
def balance(api: Context, principal: Reader) -> PublicQuotaBalanceResponse:
    """Check this before starting a scan or a fix: where `remaining` is zero, the POST is answered 403 `OPERATION_FAILED` with the
    `quota_type`."""
    organization = principal.organization
    plan = api.plans.of(organization.plan)
    with api.database.read() as work:
        period = period_of(work.outbox.now())
        counters = work.quotas.balance(organization.id, plan, period)
        number = work.quotas.repositories(organization.id)
    return PublicQuotaBalanceResponse(
        period_start=when(period.start),
        period_end=when(period.end),
        prs=_counter(counters[Counter.PRS]),
        sast_scans=_counter(counters[Counter.SAST_SCANS]),
        deep_ai_scans=_counter(counters[Counter.DEEP_AI_SCANS]),
        repositories=PublicQuotaRepositories(max=plan.repositories, current=number),
        plan=plan.name,
        unlimited=not plan.counters and plan.repositories is None,
    )


def _counter(one: Balance) -> PublicQuotaCounter:
    limited = one.plan is not None
    plan = one.plan if one.plan is not None else UNLIMITED
    remaining = one.remaining if one.remaining is not None else max(1, UNLIMITED - one.used)
    return PublicQuotaCounter(plan=plan, topup=one.topup, used=one.used, remaining=remaining, unlimited=not limited)
