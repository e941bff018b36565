"""One verdict on one change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from pipeline.model.finding import BaselineState, Judged, Standing, SuppressionKind
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.scan import Coverage
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef


class ReviewStatus(StrEnum):
    """Where a review stands. Only the last three are terminal."""

    PLANNED = "planned"
    SCANNING = "scanning"
    SETTLING = "settling"
    PUBLISHING = "publishing"
    DONE = "done"
    CANCELLED = "cancelled"
    """Superseded by a newer head, or closed."""
    FAILED = "failed"
    """Given up; the check says so (action_required)."""


class Conclusion(StrEnum):
    """GitHub's words for the end of a check; every host maps from these."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    CANCELLED = "cancelled"
    ACTION_REQUIRED = "action_required"
    FAILURE = "failure"

    @property
    def rank(self) -> int:
        """0 is the best: the check of a commit shows the worst verdict of all open pull requests of that head."""
        return list(Conclusion).index(self)


@dataclass(frozen=True, slots=True)
class Change:
    """What is judged: everything between two commits of one source repository."""

    repository: SourceRepository
    base: CommitId
    """The merge base: what existed before is not the author's doing."""
    head: CommitId
    policy_commit: CommitId
    """Tip of the base branch: from here the policy is read, never from the head."""
    base_ref: str = ""
    head_ref: str = ""
    pull_request: PullRequestRef | None = None
    author: UserRef | None = None
    commits: int = 1
    draft: bool = False
    from_fork: bool = False
    title: str = ""
    whole: bool = False
    """True when everything at `head` is looked at, whatever was there before: the first and the repeated scan of a default branch.
    `base` is `head` then. Such a review has no check, no threads and no comment: it tells the repository's own list of findings."""
    queued: bool = False
    """True for a merge queue's commit."""


@dataclass(frozen=True, slots=True)
class Review:
    """A row: one change, its installation, and how far we are."""

    id: ReviewId
    installation: Installation
    change: Change
    status: ReviewStatus
    superseded_by: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to be said at a line of a file that is no finding: a mistake in the policy file."""

    path: str
    line: int
    message: str
    """One clause without a full stop. Hostile text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate decided about a change."""

    conclusion: Conclusion
    judged: tuple[Judged, ...] = ()
    """New, fixed and waived findings, and those of the base that were not re-evaluated; the other older ones only as `older`."""
    older: int = 0
    """How many findings of the looked-at files were there before."""
    coverage: Coverage = field(default_factory=Coverage)
    incomplete: str = ""
    """Completes "Could not check ...", empty when everything was checked: `app/big.py: semgrep timed out`, or with a colon in front when
    no file is to be named: `: semgrep is not installed here`."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader that belong above the fold: a policy that cannot be parsed, a policy change in this pull request."""

    remarks: tuple[Remark, ...] = ()
    withheld: bool = False
    """True when findings were left out that may not be told of here."""
    confided: int = 0
    """How many secrets that block or warn were left out because only the members of the repository are told of them."""
    edits_policy: bool = False
    """True when the change touches a policy: the notes say what that would do."""
    unlisted: bool = False
    """True when there was no list of the default branch yet that says which of the findings it has too."""

    def standing(self, standing: Standing) -> tuple[Judged, ...]:
        """The new findings that stand so."""
        return tuple(j for j in self.judged if j.standing is standing and j.baseline is BaselineState.NEW)

    @property
    def rests_until(self) -> date | None:
        """The first day that is the last one of an `ignore` entry of the policy which lets a finding stand; None when none does."""
        why = [j.suppression for j in self.judged if j.suppression is not None and not j.suppression.expired]
        return min((s.until for s in why if s.kind is SuppressionKind.POLICY and s.until is not None), default=None)

    @property
    def could_not_check(self) -> str:
        """The whole sentence `Could not check ...`, empty when everything was checked. Not escaped."""
        if not self.incomplete:
            return ""
        return f"Could not check{'' if self.incomplete.startswith(':') else ' '}{self.incomplete}"

    @property
    def fixed(self) -> tuple[Judged, ...]:
        """Findings of the base that this change removes."""
        return tuple(j for j in self.judged if j.baseline is BaselineState.FIXED)
