"""A slash command as it reaches whoever decides on it, and how far the review is that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.event import CommentRef
from pipeline.model.finding import Finding
from pipeline.model.fix import Fix
from pipeline.model.ids import CommitId
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Installation, UserRef


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A slash command as somebody wrote it. The sender's permission was checked against `pipeline.ports.Command.permission` already."""

    name: str
    arguments: str
    """Rest of the line, stripped; hostile text."""
    sender: UserRef
    comment: CommentRef
    installation: Installation
    finding_marker: str = ""
    """Fingerprint of the thread in which it was written, or empty."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What a pull request of ours is for: a command on its page is about its fix, unless it names something else."""

    fix: Fix
    """The run that it carries, or the one that is to take its place."""
    fingerprint: str
    """Of the finding that it mends."""
    finding: Finding | None = None
    """None when it is not remembered any more."""
    openly: bool = False
    """Everybody may read it, and it mends what the default branch has: nothing is said but what it says itself."""


@dataclass(frozen=True, slots=True)
class Situation:
    """How far the newest review of a pull request is."""

    head: CommitId
    status: ReviewStatus
    seconds: float = 0.0
    """Since it was made."""
    ahead: int = 0
    """How many messages are due before its next one; 0 when one of them is being worked."""
    error: str = ""
    """Code of the last failure in its work; empty when there is none."""
