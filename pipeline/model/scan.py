"""Scans: what is asked of an engine and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipeline.model.finding import Finding
from pipeline.model.ids import BatchId, BlobId, CommitId, ReviewId, ScanId


class ScanType(StrEnum):
    """The public kinds of scan (specification 000)."""

    SECRETS = "secrets_scan"
    SEMGREP = "semgrep_scan"
    DEEP_AI = "deep_ai_scan"
    SBOM = "sbom_scan"


def scan_type_of(finding: Finding) -> ScanType:
    """The kind of scan that tells of such a finding."""
    return ScanType.SEMGREP if finding.secret is None else ScanType.SECRETS


class BatchStatus(StrEnum):
    """Internal states of a batch; `bot/api/v1/scans.py` maps them to the public words."""

    QUEUED = "queued"
    PREPARING = "preparing"
    """Asked for through the API, and taken up: its source repositories are about to be looked at."""
    RUNNING = "running"
    ASSESSING = "assessing"
    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ScanStatus(StrEnum):
    """States of the scan of one source repository inside a batch."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class GapClass(StrEnum):
    """What a gap does to the verdict. See ARCHITECTURE, "Never a false green"."""

    NOT_APPLICABLE = "n/a"
    """Binary, no rule for the language, excluded by the base policy: no effect."""
    LIMIT = "limit"
    """Size, count or time: incomplete when the change touched the file."""
    ERROR = "error"
    """Always incomplete."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that an engine did not look at, and why. One row of the coverage ledger."""

    engine: str
    path: str
    """The file, or `""` when the whole engine run is meant."""
    reason: str
    """Completes "not checked: ...": `larger than 1 MB`, `timed out after 60 s`."""
    gap_class: GapClass
    blame: str = "change"
    """`change` or `us` (see pipeline.errors.EngineError)."""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One engine's part of the coverage ledger."""

    engine: str
    version: str
    rules_digest: str
    """SHA-256 of the rules it ran with, first 12 hex digits."""
    files: int
    """How many files it looked at, from cache or anew."""
    cached: int = 0
    seconds: float = 0.0
    scan_type: ScanType | None = None
    """What the run was for. A required scan type that no run of the ledger names was not done."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage ledger of a scan or a review: who looked at what, and what nobody looked at."""

    runs: tuple[EngineRun, ...] = ()
    gaps: tuple[Gap, ...] = ()
    files_changed: int = 0
    files_checked: int = 0
    commits: int = 0
    commits_checked: int = 0

    @property
    def breaking(self) -> tuple[Gap, ...]:
        """The gaps that make a verdict incomplete (class limit or error)."""
        return tuple(gap for gap in self.gaps if gap.gap_class is not GapClass.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file of a private tree that an engine may read."""

    path: str
    """Its name in the repository."""
    on_disk: str
    """Its name below the tree's root on disk: synthetic when the real one is hostile."""
    blob: BlobId
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A private copy of some files of one commit. Regular files only; nobody else writes there."""

    root: Path
    files: tuple[TreeFile, ...]
    gaps: tuple[Gap, ...] = ()
    """Files that were left out before any engine ran (symlink, submodule, too large, too many)."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What a scanner is asked: look at these files."""

    tree: Tree
    seconds: float = 120.0
    """Wall-clock limit for the whole request."""
    secret_key: bytes = b""
    """Key for the keyed hash of secret values; empty on the command line."""


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """Output of a scanner: a finding, complete but for its handle."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Covered:
    """Output of a scanner: these files were looked at to the end."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GapSeen:
    """Output of a scanner: something was not looked at."""

    gap: Gap


@dataclass(frozen=True, slots=True)
class Progress:
    """Output of a scanner: how far it is, for people who wait."""

    done: int
    total: int


Output = FindingSeen | Covered | GapSeen | Progress


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine a scanner would run right now, for the ledger and the cache key."""

    name: str
    version: str
    rules_digest: str
    file_local: bool = True
    """True when a file's findings depend on nothing but its path and content, so that they can be cached by blob."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Everything one scan of one side of a change produced."""

    findings: tuple[Finding, ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan type on one source repository: a row."""

    id: ScanId
    batch: BatchId
    scan_type: ScanType
    status: ScanStatus
    required: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Scans of one type (specification 000 calls it a scan)."""

    id: BatchId
    review: ReviewId | None
    scan_type: ScanType
    status: BatchStatus
    commit: CommitId
    scans: tuple[Scan, ...] = field(default=())
