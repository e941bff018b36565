"""What processes share: the cache of results, and the sealed memory of hosts with its locks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.errors import StoreError, StoreUnavailable
from pipeline.ports import HostMemory
from pipeline.store.engine import Database
from pipeline.store.host_memory import StoredHostMemory
from tests.unit.store.samples import HOSTILE, envelope, let_pass

KEY = bytes(range(32))


@pytest.fixture
def memory(database: Database) -> HostMemory:
    return StoredHostMemory(database, KEY)


def test_the_cache_gives_back_what_was_put(database: Database) -> None:
    entries = {os.urandom(32): os.urandom(number % 50) for number in range(700)}
    with database.work() as work:
        work.cache.put_many(entries)
        work.cache.put_many({next(iter(entries)): b"newer"})
    entries[next(iter(entries))] = b"newer"
    with database.read() as work:
        assert work.cache.get_many([*entries, b"unknown", *entries]) == entries
        assert work.cache.get_many([]) == {}


def age(database: Database, key: bytes, days: float) -> None:
    with database.work() as work:
        statement = text("UPDATE scan_cache SET used_at = used_at - :seconds WHERE key = :key")
        work.transaction.connection.execute(statement, {"seconds": days * 86_400, "key": key})


def test_the_cache_forgets_what_was_not_used_for_long(database: Database) -> None:
    with database.work() as work:
        work.cache.put_many({b"old": b"1", b"used": b"2", b"new": b"3"})
    age(database, b"old", 31)
    age(database, b"used", 31)
    with database.work() as work:
        work.cache.touch([b"used"])
        assert work.cache.trim() == 1
        assert set(work.cache.get_many([b"old", b"used", b"new"])) == {b"used", b"new"}


def test_a_cache_that_is_too_large_loses_the_least_recently_used(database: Database) -> None:
    with database.work() as work:
        work.cache.put_many({bytes([number]): b"x" * 100 for number in range(10)})
    for number in range(10):
        age(database, bytes([number]), 10 - number)
    with database.work() as work:
        assert work.cache.trim(max_bytes=350) == 7
        assert set(work.cache.get_many([bytes([number]) for number in range(10)])) == {b"\x07", b"\x08", b"\x09"}


def test_a_value_is_kept_until_it_expires(memory: HostMemory) -> None:
    assert memory.get(HOSTILE) is None
    memory.put(HOSTILE, b"token", 60)
    assert memory.get(HOSTILE) == b"token"
    memory.put(HOSTILE, b"", 0.2)
    assert memory.get(HOSTILE) == b""
    time.sleep(0.3)
    assert memory.get(HOSTILE) is None


def test_values_are_sealed_and_bound_to_their_name(database: Database, memory: HostMemory) -> None:
    word = b"ghs_" + b"canary" * 5
    memory.put("token:1", word, 60)
    memory.put("token:2", b"other", 60)
    with database.work() as work:
        sealed = [bytes(value) for value in work.transaction.execute(text("SELECT value FROM host_memory")).scalars()]
        assert not any(word in value or b"canary" in value for value in sealed)
        work.transaction.execute(text("UPDATE host_memory SET value = (SELECT value FROM host_memory WHERE key = 'token:1')"))
    assert memory.get("token:1") == word
    assert memory.get("token:2") is None, "a value under another name is no value"
    assert StoredHostMemory(database, bytes(32)).get("token:1") is None, "nor is one that another key sealed"


def test_a_damaged_value_is_no_value(database: Database, memory: HostMemory) -> None:
    memory.put("key", b"value", 60)
    with database.work() as work:
        work.transaction.connection.execute(text("UPDATE host_memory SET value = :value"), {"value": b"short"})
    assert memory.get("key") is None
    assert memory.compare_and_set("key", None, b"new", 60)
    assert memory.get("key") == b"new"


def test_a_value_is_replaced_only_when_it_is_the_expected_one(memory: HostMemory) -> None:
    assert not memory.compare_and_set("key", b"nothing there", b"1", 60)
    assert memory.compare_and_set("key", None, b"1", 60)
    assert not memory.compare_and_set("key", None, b"2", 60)
    assert memory.compare_and_set("key", b"1", b"2", 0.2)
    assert memory.get("key") == b"2"
    time.sleep(0.3)
    assert not memory.compare_and_set("key", b"2", b"3", 60), "an expired value is absent"
    assert memory.compare_and_set("key", None, b"3", 60)


def test_of_many_who_compare_and_set_at_once_one_wins(memory: HostMemory) -> None:
    for old in (None, b"start"):
        if old is not None:
            memory.put("key", old, 60)
        barrier = threading.Barrier(6)

        def swap(number: int, barrier: threading.Barrier = barrier, old: bytes | None = old) -> bool:
            barrier.wait()
            return memory.compare_and_set("key", old, b"new %d" % number, 60)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(swap, range(6))).count(True) == 1


def test_a_lock_lets_one_in_at_a_time(memory: HostMemory) -> None:
    inside, most = 0, 0

    def enter(_: int) -> None:
        nonlocal inside, most
        with memory.lock(HOSTILE, 20):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(enter, range(12)))
    assert most == 1


def test_who_waits_too_long_for_a_lock_is_told(memory: HostMemory) -> None:
    with memory.lock("key", 30):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"), memory.lock("key", 0.5):
            raise AssertionError("two are inside")
        assert time.monotonic() - started < 5
        with memory.lock("another key", 1):
            pass


def test_a_lock_whose_holder_died_is_free_after_its_time_and_the_late_holder_frees_nothing(memory: HostMemory) -> None:
    late = memory.lock("key", 0.3)
    late.__enter__()
    with memory.lock("key", 5):
        late.__exit__(None, None, None)
        with pytest.raises(StoreUnavailable), memory.lock("key", 0.3):
            raise AssertionError("two are inside")


DIES = """
import os, sys
from pipeline.store.engine import Database
from pipeline.store.host_memory import StoredHostMemory
held = StoredHostMemory(Database.open(sys.argv[1]), bytes(32), held_seconds=0.4).lock("key", 60)
held.__enter__()
os._exit(0)
"""


def test_the_lock_of_a_process_that_was_killed_is_free_long_before_its_time(database: Database) -> None:
    subprocess.run([sys.executable, "-c", DIES, database.url], check=True, timeout=30, cwd=Path(__file__).parents[3])
    with StoredHostMemory(database, KEY).lock("key", 10):
        pass


def test_who_lives_keeps_a_lock_for_as_long_as_it_may_and_no_longer(database: Database) -> None:
    memory = StoredHostMemory(database, KEY, held_seconds=0.3)
    with memory.lock("key", 1.5):
        with pytest.raises(StoreUnavailable), memory.lock("key", 1.0):
            raise AssertionError("two are inside")
        with memory.lock("key", 5):
            pass


def test_a_lock_is_freed_by_an_exception(memory: HostMemory) -> None:
    with pytest.raises(ZeroDivisionError), memory.lock("key", 30):
        raise ZeroDivisionError
    with memory.lock("key", 0.5):
        pass


def test_expired_values_are_purged(database: Database) -> None:
    memory = StoredHostMemory(database, KEY)
    memory.put("gone", b"1", 0)
    memory.put("kept", b"2", 60)
    assert memory.purge() == 1
    assert memory.get("kept") == b"2"


def test_transactions_of_one_thread_do_not_nest(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(envelope())
        with pytest.raises(StoreError, match="already"), database.work():
            raise AssertionError("this would wait for itself")
        with database.read() as other:
            assert other.outbox.backlog().waiting == 0, "a reader sees what is committed"
    with database.work() as work:
        assert work.outbox.backlog().waiting == 1


def test_tidying_takes_what_is_old_and_nothing_else(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(envelope("done"), envelope("waiting"))
        claimed = work.outbox.claim(work.outbox.publishable(1)[0].message_id, "me")
        assert claimed is not None
        work.outbox.finish(claimed.id, claimed.epoch)
        work.cache.put_many({b"old": b"1", b"new": b"2"})
        assert work.tidy() == 0
    let_pass(database, 8 * 86_400)
    age(database, b"old", 31)
    with database.work() as work:
        assert work.tidy() == 2
        assert work.outbox.backlog().waiting == 1
        assert set(work.cache.get_many([b"old", b"new"])) == {b"new"}


def test_a_child_process_has_connections_of_its_own(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(envelope("parent"))
        of_parent = work.transaction.connection.connection.dbapi_connection
    child = os.fork()
    if child == 0:
        try:
            database.dispose_after_fork()
            with database.work() as work:
                work.outbox.send(envelope("child"))
                shared = work.transaction.connection.connection.dbapi_connection is of_parent
            database.dispose()
            os._exit(1 if shared else 0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with database.work() as work:
        assert work.outbox.backlog().waiting == 2
        assert work.transaction.connection.connection.dbapi_connection is of_parent, "the child closed nothing of ours"


def test_the_clock_of_the_database_is_near_ours(database: Database) -> None:
    assert abs(database.now() - time.time()) < 5


def test_a_full_disk_is_said_so_and_harms_nothing(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'fixwright.db'}")
    database.migrate()
    with database.work() as work:
        work.outbox.send(envelope("before"))
    with pytest.raises(StoreUnavailable, match="full"), database.work() as work:
        pages = work.transaction.execute(text("PRAGMA page_count")).scalar_one()
        work.transaction.execute(text(f"PRAGMA max_page_count = {pages}"))
        work.cache.put_many({bytes([number]): os.urandom(4000) for number in range(100)})
    database.dispose()
    with database.work() as work:
        assert work.outbox.backlog().waiting == 1
        assert work.transaction.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    database.dispose()
