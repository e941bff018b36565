"""A waiver: a person's word that a finding may stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from pipeline.model.finding import SuppressionKind
from pipeline.model.ids import RepositoryId
from pipeline.model.target import UserRef

WaiverKind = Literal[SuppressionKind.WAIVER, SuppressionKind.ROTATED]
"""The two that people give."""

OF_A_KEY = " (API key)"
"""How the login ends of a waiver that came with a status that a key set: no host has such a login, for the blank."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A row: of one finding in one repository. It holds on every branch, and in the merge queue."""

    id: str
    repository: RepositoryId
    kind: WaiverKind
    fingerprint: str
    handle: str
    """What people call the finding; empty when the repository does not have it any more."""
    reason: str
    """Hostile text."""
    person: UserRef
    """Who said so. `id` is empty for the operator, who acts by the command line: `login` is then an account of that machine."""
    since: date
    """Day on which it was given, UTC."""
    until: date | None = None
    """Last day on which it holds, UTC; None: without an end."""
    keyed_hash: str = ""
    """Of the value, when the finding is a secret: another value on the same line is another secret."""
    path: str = ""
    """With `line`: where the finding stood when it was waived. Of several places with one identity, only the nearest one is waived."""
    line: int = 0
    pull_request: int | None = None
    """Number of the pull request in which it was given."""

    def expired(self, today: date) -> bool:
        """True when its last day is over."""
        return self.until is not None and self.until < today
