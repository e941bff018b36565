"""What was asked of the double and what was done: tests read it, nothing is ever taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, answered or not."""

    method: str
    path: str
    status: int
    """0 when the connection was cut."""
    actor: str
    at: float
    """Seconds since 1970, by the world's clock."""
    query: str = ""
    granted: frozenset[str] | None = None
    """What the token may do (`checks:write`); None for other callers."""
    reach: frozenset[int] | None = None
    """Numbers of the repositories to which that token was narrowed; None for all."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One change that the double accepted."""

    method: str
    path: str
    operation: str
    """The documented path, or the name of a GraphQL mutation, or `git push`."""
    body: Any
    actor: str
    at: float
    pull: tuple[str, int] | None = None
    """Repository and number of the pull request that it concerns."""
    notifies: bool = False
    """True when people get a mail: a new review or comment, never an edit."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A departure from the host's published interface."""

    side: str
    """`request`: the caller's mistake. `response` or `webhook`: a mistake of the double."""
    method: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.side} {self.method} {self.path}: {self.text}"


@dataclass(frozen=True, slots=True, eq=False)
class Ledger(Sequence[Item], Generic[Item]):
    """An append-only list that many threads write and tests read."""

    _items: list[Item] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, item: Item) -> None:
        """Add at the end."""
        with self._lock:
            self._items.append(item)

    def clear(self) -> None:
        """Forget what was recorded so far: a test that is only interested in what follows."""
        with self._lock:
            self._items.clear()

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        with self._lock:
            return self._items[index]

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        with self._lock:
            return iter(list(self._items))

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, Sequence) else other)

    __hash__ = None  # type: ignore[assignment]  # compared by content, so it cannot be a key

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "[]"


class Record:
    """All three ledgers."""

    def __init__(self) -> None:
        self.asked: Ledger[Asked] = Ledger()
        self.effects: Ledger[Effect] = Ledger()
        self.violations: Ledger[Violation] = Ledger()

    def notifying(self, repository: str, number: int) -> list[Effect]:
        """The changes of a pull request that sent mail, in order."""
        return [effect for effect in self.effects if effect.notifies and effect.pull == (repository, number)]
