"""Small values that all processes share: tokens, ETags, budgets. Sealed at rest: a copy of the database holds no token."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, select, update

from pipeline.errors import StoreError, StoreUnavailable
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.identifiers import new_id
from pipeline.store.seal import Seal
from pipeline.store.tables import host_locks, host_memory
from pipeline.store.work import Work

log = logging.getLogger(__name__)

_SHORTEST_WAIT, _LONGEST_WAIT = 0.01, 0.2

_LIVE: Final = select(host_memory.c.value, host_memory.c.version).where(
    host_memory.c.key == bindparam("wanted"), host_memory.c.expires_at > database_now()
)
"""Put together once: it is asked some times for every call to a host."""

HELD_SECONDS: Final = 8.0
"""A lock whose holder died is free after so long, as its message is (`pipeline.store.outbox.LEASE_SECONDS`); who lives renews it four
times as often."""


class StoredHostMemory:
    """`pipeline.ports.HostMemory` in the database.

    Args:
        database: where.
        key: 32 bytes, for `Seal`; the name of a value is sealed with it, so that values cannot be swapped.
        held_seconds: see HELD_SECONDS.
    """

    def __init__(self, database: Database, key: bytes, *, held_seconds: float = HELD_SECONDS) -> None:
        self._database, self._held = database, held_seconds
        self._seal = Seal(key)

    def get(self, key: str) -> bytes | None:
        """The value; None when it is absent, expired, or was sealed with another key."""
        with self._database.read() as work:
            row = self._row(work, key)
        return None if row is None else self._seal.unseal(key, row.value)

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store for `seconds`, replacing what was there."""
        row = {"key": key, "value": self._seal.seal(key, value), "version": new_id(), "expires_at": database_now() + seconds}
        with self._database.work() as work:
            work.transaction.upsert(host_memory, [row], ["key"], ["value", "version", "expires_at"])

    def compare_and_set(self, key: str, old: bytes | None, new: bytes, seconds: float) -> bool:
        """Store `new` only when the live value is `old` (None: absent). True when it was stored."""
        sealed = {"value": self._seal.seal(key, new), "version": new_id(), "expires_at": database_now() + seconds}
        with self._database.work() as work:
            row = self._row(work, key)
            live = None if row is None else self._seal.unseal(key, row.value)
            if live != old:
                return False
            if row is not None:
                # Sealed values never look alike, so the version says whether it is still the value that was compared.
                same = (host_memory.c.key == key, host_memory.c.version == row.version)
                return work.transaction.changed(update(host_memory).where(*same).values(sealed)) == 1
            statement = work.transaction.insert(host_memory).values(key=key, **sealed)
            expired = host_memory.c.expires_at <= database_now()
            return work.transaction.changed(statement.on_conflict_do_update(index_elements=["key"], set_=sealed, where=expired)) == 1

    @contextmanager
    def lock(self, key: str, seconds: float) -> Iterator[None]:
        """Wait until nobody else holds `key`, at most `seconds`; held for at most `seconds`, after which somebody else may take it. He may
        after HELD_SECONDS when this process has died.

        Raises:
            StoreUnavailable: somebody else held it all the time.
        """
        owner, deadline, wait = new_id(), time.monotonic() + seconds, _SHORTEST_WAIT
        while not self._take(key, owner, min(seconds, self._held)):
            if time.monotonic() + wait > deadline:
                raise StoreUnavailable(f"'{key}' has been locked by another process for {seconds:.0f} s")
            time.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)
        ended, until = threading.Event(), time.monotonic() + seconds
        # In the context of the caller: what it logs belongs to the same message.
        args = (self._keep, key, owner, until, ended)
        threading.Thread(target=copy_context().run, args=args, name="host-lock", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            with self._database.work() as work:
                work.transaction.changed(delete(host_locks).where(host_locks.c.key == key, host_locks.c.owner == owner))

    def _keep(self, key: str, owner: str, until: float, ended: threading.Event) -> None:
        """Renew a lock until it has `ended`, or was held for as long as it may."""
        mine = (host_locks.c.key == key, host_locks.c.owner == owner)
        while not ended.wait(self._held / 4) and (left := until - time.monotonic()) > 0:
            renewed = update(host_locks).where(*mine).values(expires_at=database_now() + min(left, self._held))
            try:
                with self._database.work() as work:
                    if not work.transaction.changed(renewed):
                        return
            except StoreError as error:
                log.warning("host_lock.not_renewed", extra={"code": error.code})

    def purge(self) -> int:
        """Delete what has expired; how many rows that were."""
        with self._database.work() as work:
            values = work.transaction.changed(delete(host_memory).where(host_memory.c.expires_at <= database_now()))
            return values + work.transaction.changed(delete(host_locks).where(host_locks.c.expires_at <= database_now()))

    def _take(self, key: str, owner: str, seconds: float) -> bool:
        mine = {"owner": owner, "expires_at": database_now() + seconds}
        with self._database.work() as work:
            statement = work.transaction.insert(host_locks).values(key=key, **mine)
            expired = host_locks.c.expires_at <= database_now()
            return work.transaction.changed(statement.on_conflict_do_update(index_elements=["key"], set_=mine, where=expired)) == 1

    def _row(self, work: Work, key: str) -> Row[Any, Any] | None:
        return work.transaction.connection.execute(_LIVE, {"wanted": key}).one_or_none()
