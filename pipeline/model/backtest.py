"""Changes of the past, what would have been said of them, and what became of the lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.finding import Judged
from pipeline.model.ids import CommitId
from pipeline.model.report import Thread
from pipeline.model.review import Conclusion, Verdict


class Kind(StrEnum):
    """How a change came onto the branch."""

    MERGE = "merge"
    """A commit that joins a branch."""
    SQUASH = "squash"
    """One commit whose message names the change that it was."""
    COMMIT = "commit"
    """A commit of which nothing says that it was reviewed as a change of its own."""


@dataclass(frozen=True, slots=True)
class Past:
    """A change that was merged."""

    commit: CommitId
    """On the branch: with it the change came in."""
    kind: Kind
    base: CommitId
    """What existed before it is not its doing: the merge base, or the commit before."""
    head: CommitId
    policy_commit: CommitId
    """The branch as it was before the change: from here the policy is read."""
    number: str
    """What the host calls it: `#7`, `!7`; empty where the message does not say."""
    title: str
    """One line. Hostile text."""
    when: int
    """When it came in (committer's time), seconds since 1970, as the commit says."""


class Line(StrEnum):
    """What became of flagged lines, read from the branch as it is now."""

    SAME = "unchanged"
    CHANGED = "changed"
    GONE = "file gone"
    UNKNOWN = "unknown"
    """It never was in a file of the head: it stands in the history alone."""


class Weakness(StrEnum):
    """Whether the engines still say it of the branch as it is now."""

    STILL_THERE = "still there"
    GONE = "gone"
    UNKNOWN = "not looked at"


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What people did with flagged code afterwards."""

    line: Line = Line.UNKNOWN
    weakness: Weakness = Weakness.UNKNOWN


@dataclass(frozen=True, slots=True)
class Remarked:
    """A finding of a past change, and whether it would have been said."""

    judged: Judged
    thread: Thread | None
    """What would have stood on the line; None: it would have stood in the check alone."""
    diff: str = ""
    """The fix that was offered with the thread, because it had passed the gate: a unified diff. Hostile text."""
    hindsight: Hindsight = Hindsight()


@dataclass(frozen=True, slots=True)
class Replayed:
    """A past change with what would have been made of it."""

    past: Past
    verdict: Verdict
    title: str
    """Of its check, which says the verdict in one line. Not escaped."""
    remarks: tuple[Remarked, ...]
    """Everything that blocks or warns, the worst first."""

    @property
    def spoken(self) -> bool:
        """True when a thread would have been opened."""
        return any(one.thread is not None for one in self.remarks)

    @property
    def blocked(self) -> bool:
        """True when the check would have been red."""
        return self.verdict.conclusion is Conclusion.FAILURE

    @property
    def ours(self) -> bool:
        """True when something could not be checked, and not because of the change."""
        return any(gap.blame == "us" for gap in self.verdict.coverage.breaking)
