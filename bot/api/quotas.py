"""Units of quotas, as routes take them."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.api.context import Api
from bot.api.errors import ApiError
from pipeline.model.account import Principal
from pipeline.quota import Counter, period_of
from pipeline.store.work import Work


def reserve(api: Api, work: Work, principal: Principal, counter: Counter, subject: str) -> None:
    """Take a unit in the transaction that accepts the work.

    Args:
        subject: what it is for: `batch:ID`, `fix:ID`. The same one takes one unit, however often it is reserved.

    Raises:
        ApiError: 403, as the specification says it; the transaction must not be committed then.
    """
    period = period_of(work.outbox.now())
    plan = api.plans.of(principal.organization.plan)
    if not work.quotas.reserve(principal.organization.id, plan, counter, period, subject):
        end = datetime.fromtimestamp(period.end, UTC).isoformat().replace("+00:00", "Z")
        message = f"the plan '{plan.name}' has no {counter} left until {end[:10]}"
        raise ApiError(403, "OPERATION_FAILED", message, {"quota_type": str(counter), "period_end": end})


def needs_room(api: Api, work: Work, principal: Principal, before: int = 0) -> None:
    """After repositories changed: no more of them may be in use than the plan has.

    Args:
        before: how many were in use before the change, which may stay.

    Raises:
        ApiError: 403, as of `reserve`; the transaction must not be committed then.
    """
    plan = api.plans.of(principal.organization.plan)
    if not work.quotas.has_room(principal.organization.id, plan, before):
        message = f"the plan '{plan.name}' has {plan.repositories} source repositories, and more would be in use"
        raise ApiError(403, "OPERATION_FAILED", message, {"quota_type": "repositories"})
