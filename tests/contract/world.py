"""What the contract suite asks of a code host that a test owns: people act on it, we look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.model.event import CommentRef, Delivery
from pipeline.model.ids import CommitId
from pipeline.model.review import Conclusion
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import CodeHost, Configuration, Provider
from tests.unit.providers.github_wire import Memory

Files = Mapping[str, str | bytes | None]
Kind = Literal["opened", "comment", "push", "unknown"]
SECRET, PREVIOUS = "the current one of this " + "test", "the one before of this " + "test"
BASE: Files = {"app.py": "".join(f"line {n}\n" for n in range(1, 41)), "tool.sh": "echo 1\n", "gone.py": "x = 1\n"}
CHANGED = str(BASE["app.py"]).replace("line 10\n", "line 10 changed\nline 10b\n").replace("line 30\n", "line 30 changed\n")
"""Lines 10, 11 and 31 are what the change of `World.ref` adds."""


@dataclass(frozen=True)
class SeenCheck:
    """One check of ours on a commit."""

    status: str
    conclusion: str | None
    title: str
    summary: str
    annotations: int


@dataclass(frozen=True)
class SeenThread:
    """A conversation on a line that we opened."""

    id: str
    path: str
    line: int
    body: str
    resolved: bool
    replies: tuple[str, ...]


@dataclass(frozen=True)
class SeenPull:
    """A pull request."""

    number: int
    head: str
    base: str
    title: str
    body: str
    open: bool


class World(Protocol):
    """A repository with a base branch `main` and an open pull request from `feature`, whose owner is somebody."""

    provider: Provider
    configuration: Configuration
    installation: Installation
    memory: Memory
    source: SourceRepository
    ref: PullRequestRef
    owner: UserRef
    writer: UserRef
    stranger: UserRef
    name: str
    """What people call the repository."""
    only_in_diff: bool
    """True when the host takes threads only on lines of the diff."""
    signs_time: bool
    """True when a delivery says when it was signed, so that an old one can be told."""
    signs_body: bool
    """False where a delivery only proves that its sender knows the secret: then what it says is not proven."""
    proof: str
    """The header that proves a delivery."""
    shown_as: Mapping[Conclusion, Conclusion]
    """What people see in place of a conclusion that the host has no word for."""

    def host(self) -> CodeHost:
        """A new one, as each job makes it; jobs share the memory."""

    # people
    def commit(self, files: Files, branch: str = "feature") -> CommitId:
        """Push one commit."""

    def commit_link(self, path: str, target: str) -> None:
        """Push a symbolic link to `feature`."""

    def force_push(self, files: Files, branch: str = "feature") -> CommitId:
        """Replace a branch by one commit on the base."""

    def open_from_fork(self) -> PullRequestRef | None:
        """Open a pull request from a fork; None where there are no forks."""

    def close_pull_request(self) -> None:
        """A person closes `ref`."""

    def comment(self, text: str) -> CommentRef:
        """A person writes in the conversation of `ref`."""

    def answer(self, thread: str, text: str) -> CommentRef:
        """A person answers in a thread."""

    # what there is
    def tip(self, branch: str) -> CommitId:
        """Tip of a branch, empty when there is none."""

    def parents(self, commit: str) -> list[str]:
        """Its parents."""

    def message(self, commit: str) -> tuple[str, str]:
        """Message of a commit, and its author as `Name <address>`."""

    def protect(self, branch: str) -> None:
        """Nobody like us may write to that branch any more."""

    def file(self, branch: str, path: str) -> bytes | None:
        """Content in a branch."""

    def mode(self, branch: str, path: str) -> str:
        """Six octal digits, empty when there is no such file."""

    def checks(self, commit: str) -> list[SeenCheck]:
        """All checks on a commit, oldest first."""

    def threads(self) -> list[SeenThread]:
        """Our threads on `ref`, oldest first."""

    def comments(self, ref: PullRequestRef | None = None) -> list[str]:
        """What we wrote in a conversation and is to be seen, without marks."""

    def notifications(self) -> int:
        """How often people were told of something on `ref`."""

    def pulls(self) -> list[SeenPull]:
        """All pull requests, in order."""

    # deliveries
    def payload(self, kind: Kind) -> bytes:
        """Body of a delivery, as the host writes it."""

    def signed(self, kind: Kind, body: bytes, secret: str = SECRET, *, age: float = 0.0) -> Delivery:
        """A delivery with the host's headers."""


def unmarked(body: str) -> str:
    """What people read of a comment of ours on GitHub."""
    return body.partition("\n\n<!-- fixwright:")[0]
