"""Right before a request that changes something, the clock says whether the lease can have run out."""

from __future__ import annotations

import pytest

from pipeline.errors import LeaseLost, StoreUnavailable
from pipeline.fence import Fence, before_a_write, fenced


class Lease:
    """Eight seconds of a lease, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.renewals = 0
        self.trouble: Exception | None = None
        self.fence = Fence(8.0, self.renew, self.now, lambda: self.now)

    def renew(self) -> None:
        self.renewals += 1
        if self.trouble is not None:
            raise self.trouble


def test_nobody_is_asked_while_the_lease_surely_holds() -> None:
    lease = Lease()
    lease.now += 7.9
    with fenced(lease.fence):
        before_a_write()
    assert lease.renewals == 0


def test_a_process_that_stood_still_asks_before_it_writes_and_goes_on_with_what_is_still_its_own() -> None:
    lease = Lease()
    lease.now += 8.0
    with fenced(lease.fence):
        before_a_write()
        before_a_write()
    assert lease.renewals == 1


@pytest.mark.parametrize("trouble", [LeaseLost("taken over"), StoreUnavailable("no database")])
def test_what_is_not_known_to_be_ours_is_not_written(trouble: Exception) -> None:
    lease = Lease()
    lease.now += 60.0
    lease.trouble = trouble
    with fenced(lease.fence), pytest.raises(type(trouble)):
        before_a_write()


def test_a_renewal_counts_from_its_question_and_not_from_its_late_answer() -> None:
    lease = Lease()

    def slowly() -> None:
        lease.renewals += 1
        lease.now += 5.0

    lease.fence = Fence(8.0, slowly, lease.now, lambda: lease.now)
    lease.fence.renewed()
    lease.now += 3.0
    lease.fence.look()
    assert lease.renewals == 2


def test_outside_of_a_message_nothing_is_looked_at() -> None:
    before_a_write()
