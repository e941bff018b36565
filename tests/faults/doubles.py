"""What both doubles take in the same words: what people do there, and how a delivery is found again. How hosts differ is data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from tests.faults.hosts import Change, Delivery, Home, Host, World

Files = Mapping[str, str | bytes | None]
PlaceT = TypeVar("PlaceT", bound=Home)
RequestT = TypeVar("RequestT")
_Place = TypeVar("_Place", contravariant=True)
_Request = TypeVar("_Request", contravariant=True)
WRITES, READS = ("ada", "bert"), ("eve",)
"""People who may write in every repository here, and who may only read."""


class Deeds(World, Protocol[_Place, _Request]):
    """What people do."""

    def commit(self, place: _Place, branch: str, files: Files, message: str, /) -> str:
        """Push one commit; its name."""

    def force_push(self, place: _Place, branch: str, files: Files, message: str, /) -> str:
        """Replace a branch by one commit; its name."""

    def reset_branch(self, place: _Place, branch: str, sha: str, /) -> object:
        """Point a branch at a commit."""

    def delete_branch(self, place: _Place, branch: str, /) -> None:
        """Remove a branch."""

    def comment(self, who: str, request: _Request, text: str, /) -> object:
        """Write beside threads."""

    def close(self, who: str, request: _Request, /) -> None:
        """Close it."""

    def merge(self, who: str, request: _Request, /) -> object:
        """Merge it."""


class DoubledChange(Change, Generic[PlaceT, RequestT]):
    """A pull request on a double."""

    def __init__(self, deeds: Deeds[PlaceT, RequestT], request: RequestT, number: int, branch: str) -> None:
        self._deeds, self._request = deeds, request
        self.number, self.branch = number, branch

    def comment(self, who: str, text: str) -> None:
        self._deeds.comment(who, self._request, text)

    def close(self) -> None:
        self._deeds.close("ada", self._request)

    def merge(self) -> None:
        self._deeds.merge("ada", self._request)


class DoubledHost(Host, Generic[PlaceT, RequestT]):
    """A double as a host of the harness.

    Args:
        folder: for what it needs on the disk.
        place: the kind of its repositories.
    """

    opened: ClassVar[str]
    """Action of the delivery that says that a pull request was opened."""
    head_at: ClassVar[tuple[str, ...]]
    """Where that delivery names the head."""

    def __init__(self, deeds: Deeds[PlaceT, RequestT], folder: Path, place: type[PlaceT]) -> None:
        self._deeds, self._folder, self._place = deeds, folder, place

    def of(self, home: Home) -> PlaceT:
        """A repository of this host."""
        assert isinstance(home, self._place)
        return home

    @abstractmethod
    def _made(self, name: str, owner: str, files: Mapping[str, str], *, private: bool) -> PlaceT:
        """A repository without people."""

    @abstractmethod
    def _let_in(self, place: PlaceT, who: str, *, writes: bool) -> None:
        """Let somebody write there, or only read."""

    def repository(self, name: str, owner: str, files: Mapping[str, str], *, private: bool = True) -> PlaceT:
        made = self._made(name, owner, files, private=private)
        for who in (*WRITES, *READS):
            self._let_in(made, who, writes=who in WRITES)
        return made

    def commit(self, home: Home, branch: str, files: Files, message: str) -> str:
        return self._deeds.commit(self.of(home), branch, files, message)

    def force_push(self, home: Home, branch: str, files: Files, message: str) -> str:
        return self._deeds.force_push(self.of(home), branch, files, message)

    def reset_branch(self, home: Home, branch: str, sha: str) -> None:
        self._deeds.reset_branch(self.of(home), branch, sha)

    def delete_branch(self, home: Home, branch: str) -> None:
        self._deeds.delete_branch(self.of(home), branch)

    def opening(self, head: str) -> Delivery:
        found = self.world.hooks.of(self.event, self.opened)
        mine = [one for one in found if _at(one.payload, self.head_at) == head]
        assert len(mine) == 1
        return mine[0]


def _at(payload: dict[str, Any], way: tuple[str, ...]) -> object:
    return reduce(lambda inside, key: inside[key], way, payload)
