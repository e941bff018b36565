"""First answers to a request that its caller may send once more: the second time they are given again, and nothing is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, select, update

from pipeline.store.columns import database_now
from pipeline.store.tables import idempotent_answers
from pipeline.store.transaction import Transaction

KEPT_SECONDS: Final = 86_400.0
"""For which an answer is given again."""

WORKED_SECONDS: Final = 120.0
"""After which a request whose answer never came may be begun anew: nothing of it was committed (`keep` stands in the same transaction)."""

_KIND: Final = "idempotent_answers"


@dataclass(frozen=True, slots=True)
class Repeated:
    """An answer that was given before."""

    status: int
    body: bytes


class RepeatedAnswers:
    """Answers by caller and key. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, caller: str, key: str, request: str, repository: str) -> Literal["new", "busy", "other"] | Repeated:
        """A request with a key begins.

        Args:
            caller: id of who asks.
            key: digest of what the caller chose.
            request: digest of everything that the request is.
            repository: id of the repository that it is about, with which its answer goes; may be empty.

        Returns:
            `new`: do it. `busy`: another request with this key is being answered. `other`: the key belongs to another request. Else the
            answer of then.
        """
        mine = (idempotent_answers.c.caller == caller, idempotent_answers.c.key == key)
        self._transaction.execute(delete(idempotent_answers).where(*mine, idempotent_answers.c.expires_at < database_now()))
        row = {
            "caller": caller,
            "key": key,
            "request": request,
            "repository_id": repository,
            "created_at": database_now(),
            "expires_at": database_now() + WORKED_SECONDS,
        }
        if self._transaction.add_missing(idempotent_answers, [row], ["caller", "key"]):
            return "new"
        found = self._transaction.one(select(idempotent_answers).where(*mine), "the key was let go just now")
        if found.request != request:
            return "other"
        if found.status is None:
            return "busy"
        body = self._transaction.vault.open(_KIND, found.answer)
        return "busy" if body is None else Repeated(int(found.status), body)

    def keep(self, caller: str, key: str, status: int, body: bytes) -> None:
        """The answer, in the transaction of what was done; the first one stands."""
        mine = (idempotent_answers.c.caller == caller, idempotent_answers.c.key == key, idempotent_answers.c.status.is_(None))
        values = {"status": status, "answer": self._transaction.vault.close(_KIND, body), "expires_at": database_now() + KEPT_SECONDS}
        self._transaction.execute(update(idempotent_answers).where(*mine).values(values))

    def let_go(self, caller: str, key: str) -> None:
        """Nothing was done: the key may be used again."""
        mine = (idempotent_answers.c.caller == caller, idempotent_answers.c.key == key, idempotent_answers.c.status.is_(None))
        self._transaction.execute(delete(idempotent_answers).where(*mine))

    def purge(self) -> int:
        """Forget answers whose time is over; how many."""
        return self._transaction.changed(delete(idempotent_answers).where(idempotent_answers.c.expires_at < database_now()))
