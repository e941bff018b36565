"""What people do with the code of a repository, the same on every host: commit, push, push over it, delete, look."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from tests.worlds.bare import NO_COMMIT, BareRepository, Entry, Person
from tests.worlds.state import Memory

Files = Mapping[str, str | bytes | None]
"""Path -> content; None removes the file."""
Made = TypeVar("Made")


class Place(Protocol):
    """A repository or project."""

    git: BareRepository

    @property
    def default_branch(self) -> str | None:
        """Its name; None before the first push."""


Where = TypeVar("Where", bound=Place)


class Pushing(ABC, Generic[Where]):
    """The part of a world's people that is about code. Hooks are told of all of it."""

    @property
    @abstractmethod
    def _state(self) -> Memory:
        """The double's lock and clock."""

    @abstractmethod
    def _look_at_refs(self, place: Where, login: str) -> None:
        """What differs from before was pushed by that person, with all that follows from it."""

    def commit(
        self,
        place: Where,
        branch: str,
        files: Files,
        message: str = "Change",
        author: str = "ada",
        *,
        base: str | None = None,
        pusher: str = "",
    ) -> str:
        """Push one commit to a branch, which is made from `base` (default: the default branch) when new. Returns its sha.

        `pusher`: who pushes it, when that is not whom the commit names.
        """
        with self._state.lock:
            sha = self._commit(place, branch, files, message, author, base)
            self._look_at_refs(place, pusher or author)
            return sha

    def _commit(self, place: Where, branch: str, files: Files, message: str, author: str, base: str | None) -> str:
        tip = place.git.branch(branch)
        sha = self._write(place, tip or _start(place, base), files, message, author)
        place.git.set_ref(f"refs/heads/{branch}", sha, tip or NO_COMMIT)
        return sha

    def _write(self, place: Where, parent: str | None, files: Files, message: str, author: str) -> str:
        git = place.git
        modes = {entry.path: entry.mode for entry in git.entries(parent, recursive=True)} if parent else {}
        entries = []
        for path, content in files.items():
            blob = None if content is None else git.write_blob(content.encode() if isinstance(content, str) else content)
            entries.append(Entry(modes.get(path, "100644"), path, blob))
        person = Person(author, f"{author}@example.com", int(self._state.seconds()))
        return git.write_commit(git.write_tree(parent, entries), [parent] if parent else [], message + "\n", person, person)

    def force_push(
        self, place: Where, branch: str, files: Files, message: str = "Start over", author: str = "ada", *, base: str | None = None
    ) -> str:
        """Replace a branch by one commit on `base` (default: the default branch). Returns its sha."""
        with self._state.lock:
            return self.reset_branch(place, branch, self._write(place, _start(place, base), files, message, author), author)

    def reset_branch(self, place: Where, branch: str, sha: str, author: str = "ada") -> str:
        """Point a branch at any commit."""
        with self._state.lock:
            place.git.set_ref(f"refs/heads/{branch}", sha)
            self._look_at_refs(place, author)
            return sha

    def delete_branch(self, place: Where, branch: str, user: str = "ada") -> None:
        """Remove a branch. GitHub closes an open pull request of it; on GitLab it stays open, and cannot be merged."""
        with self._state.lock:
            place.git.delete_ref(f"refs/heads/{branch}")
            self._look_at_refs(place, user)

    def read(self, place: Where, revision: str, path: str) -> bytes | None:
        """Content of a file in a branch or commit."""
        commit = place.git.resolve(revision)
        entry = place.git.entry(commit, path) if commit else None
        return place.git.read_blob(entry.sha) if entry and entry.sha else None

    def _locked(self, work: Callable[[], Made]) -> Made:
        with self._state.lock:
            return work()

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Until something is so. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError("it did not come to be")
            time.sleep(0.02)


def _start(place: Place, base: str | None) -> str | None:
    """The commit on which a new branch begins."""
    return place.git.resolve(base or place.default_branch or "main")
