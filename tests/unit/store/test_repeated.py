"""A request that is sent twice is done once, whatever happens between."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update

from pipeline.errors import StaleWrite
from pipeline.store.engine import Database
from pipeline.store.organizations import DEFAULT
from pipeline.store.repeated import WORKED_SECONDS, Begun, Repeated
from pipeline.store.seal import Seal, Vault
from pipeline.store.tables import idempotent_answers


def begin(database: Database, caller: str = "ada", request: str = "r1") -> object:
    with database.work() as work:
        return work.repeated.begin(caller, "k", request, "")


def keep(database: Database, begun: Begun, body: bytes) -> None:
    with database.work() as work:
        work.repeated.keep(begun, 201, body)


def let_time_pass(database: Database, seconds: float) -> None:
    with database.work() as work:
        moment = idempotent_answers.c.expires_at
        work.transaction.execute(update(idempotent_answers).values(expires_at=moment - seconds))


def test_one_that_took_too_long_leaves_nothing_behind_once_another_has_begun(database: Database) -> None:
    slow = begin(database)
    assert isinstance(slow, Begun)
    assert begin(database) == "busy"
    let_time_pass(database, WORKED_SECONDS + 1)
    second = begin(database)
    assert isinstance(second, Begun)
    with pytest.raises(StaleWrite, match="begun anew"):
        keep(database, slow, b"of the slow one")
    with database.work() as work:
        work.repeated.let_go(slow)
    assert begin(database) == "busy", "the second one is still at it"
    keep(database, second, b"of the second")
    keep(database, second, b"said once more")
    assert begin(database) == Repeated(201, b"of the second")


def test_a_key_that_took_the_place_of_another_is_the_same_caller(database: Database) -> None:
    with database.work() as work:
        work.organizations.settle(one_each=False)
        organization = work.organizations.named(DEFAULT).id
        old, _ = work.keys.create(organization, "ci", b"s" * 32)
        stranger, _ = work.keys.create(organization, "other", b"s" * 32)
    begun = begin(database, old)
    assert isinstance(begun, Begun)
    keep(database, begun, b"done")
    with database.work() as work:
        new, _ = work.keys.rotate(old, b"s" * 32, 3600.0, "ada")
    assert begin(database, new) == Repeated(201, b"done")
    assert begin(database, new, "r2") == "other"
    with database.work() as work:
        newest, _ = work.keys.rotate(new, b"s" * 32, 3600.0, "ada")
    assert begin(database, newest) == Repeated(201, b"done"), "through two of them"
    assert begin(database, old) == Repeated(201, b"done")
    assert isinstance(begin(database, stranger), Begun)


def test_the_old_key_hears_what_the_new_one_asked_while_both_hold(database: Database) -> None:
    with database.work() as work:
        work.organizations.settle(one_each=False)
        old, _ = work.keys.create(work.organizations.named(DEFAULT).id, "ci", b"s" * 32)
        new, _ = work.keys.rotate(old, b"s" * 32, 3600.0, "ada")
    begun = begin(database, new)
    assert isinstance(begun, Begun)
    keep(database, begun, b"done")
    assert begin(database, old) == Repeated(201, b"done")


def test_an_answer_that_cannot_be_opened_is_not_taken_for_one_that_comes(database: Database) -> None:
    begun = begin(database)
    assert isinstance(begun, Begun)
    keep(database, begun, b"done")
    with database.work() as work:
        work.transaction.execute(update(idempotent_answers).values(answer=Vault(Seal(b"o" * 32)).close("idempotent_answers", b"done")))
    assert begin(database) == "lost"
    with database.read() as work:
        assert work.transaction.execute(select(func.count()).select_from(idempotent_answers)).scalar_one() == 1
