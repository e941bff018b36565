"""A database that is busy at the wrong moment: nothing is half-recorded, and the next look does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text, update

from bot.jobs import take_back
from pipeline.errors import StoreUnavailable
from pipeline.messages import Envelope, SettleReview
from pipeline.model.review import ReviewStatus
from pipeline.store.engine import Database
from pipeline.store.outbox import MAX_CRASHES
from pipeline.store.tables import outbox, reviews
from tests.unit.store.samples import review


@pytest.fixture
def relay(database: Database) -> Iterator[Database]:
    """Another process's view of the same database."""
    opened = Database.open(database.url)
    yield opened
    opened.dispose()


def test_a_message_is_not_dead_before_its_end_can_be_recorded(database: Database, relay: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite has one writer at a time: nobody can hold a row against the sweep")
    with database.work() as work:
        identifier = review(work)
        work.outbox.send(Envelope(SettleReview(identifier), "settle"))
        (due,) = work.outbox.publishable(1)
        assert work.outbox.claim(due.message_id, "a worker that dies", seconds=-1.0) is not None
        work.transaction.execute(update(outbox).values(crashes=MAX_CRASHES - 1))
    with database.work() as work:
        work.transaction.execute(select(reviews.c.id).where(reviews.c.id == identifier).with_for_update())
        with pytest.raises(StoreUnavailable), relay.work() as sweeping:
            sweeping.transaction.execute(text("SET LOCAL lock_timeout = '200ms'"))
            take_back(sweeping)
        assert work.outbox.dead_ids() == []
    with relay.work() as sweeping:
        take_back(sweeping)
    with database.read() as work:
        assert work.outbox.dead_ids() == [due.message_id]
        assert work.reviews.get(identifier).status is ReviewStatus.FAILED
