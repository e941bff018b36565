"""What organizations have used. A unit is reserved when work is accepted, settled when it ends, and given back when it failed for a reason
of ours: in one statement, so that two who ask at once cannot spend the last one twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, func, select, update

from pipeline.model.ids import OrganizationId
from pipeline.quota import Counter, Period, Plan
from pipeline.store.columns import database_now
from pipeline.store.groups import alive, homes, own
from pipeline.store.tables import organizations, quota_reservations, quota_use, repositories, repository_groups
from pipeline.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Balance:
    """One counter in a period. `plan` None: no limit."""

    plan: int | None
    topup: int
    used: int
    """With what is reserved."""

    @property
    def remaining(self) -> int | None:
        """None: no limit."""
        return None if self.plan is None else max(0, self.plan + self.topup - self.used)


class Quotas:
    """Quotas. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def reserve(self, organization: OrganizationId, plan: Plan, counter: Counter, period: Period, subject: str) -> bool:
        """Take a unit for a subject (`batch:ID`, `fix:ID`), once, and once more after it was given back. False when none is left."""
        key = {"organization_id": organization, "counter": str(counter), "period": period.name}
        self._transaction.add_missing(quota_use, [{**key, "used": 0, "topup": 0}], ["organization_id", "counter", "period"])
        mine = and_(quota_use.c.organization_id == organization, quota_use.c.counter == str(counter), quota_use.c.period == period.name)
        limit = plan.of(counter)
        room = mine if limit is None else and_(mine, quota_use.c.used < limit + quota_use.c.topup)
        # The row stays locked until our commit: whoever asks at the same moment reads the number after ours.
        took = self._transaction.changed(update(quota_use).where(room).values(used=quota_use.c.used + 1)) == 1
        if took and self._reserved({**key, "subject": subject, "amount": 1, "state": "reserved"}):
            return True
        if took:
            self._transaction.execute(update(quota_use).where(mine).values(used=quota_use.c.used - 1))
        held = select(quota_reservations.c.subject).where(quota_reservations.c.subject == subject, quota_reservations.c.state != "refunded")
        return self._transaction.execute(held).first() is not None

    def _reserved(self, row: dict[str, Any]) -> bool:
        """True when the unit is this subject's now: it had none, or was given back the one that it had. False when it has one."""
        moments = {"created_at": database_now(), "updated_at": database_now()}
        if self._transaction.add_missing(quota_reservations, [row | moments], ["subject"]):
            return True
        again = update(quota_reservations).where(quota_reservations.c.subject == row["subject"], quota_reservations.c.state == "refunded")
        return self._transaction.changed(again.values(row | moments)) == 1

    def settle(self, subject: str) -> None:
        """What was reserved is spent."""
        self._end(subject, "settled")

    def refund(self, subject: str) -> None:
        """What was reserved is given back: the work failed for a reason of ours."""
        row = self._transaction.execute(select(quota_reservations).where(quota_reservations.c.subject == subject)).one_or_none()
        if row is None or not self._end(subject, "refunded"):
            return
        mine = (quota_use.c.organization_id == row.organization_id, quota_use.c.counter == row.counter, quota_use.c.period == row.period)
        self._transaction.execute(update(quota_use).where(*mine).values(used=quota_use.c.used - row.amount))

    def _end(self, subject: str, state: Literal["settled", "refunded"]) -> bool:
        reserved = update(quota_reservations).where(quota_reservations.c.subject == subject, quota_reservations.c.state == "reserved")
        return self._transaction.changed(reserved.values(state=state, updated_at=database_now())) == 1

    def balance(self, organization: OrganizationId, plan: Plan, period: Period) -> dict[Counter, Balance]:
        """Every counter in a period."""
        mine = select(quota_use).where(quota_use.c.organization_id == organization, quota_use.c.period == period.name)
        rows = {row.counter: row for row in self._transaction.execute(mine)}
        return {
            counter: Balance(plan.of(counter), rows[counter].topup if counter in rows else 0, rows[counter].used if counter in rows else 0)
            for counter in Counter
        }

    def top_up(self, organization: OrganizationId, counter: Counter, period: Period, units: int) -> None:
        """More units than the plan has, in one period."""
        key = {"organization_id": organization, "counter": str(counter), "period": period.name}
        self._transaction.add_missing(quota_use, [{**key, "used": 0, "topup": 0}], ["organization_id", "counter", "period"])
        mine = (quota_use.c.organization_id == organization, quota_use.c.counter == str(counter), quota_use.c.period == period.name)
        self._transaction.execute(update(quota_use).where(*mine).values(topup=quota_use.c.topup + units))

    def repositories(self, organization: OrganizationId) -> int:
        """How many source repositories of an organization are in use: one that is archived, also with the group it is in, switched off,
        or of a suspended installation, is not."""
        archived = select(repository_groups.c.id).where(
            repository_groups.c.organization_id == organization, repository_groups.c.archived_at.is_not(None)
        )
        used = (own(organization), alive(), repositories.c.group_id.not_in(archived))
        return int(self._transaction.execute(select(func.count(repositories.c.id)).select_from(homes()).where(*used)).scalar_one())

    def has_room(self, organization: OrganizationId, plan: Plan, before: int = 0) -> bool:
        """Whether no more source repositories are in use than the plan has, after a change in this transaction; others who change
        something there wait until it ends.

        Args:
            before: how many were in use before; a change that adds none is not refused for what was there.
        """
        if plan.repositories is None:
            return True
        self._transaction.execute(select(organizations.c.id).where(organizations.c.id == organization).with_for_update(key_share=True))
        return self.repositories(organization) <= max(plan.repositories, before)
