"""What a code host would keep in its database, as JSON files: pull requests, checks, threads, comments."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import HostGarbage, HostUnavailable
from pipeline.fence import before_a_write

M = TypeVar("M", bound=BaseModel)

KEPT = ".kept"
"""Folder beside the repositories' own, where hooks keep what nobody took; no repository's folder begins with a dot."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PullRequestRecord(_Part):
    """A branch with a base."""

    number: int
    head_ref: str
    base_ref: str
    title: str
    body: str = ""
    author: str
    state: str = "open"
    ours: bool = False
    """True for one that Fixwright opened."""


class PullRequests(_Part):
    """All pull requests of a repository."""

    pulls: list[PullRequestRecord] = []


class AnnotationRecord(_Part):
    """A note on lines of a file."""

    path: str
    line: int
    end_line: int
    level: str
    title: str
    message: str


class CheckRecord(_Part):
    """Our check on a commit."""

    key: str
    name: str = "Fixwright"
    commit: str
    status: Annotated[str, Field(pattern="^(in_progress|completed)$")]
    conclusion: str | None
    title: str
    summary: str
    text: str = ""
    annotations: list[AnnotationRecord] = []
    actions: list[str] = []


class Checks(_Part):
    """All checks of one commit, oldest first."""

    checks: list[CheckRecord] = []


class CommentRecord(_Part):
    """One comment: in a thread, or on the pull request."""

    id: str
    author: str
    body: str
    topic: str = ""
    """What ours is about; empty for people's."""


class ThreadRecord(_Part):
    """A conversation on a line."""

    id: str
    fingerprint: str
    path: str
    line: int
    end_line: int
    commit: str
    resolved: bool = False
    comments: list[CommentRecord]


class Conversation(_Part):
    """Everything that was said on one pull request."""

    threads: list[ThreadRecord] = []
    comments: list[CommentRecord] = []
    notifications: int = 0
    """How many calls would have sent an e-mail."""


class RepositoryRecord:
    """The files of one repository. All writing happens under its lock, by replacing whole files."""

    def __init__(self, root: Path, repository: str) -> None:
        name = (
            repository if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", repository) else hashlib.sha256(repository.encode()).hexdigest()
        )
        self.folder = root / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes meanwhile. Raises HostUnavailable when the folder cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.folder / "lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise HostUnavailable(f"the record of the local provider cannot be written: {error.strerror}") from error

    def pull_requests(self) -> PullRequests:
        """All pull requests."""
        return self._load("pulls.json", PullRequests)

    def save_pull_requests(self, value: PullRequests) -> None:
        """Replace them."""
        self._save("pulls.json", value)

    def checks(self, commit: str) -> Checks:
        """Checks on a commit."""
        return self._load(f"checks/{_hex(commit)}.json", Checks)

    def save_checks(self, commit: str, value: Checks) -> None:
        """Replace them."""
        self._save(f"checks/{_hex(commit)}.json", value)

    def conversation(self, number: int) -> Conversation:
        """What was said on a pull request."""
        return self._load(f"conversations/{number}.json", Conversation)

    def save_conversation(self, number: int, value: Conversation) -> None:
        """Replace it."""
        self._save(f"conversations/{number}.json", value)

    def _load(self, name: str, kind: type[M]) -> M:
        try:
            return kind.model_validate_json((self.folder / name).read_bytes())
        except FileNotFoundError:
            return kind()
        except ValueError:
            raise HostGarbage(f"{name} of the local provider's record is damaged") from None

    def _save(self, name: str, value: BaseModel) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(value.model_dump(mode="json"), file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        before_a_write()
        temporary.replace(path)


def _hex(commit: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise HostGarbage("not a commit")
    return commit
