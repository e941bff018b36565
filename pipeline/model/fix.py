"""Fixes: a patch, what it proves, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pipeline.model.finding import Location
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, RepositoryId, ReviewId
from pipeline.model.review import Change
from pipeline.model.scan import EngineInfo
from pipeline.model.target import CommitRef, PullRequestRef


@dataclass(frozen=True, slots=True)
class FileEdit:
    """The new content of one file. `before` None makes the file, `after` None deletes it."""

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to text files, as whole contents: a unified diff is derived from it, never the other way round for our own fixes."""

    edits: tuple[FileEdit, ...]
    title: str = ""
    """Imperative, at most 60 characters: `bind user name in query`."""
    explanation: str = ""
    """One or two sentences: what was wrong is said elsewhere, this says what is different now."""
    fixer: str = ""
    notes: tuple[str, ...] = ()
    """What a person still has to do (`revoke the key first`)."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files it touches, sorted."""
        return tuple(sorted(edit.path for edit in self.edits))


class ProofWord(StrEnum):
    """What may be said of a patch."""

    VERIFIED = "verified"
    RESCANNED = "re-scanned"
    REFUSED = "refused"
    UNCHECKED = "could not check"


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One check of the gate. `passed` None: it could not be run, and `said` tells why."""

    name: str
    passed: bool | None
    said: str
    """One sentence with the numbers, for people."""
    before: int | None = None
    """What was counted before the patch (findings, tests), where the check counts."""
    after: int | None = None


@dataclass(frozen=True, slots=True)
class TestRun:
    """The repository's own tests, run once."""

    command: str
    passed: tuple[str, ...]
    """Names of the tests that passed."""
    failed: tuple[str, ...]
    exit_code: int
    seconds: float
    said: str = ""
    """Why it could not run, or empty."""

    @property
    def ran(self) -> bool:
        """True when tests ran and were counted."""
        return bool(self.passed or self.failed)


Framework = Literal["unittest", "pytest", "node"]
"""What can run a test that we write."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The repository's way to write tests."""

    style: Framework
    folder: str
    """Where its tests lie, `""` at the top."""
    paths: frozenset[str]
    """Every file of the repository: none is replaced."""


@dataclass(frozen=True, slots=True)
class ExploitTest:
    """A test that attacks one finding: the hostile input must get through before the fix, and not after it."""

    path: str
    """Where it lies in the repository: a new file beside the repository's tests."""
    content: bytes
    attack: str
    """What it tries, a clause for people."""
    says: str
    """The message of its check: a failure with another message is no successful attack."""


@dataclass(frozen=True, slots=True)
class ExploitRun:
    """An attack that was carried out in the sandbox: it got through without the patch, and does not with it."""

    test: ExploitTest
    command: str
    """How it was run."""
    before: TestRun
    after: TestRun
    offered: bool
    """True when the pull request of the fix carries the test."""

    @property
    def edit(self) -> FileEdit:
        """The test as a new file."""
        return FileEdit(self.test.path, None, self.test.content)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the gate says of one patch for one finding."""

    word: ProofWord
    checks: tuple[ProofCheck, ...]
    not_proven: tuple[str, ...] = ()
    """Sentences for "Not proven: ..."."""
    engines: tuple[EngineInfo, ...] = ()
    """The engines that looked before and after."""
    seconds: float = 0.0
    """How long the whole gate took."""
    exploit: ExploitRun | None = None
    """An attack that the patch stops, when one could be made."""
    more_exploits: tuple[ExploitRun, ...] = ()
    """Where several findings are mended: attacks on the others."""

    @property
    def exploits(self) -> tuple[ExploitRun, ...]:
        """Every attack that the patch stops."""
        return (*((self.exploit,) if self.exploit else ()), *self.more_exploits)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused, one sentence each."""
        return tuple(check.said for check in self.checks if check.passed is False)

    @property
    def why(self) -> tuple[str, ...]:
        """Why it may not be offered: why it was refused, or what could not be looked at; empty when it may."""
        if self.word is not ProofWord.UNCHECKED:
            return self.reasons
        return self.reasons or tuple(check.said for check in self.checks if check.passed is None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed proof: a DSSE envelope around an in-toto statement, as bytes, and its digest."""

    envelope: bytes
    digest: str
    """`sha256:` and 64 hex digits of `envelope`."""


class FixStatus(StrEnum):
    """States of a fix run (specification 000, PublicFixResponse.status)."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PR_CREATION_FAILED = "pr_creation_failed"
    PR_UPDATE_FAILED = "pr_update_failed"


Grouping = Literal["none", "rule", "file", "package"]
"""What findings have in common that one pull request mends; `none`: each has its own."""

MOST_MEMBERS = 10
"""Places that one fix run mends at most: somebody has to read what becomes of them."""


class MemberState(StrEnum):
    """What became of one place of a fix run."""

    WANTED = "wanted"
    """Nothing yet."""
    MENDED = "mended"
    """It has its part of the patch, which proved itself on top of those of the places before it."""
    ALONG = "mended along"
    """The part of a place before it mended it, too."""
    LEFT_OUT = "left out"
    """It has no part in the patch; `Member.why` says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of the places that a fix run is to mend together, in the order in which their patches are made on top of each other."""

    finding: FindingId
    fingerprint: str
    handle: Handle
    place: str = ""
    """`FILE:LINE` where the identity of the finding has several places, and in a group; else empty."""
    state: MemberState = MemberState.WANTED
    choice: str = ""
    """Which of the patches that can be made for it; see `pipeline.wishes`."""
    at: Location | None = None
    """Where it stood when its patch was made, with those before it in place. None: where it was found."""
    why: str = ""
    """Why it was left out, a clause."""

    @property
    def mended(self) -> bool:
        """True when the patch mends it."""
        return self.state in (MemberState.MENDED, MemberState.ALONG)


@dataclass(frozen=True, slots=True)
class Fix:
    """A row: what was asked, and what came of it."""

    id: FixId
    repository: RepositoryId
    review: ReviewId
    finding: FindingId
    handle: Handle
    status: FixStatus
    diff: str = ""
    proof: Proof | None = None
    receipt: Receipt | None = None
    pull_request: PullRequestRef | None = None
    error: str = ""
    place: str = ""
    """`FILE:LINE` of the one that is meant when the identity of the finding has several places; else empty."""
    attempt: int = 1
    """The number of the newest attempt."""
    title: str = ""
    """What the patch does, or what was asked for before there is one. Hostile text."""
    base: str = ""
    """The commit that the patch is for."""
    asked_by: str = ""
    """Login of who asked; empty when nobody is known. Hostile text."""
    choice: str = ""
    """Which of the patches that can be made it is; see `pipeline.wishes`. Empty: the first."""
    cancel_asked_by: str = ""
    """Login of who called it off. Hostile text."""
    replaced_by: str = ""
    """The run that was begun in the place of this one."""
    members: tuple[Member, ...] = ()
    """Every place that it is to mend. `finding`, `handle` and `place` are what the run is called by: those of the first, or of what was the
    first when its pull request was opened."""
    branch: str = ""
    """Of its pull request, where a caller of the API has chosen one; empty: as `pipeline.stages.opening` names it."""
    created_at: float = 0.0
    """Seconds since 1970, as all moments here."""
    updated_at: float = 0.0

    @property
    def mends(self) -> tuple[Member, ...]:
        """The places that its patch mends; all that are wanted while there is none."""
        return tuple(one for one in self.members if one.mended) or self.members


@dataclass(frozen=True, slots=True)
class FixAttempt:
    """One time that a fix was made, refined or tried again."""

    fix: FixId
    number: int
    """From 1."""
    status: FixStatus
    """Pending, running, completed, failed or cancelled."""
    instructions: str = ""
    """What was wished for. Hostile text; it is kept and shown, and nothing in it is carried out but the few words that are known."""
    asked_by: str = ""
    choice: str = ""
    diff: str = ""
    proof: Proof | None = None
    receipt: Receipt | None = None
    error: str = ""
    steps: int = 0
    """How many things it has done: a look of the engines, a run of the tests, ..."""
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    active_at: float | None = None
    """When the last step was done."""


@dataclass(frozen=True, slots=True)
class PullRequestDraft:
    """A pull request that we want to exist. Key: (repository, branch)."""

    change: Change
    branch: str
    base_ref: str
    head: CommitRef
    title: str
    body: str
    labels: tuple[str, ...] = field(default=())
    reviewers: tuple[str, ...] = field(default=())
    """Who is asked to review it: logins, and teams as `owner/team`. One who cannot be asked is left out."""


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit that we want at the tip of a branch of ours."""

    parent: CommitId
    branch: str
    message: str
    patch: Patch
    sign_off: bool = False
    """True where the repository asks for the Developer Certificate of Origin: whoever the host names as author is named in a trailer."""
