"""Where webhooks hang on GitLab, and what is asked of it about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.model.target import SourceRepository
from providers.gitlab.hooks import HookAnswer, Kind

MAINTAINER = 40
"""Lowest access level that may see and change a project's hooks (docs "Members API", "Project webhooks API")."""

PAID = frozenset({"bronze", "silver", "gold", "premium", "ultimate", "opensource"})
"""Plans with group webhooks, as the Namespaces API names them. No trials: their end silences the hook, and nobody is told."""
UNTOLD = frozenset({"", "default"})
"""What GitLab says to who is no owner, and an instance of one's own to everybody: it may have any licence."""


@dataclass(frozen=True, slots=True)
class Place:
    """A group or a project on GitLab."""

    kind: Kind
    id: int
    path: str
    """With its namespace: `acme/shop`."""
    repository: SourceRepository | None = None
    """Of a project."""
    archived: bool = False
    level: int = 0
    """Access level of our token there; 0 when GitLab does not say."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Paths of everything that it lies in, the nearest first."""
        parts = self.path.split("/")[:-1]
        return tuple("/".join(parts[:end]) for end in range(len(parts), 0, -1))


class HookApi(Protocol):
    """What connecting asks of GitLab. Raises HostError subclasses."""

    def find(self, name: str) -> Place:
        """The group or project that is called so. Raises HostNotFound."""

    def projects(self, group: Place) -> Sequence[Place]:
        """The projects of a group and of its subgroups; without those that are archived, or were only shared with it."""

    def subgroups(self, group: Place) -> Sequence[Place]:
        """All groups below a group."""

    def plan(self, group: Place) -> str:
        """What its top-level group has paid for, by GitLab's word (`free`, `premium`); empty where GitLab does not tell us."""

    def hooks(self, place: Place) -> Sequence[HookAnswer]:
        """Every hook that stands there, ours or not."""

    def make(self, place: Place, attributes: dict[str, object]) -> HookAnswer:
        """A new hook."""

    def change(self, place: Place, hook: int, attributes: dict[str, object]) -> HookAnswer:
        """Some attributes of a hook."""

    def remove(self, place: Place, hook: int) -> None:
        """One that is gone already is no error."""

    def status_checks(self, place: Place) -> Sequence[tuple[int, str]]:
        """Number and address of each external status check of a project. Raises HostUnauthorized below Ultimate (401, also for a good
        token)."""

    def write_status_check(self, place: Place, check: int, url: str, secret: str) -> None:
        """Make one, or write its secret again; `check` 0: a new one."""

    def test(self, place: Place, hook: int) -> None:
        """Let GitLab deliver a sample now, also where it has switched the hook off. Raises HostRejected when what answered was no
        success, RateLimited after five a minute, HostNotFound before GitLab 16.11."""
