"""Results of file-local engines by what they depend on, so that the cost of a push follows its diff.

A key is a digest over (engine, version, rules, path, blob), a value whatever the caller made; both are opaque here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select, update

from pipeline.store.columns import database_now
from pipeline.store.tables import scan_cache
from pipeline.store.transaction import Transaction, chunks

MAX_BYTES = 512 * 1024 * 1024
"""Of all values together."""

MAX_AGE_SECONDS = 30 * 86_400.0
"""Since the last use."""

_KIND = "scan_cache"
_TOUCH_SECONDS = 86_400.0


class Cache:
    """The cache. Part of a `Work`; `get_many` may also be used in a reading one."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that exist, by key."""
        found: dict[bytes, bytes] = {}
        for chunk in chunks(dict.fromkeys(keys)):
            rows = self._transaction.execute(select(scan_cache.c.key, scan_cache.c.value).where(scan_cache.c.key.in_(chunk)))
            opened = {bytes(row.key): self._transaction.vault.open(_KIND, bytes(row.value)) for row in rows}
            found.update({key: value for key, value in opened.items() if value is not None})
        return found

    def put_many(self, entries: Mapping[bytes, bytes], repository: str = "") -> None:
        """Store values, replacing what was there. `repository`: our id of the one that they quote, for its purge."""
        rows = [
            {"key": key, "value": value, "size": len(value), "used_at": database_now(), "repository_id": repository}
            for key, value in ((key, self._transaction.vault.close(_KIND, entries[key])) for key in sorted(entries))
        ]
        self._transaction.upsert(scan_cache, rows, ["key"], ["value", "size", "used_at", "repository_id"])

    def touch(self, keys: Sequence[bytes]) -> None:
        """These were used: keep them longer. Writes at most once a day for each."""
        stale = scan_cache.c.used_at < database_now() - _TOUCH_SECONDS
        for chunk in chunks(sorted(set(keys))):
            self._transaction.changed(update(scan_cache).where(scan_cache.c.key.in_(chunk), stale).values(used_at=database_now()))

    def trim(self, *, max_bytes: int = MAX_BYTES, max_age_seconds: float = MAX_AGE_SECONDS, limit: int = 5000) -> int:
        """Delete what was not used for long, then, while it is too large, the least recently used; at most `limit` of each. How many."""
        old = scan_cache.c.used_at < database_now() - max_age_seconds
        keys = select(scan_cache.c.key).where(old).limit(limit).subquery()
        deleted = self._transaction.changed(delete(scan_cache).where(scan_cache.c.key.in_(select(keys.c.key))))
        surplus = int(self._transaction.execute(select(func.coalesce(func.sum(scan_cache.c.size), 0))).scalar_one()) - max_bytes
        if surplus <= 0:
            return deleted
        doomed = []
        for row in self._transaction.execute(
            select(scan_cache.c.key, scan_cache.c.size).order_by(scan_cache.c.used_at, scan_cache.c.key).limit(limit)
        ):
            if surplus <= 0:
                break
            doomed.append(bytes(row.key))
            surplus -= row.size
        for chunk in chunks(doomed):
            deleted += self._transaction.changed(delete(scan_cache).where(scan_cache.c.key.in_(chunk)))
        return deleted
