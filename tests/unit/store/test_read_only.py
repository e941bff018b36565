"""PostgreSQL that was made a copy of another: what is written to it is refused for now, not for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.errors import StoreUnavailable
from pipeline.store.engine import Database
from pipeline.store.intake import Intake, IntakeRow
from tests.databases import Postgres
from tests.unit.store.samples import envelope


@pytest.fixture
def switched(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """URL of a migrated database that writes, until the test switches it."""
    name = "switched_over"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _may_write(postgres: Postgres, yes: bool) -> None:
    value = "off" if yes else "on"
    postgres.execute(f"ALTER DATABASE switched_over SET default_transaction_read_only = {value}")


def test_who_writes_is_told_to_come_again_and_goes_on_with_another_connection(postgres: Postgres, switched: str) -> None:
    _may_write(postgres, yes=False)
    database = Database.open(switched)
    with pytest.raises(StoreUnavailable, match="read-only"), database.work() as work:
        work.outbox.send(envelope())
    _may_write(postgres, yes=True)
    with database.work() as work:
        work.outbox.send(envelope())
    database.dispose()


def test_a_delivery_is_refused_for_now_and_the_next_one_is_kept(postgres: Postgres, switched: str) -> None:
    _may_write(postgres, yes=False)
    intake = Intake.open(switched)
    intake.start()
    try:
        row = IntakeRow("github", "", "d1", "push", b"{}")
        with pytest.raises(StoreUnavailable):
            intake.submit(row, [envelope()]).result(10)
        _may_write(postgres, yes=True)
        assert intake.submit(row, [envelope()]).result(10)
    finally:
        intake.stop()
