"""What rows and lives need of a host, whichever it is: `tests/faults/github.py` and `tests/faults/gitlab.py` are the two."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from tests.worlds.bare import BareRepository
from tests.worlds.faults import Faults
from tests.worlds.record import Asked, Effect, Ledger, Violation

HostName = Literal["github", "gitlab"]
HERE = "host:"
"""Before the name of a function that each host's provider has under another name: `host:ensure_check`."""


class Attempt(Protocol):
    """One try to deliver."""

    @property
    def status(self) -> int:
        """0: nobody answered in time."""


class Parcel(Protocol):
    """What is posted to us."""

    @property
    def headers(self) -> Mapping[str, str]:
        """All that say what it is and prove it."""

    @property
    def body(self) -> bytes:
        """As it is sent."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Something that is not quite what the host sent."""

    headers: Mapping[str, str]
    body: bytes


class Delivery(Protocol):
    """One event on its way to us."""

    @property
    def body(self) -> bytes:
        """What is sent."""

    @property
    def payload(self) -> dict[str, Any]:
        """The body as JSON."""

    @property
    def id(self) -> str:
        """By which we know it again."""

    @property
    def event(self) -> str:
        """As the host names it."""

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Each try so far."""


class Hooks(Protocol):
    """The host's way out."""

    paused: bool
    """True: events are kept until somebody delivers them."""

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """All so far, oldest first."""

    def of(self, event: str, action: str | None = None) -> Sequence[Delivery]:
        """All of an event so far, oldest first."""

    def redeliver(self, identity: str) -> int:
        """Once more under the same id; the status."""

    def deliver_copies(self, identity: str, count: int) -> list[int]:
        """So many under the same id, some at a time; the statuses."""

    def wait(self) -> None:
        """Until everything that was queued so far has been tried once."""


class World(Protocol):
    """What the doubles have in common."""

    @property
    def faults(self) -> Faults:
        """Failures on order."""

    @property
    def asked(self) -> Ledger[Asked]:
        """Every request."""

    @property
    def effects(self) -> Ledger[Effect]:
        """Every accepted change."""

    @property
    def violations(self) -> Ledger[Violation]:
        """Departures from the host's interface."""

    @property
    def hooks(self) -> Hooks:
        """Its deliveries."""

    webhook_url: str | None

    def serve(self) -> None:
        """Begin to answer."""

    def stop(self) -> None:
        """Stop answering and sending."""


class Home(Protocol):
    """A repository on the host."""

    @property
    def git(self) -> BareRepository:
        """What is in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Our check or status of a commit, in the words of checks."""

    id: int
    status: str
    """`completed`, or anything else while it is not."""
    conclusion: str | None
    title: str | None
    summary: str | None
    """Where the host has no page for a check: the note that stands in for it."""
    text: str | None
    replaced: bool = False
    """True when a newer one took its place, so that nobody sees it."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of ours."""

    path: str
    line: int | None
    words: str
    commit: str
    """The head for which it was opened."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A pull request of ours."""

    branch: str
    target: str
    words: str


class Change(ABC):
    """One pull request, as people see it and deal with it."""

    number: int
    branch: str

    @property
    @abstractmethod
    def head(self) -> str:
        """Its newest commit."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """False when it was closed or merged."""

    @abstractmethod
    def threads(self) -> list[Thread]:
        """Ours on lines, oldest first."""

    @abstractmethod
    def replies(self) -> list[str]:
        """What we said in threads after their first words."""

    @abstractmethod
    def notes(self) -> list[str]:
        """What we said beside threads, for everybody."""

    @abstractmethod
    def confided(self) -> list[str]:
        """What we said beside threads, for those alone who work on the repository."""

    def pages(self) -> list[str]:
        """Notes that stand in for the page of a check, where the host has none: at most one in the end."""
        return []

    @abstractmethod
    def marks(self) -> list[tuple[str, int, str]]:
        """Path, line and level of what is shown beside lines without words to anybody."""

    @abstractmethod
    def fixes(self) -> list[Fix]:
        """Of ours in its repository, into any branch."""

    @abstractmethod
    def verdicts(self, head: str) -> list[Verdict]:
        """Ours on a commit, oldest first, also replaced ones."""

    @abstractmethod
    def answer(self, who: str, path: str, text: str) -> None:
        """A person answers in our thread on a file."""

    @abstractmethod
    def comment(self, who: str, text: str) -> None:
        """A person writes beside threads."""

    @abstractmethod
    def rewrite(self, who: str, text: str) -> None:
        """Somebody changes the newest of his words in threads."""

    @abstractmethod
    def drop_thread(self) -> None:
        """Somebody deletes the oldest of our threads."""

    @abstractmethod
    def forge(self, who: str) -> None:
        """Somebody else says word by word what we said in our oldest thread, at the same place."""

    @abstractmethod
    def close(self) -> None:
        """Its author closes it."""

    @abstractmethod
    def merge(self) -> None:
        """Its author merges it."""

    @abstractmethod
    def retarget(self, branch: str) -> None:
        """Its author lets it lead to another branch."""


class Host(ABC):
    """A double with what people do there."""

    name: ClassVar[HostName]
    path: ClassVar[str]
    """Where the product takes its deliveries."""
    event: ClassVar[str]
    """What a delivery about a pull request is called."""
    functions: ClassVar[Mapping[str, str]]
    """Of its provider: what a `Point` that begins with `HERE` stands for."""
    samples: ClassVar[Sequence[tuple[str, str | None]]]
    """Event and action of deliveries that we understand, each of which has come by the time that a review has ended."""
    closes_with_branch: ClassVar[bool]
    """True where a pull request is closed with its branch."""
    keeps_checks: ClassVar[bool]
    """True where a second check of a head stands beside the first one, and does not take its place."""
    world: World

    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """With which the product finds it and is known to it."""

    @abstractmethod
    def repository(self, name: str, owner: str, files: Mapping[str, str], *, private: bool = True) -> Home:
        """A new one in which ada and bert may write and eve may read; nobody is told of it."""

    @abstractmethod
    def commit(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        """A person pushes a commit."""

    @abstractmethod
    def force_push(self, home: Home, branch: str, files: Mapping[str, str | bytes | None], message: str) -> str:
        """A person replaces a branch by one commit on `main`."""

    @abstractmethod
    def reset_branch(self, home: Home, branch: str, sha: str) -> None:
        """A person points a branch at a commit."""

    @abstractmethod
    def delete_branch(self, home: Home, branch: str) -> None:
        """A person removes a branch."""

    @abstractmethod
    def open(self, home: Home, branch: str, title: str, *, draft: bool = False) -> Change:
        """ada opens a pull request into `main`."""

    @abstractmethod
    def proposals(self, home: Home) -> Sequence[Change]:
        """Pull requests of ours, oldest first."""

    @abstractmethod
    def opening(self, head: str) -> Delivery:
        """The delivery that said that a pull request with this head was opened. Raises AssertionError when there is not exactly one."""

    @abstractmethod
    def again(self, identity: str) -> None:
        """Queue a delivery once more under the same id."""

    @abstractmethod
    def robot(self, home: Home) -> str:
        """A program that may write in a repository as people do."""

    @abstractmethod
    def forgeries(self, identity: str) -> Sequence[Posted]:
        """Copies of a delivery of which none is proven: altered, unsigned, or signed by somebody else."""

    @abstractmethod
    def anew(self, delivery: Delivery, body: bytes) -> Posted:
        """A delivery of the same event under an identity that was never seen, with another body and all proofs."""

    @abstractmethod
    def ours(self, effect: Effect) -> bool:
        """True of what we did."""
