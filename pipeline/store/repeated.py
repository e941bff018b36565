"""First answers to a request that its caller may send once more: the second time they are given again, and nothing is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import ColumnElement, delete, select, update

from pipeline.errors import StaleWrite
from pipeline.store.columns import database_now
from pipeline.store.tables import api_keys, idempotent_answers
from pipeline.store.transaction import Transaction

KEPT_SECONDS: Final = 86_400.0
"""For which an answer is given again."""

WORKED_SECONDS: Final = 120.0
"""After which a request whose answer never came may be begun anew: nothing of it was committed (`keep` stands in the same transaction)."""

MOST_ROTATIONS: Final = 50
"""Keys in a row of which each took the place of the one before: a bound, as anybody with the scope may rotate."""

_KIND: Final = "idempotent_answers"


@dataclass(frozen=True, slots=True)
class Repeated:
    """An answer that was given before."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that is to be done now."""

    caller: str
    key: str
    at: float
    """When it began, by the clock of the database: another one may begin in its place when it takes too long."""


class RepeatedAnswers:
    """Answers by caller and key. Part of a `Work`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, caller: str, key: str, request: str, repository: str) -> Begun | Literal["busy", "other", "lost"] | Repeated:
        """A request with a key begins.

        Args:
            caller: id of who asks. API keys that took each other's place are one caller.
            key: digest of what the caller chose.
            request: digest of everything that the request is.
            repository: id of the repository that it is about, with which its answer goes; may be empty.

        Returns:
            `Begun`: do it. `busy`: another request with this key is being answered. `other`: the key belongs to another request. `lost`: it
            was done, and what was answered cannot be opened any more. Else the answer of then.
        """
        caller = self._first(caller)
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
        new = self._transaction.add_missing(idempotent_answers, [row], ["caller", "key"])
        found = self._transaction.one(select(idempotent_answers).where(*mine), "the key was let go just now")
        if new:
            return Begun(caller, key, float(found.created_at))
        if found.request != request:
            return "other"
        if found.status is None:
            return "busy"
        body = self._transaction.vault.open(_KIND, found.answer)
        return "lost" if body is None else Repeated(int(found.status), body)

    def _first(self, caller: str) -> str:
        """The first of the API keys of which each took the place of the one before; who is none stays who it is."""
        for _ in range(MOST_ROTATIONS):
            before = self._transaction.execute(select(api_keys.c.id).where(api_keys.c.rotated_to == caller).limit(1)).scalar_one_or_none()
            if before is None:
                break
            caller = str(before)
        return caller

    def keep(self, begun: Begun, status: int, body: bytes) -> None:
        """The answer, in the transaction of what was done; the first one stands.

        Raises:
            StaleWrite: it took so long that the same request was begun anew. Nothing of this one may be committed.
        """
        mine = self._own(begun)
        values = {"status": status, "answer": self._transaction.vault.close(_KIND, body), "expires_at": database_now() + KEPT_SECONDS}
        kept = self._transaction.changed(update(idempotent_answers).where(*mine, idempotent_answers.c.status.is_(None)).values(values))
        if not kept and self._transaction.execute(select(idempotent_answers.c.key).where(*mine)).first() is None:
            raise StaleWrite("this request took too long, and was begun anew with its Idempotency-Key: ask again for its answer")

    def let_go(self, begun: Begun) -> None:
        """Nothing was done: the key may be used again."""
        self._transaction.execute(delete(idempotent_answers).where(*self._own(begun), idempotent_answers.c.status.is_(None)))

    def _own(self, begun: Begun) -> tuple[ColumnElement[bool], ...]:
        columns = idempotent_answers.c
        return columns.caller == begun.caller, columns.key == begun.key, columns.created_at == begun.at

    def purge(self) -> int:
        """Forget answers whose time is over; how many."""
        return self._transaction.changed(delete(idempotent_answers).where(idempotent_answers.c.expires_at < database_now()))
