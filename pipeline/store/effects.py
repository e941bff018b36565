"""Write-ahead of calls to a host: what we were about to do, and what came of it.

After a crash between a call and the commit, an effect that is only `intended` is looked for on the host before it is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import and_, select, update

from pipeline.model.target import PullRequestRef
from pipeline.store.columns import database_now
from pipeline.store.installations import Installations
from pipeline.store.tables import effects, threads
from pipeline.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Effect:
    """One call to a host."""

    key: str
    """Deterministic: `check:<review>`."""
    state: Literal["intended", "done"]
    remote_id: str
    """The host's number of what was made; empty while it is intended."""
    epoch: int
    """Epoch of the lease under which it was intended last."""


class Effects:
    """Effects, and the threads that we opened. Part of a `Work`."""

    def __init__(self, transaction: Transaction, installations: Installations) -> None:
        self._transaction = transaction
        self._installations = installations

    def intend(self, key: str, epoch: int) -> Effect | None:
        """About to make a call; commit before making it. Returns what was known before: None the first time."""
        before = self.get(key)
        row = {"key": key, "state": "intended", "epoch": epoch, "created_at": database_now(), "updated_at": database_now()}
        self._transaction.upsert(effects, [row], ["key"], ["state", "epoch", "updated_at"])
        return before

    def done(self, key: str, remote_id: str) -> None:
        """The call was made; the host calls the result `remote_id`."""
        row = {
            "key": key,
            "state": "done",
            "remote_id": remote_id,
            "epoch": 0,
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        self._transaction.upsert(effects, [row], ["key"], ["state", "remote_id", "updated_at"])

    def next(self, key: str) -> int:
        """Count up: 1, 2, 3. Whoever finds another number than his own later was overtaken."""
        row = {"key": key, "state": "intended", "epoch": 1, "created_at": database_now(), "updated_at": database_now()}
        statement = self._transaction.insert(effects).values(row)
        count = {"epoch": effects.c.epoch + 1, "updated_at": database_now()}
        counted = statement.on_conflict_do_update(index_elements=["key"], set_=count).returning(effects.c.epoch)
        return int(self._transaction.execute(counted).scalar_one())

    def get(self, key: str) -> Effect | None:
        """What is known of an effect."""
        columns = (effects.c.key, effects.c.state, effects.c.remote_id, effects.c.epoch)
        row = self._transaction.execute(select(*columns).where(effects.c.key == key)).one_or_none()
        return None if row is None else Effect(row.key, row.state, row.remote_id, row.epoch)

    def remember_threads(self, ref: PullRequestRef, opened: Mapping[str, str]) -> None:
        """Keep what our threads on the host are about: fingerprint -> the host's number of the thread."""
        repository_id = self._installations.identify(ref.repository)
        by_thread = {remote_id: fingerprint for fingerprint, remote_id in opened.items() if remote_id}
        rows = [
            {
                "repository_id": repository_id,
                "pull_request": ref.number,
                "remote_id": remote_id,
                "fingerprint": by_thread[remote_id],
                "created_at": database_now(),
            }
            for remote_id in sorted(by_thread)
        ]
        self._transaction.upsert(threads, rows, ["repository_id", "pull_request", "remote_id"], ["fingerprint"])

    def thread_resolved(self, ref: PullRequestRef, remote_id: str, by: Literal["us", "person", ""], *, unless_us: bool = False) -> None:
        """Somebody resolved one of our threads, or opened it again (empty). A thread that is not ours is nobody's business.

        Args:
            by: `person` is everybody else, also another machine.
            unless_us: leave it alone where we resolved it ourselves.
        """
        repository_id = self._installations.find_repository(ref.repository)
        mine = (threads.c.repository_id == repository_id, threads.c.pull_request == ref.number, threads.c.remote_id == remote_id)
        told = and_(*mine, threads.c.resolved != "us") if unless_us else and_(*mine)
        self._transaction.execute(update(threads).where(told).values(resolved=by))

    def threads_resolved(self, ref: PullRequestRef) -> dict[str, str]:
        """By whom our threads on a pull request are resolved: the host's number -> "us", "person"; open ones are left out."""
        repository_id = self._installations.find_repository(ref.repository)
        statement = select(threads.c.remote_id, threads.c.resolved).where(
            threads.c.repository_id == repository_id, threads.c.pull_request == ref.number, threads.c.resolved != ""
        )
        return {row.remote_id: row.resolved for row in self._transaction.execute(statement)}

    def threads(self, ref: PullRequestRef) -> dict[str, str]:
        """Every thread that we opened on a pull request: fingerprint -> the host's number of the newest thread about it."""
        repository_id = self._installations.find_repository(ref.repository)
        statement = select(threads.c.fingerprint, threads.c.remote_id)
        statement = statement.where(threads.c.repository_id == repository_id, threads.c.pull_request == ref.number)
        rows = self._transaction.execute(statement.order_by(threads.c.created_at, threads.c.remote_id))
        return {row.fingerprint: row.remote_id for row in rows}

    def fingerprint_of_thread(self, ref: PullRequestRef, remote_id: str) -> str:
        """Fingerprint of the finding that a thread of ours is about; empty for a thread that is not ours."""
        repository_id = self._installations.find_repository(ref.repository)
        statement = select(threads.c.fingerprint).where(
            threads.c.repository_id == repository_id, threads.c.pull_request == ref.number, threads.c.remote_id == remote_id
        )
        return str(self._transaction.execute(statement).scalar_one_or_none() or "")
