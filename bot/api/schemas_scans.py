"""The public shapes of scan batches (specification 000), see `bot.api.schemas`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from bot.api.schemas import Strict
from bot.api.schemas_findings import FindingSeverity
from pipeline.model.scan import ScanType

_OURS = "Not in the original contract"


class ScanBatchStatus(StrEnum):
    """How a batch stands."""

    QUEUED = "queued"
    CREATING_SCANS = "creating_scans"
    SCANNING = "scanning"
    ASSESSING = "assessing"
    COMPLETED = "completed"
    PARTIAL_FAILURE = "partial_failure"
    FAILED = "failed"


class PublicScanCreate(Strict):
    """What is to be looked at."""

    scan_type: ScanType = Field(description="Available scan types for repository security scanning.")


class PublicScanBatch(BaseModel):
    """What every answer about a batch has."""

    batch_id: str
    repository_id: str
    scan_type: ScanType
    status: ScanBatchStatus
    total_repositories: int
    scans_created: int
    scans_failed: int
    scans_completed: int
    scans_assessed: int
    error_message: str | None = None


class PublicScanBatchResponse(PublicScanBatch):
    """A scan of each source repository of a repository."""

    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled: bool = Field(description=f"{_OURS}: true for one that failed because it was cancelled.")
    trigger: Literal["api", "push", "pull_request", "schedule"] = Field(description=f"{_OURS}: what made it.")
    asked_by: str | None = Field(default=None, description=f"{_OURS}: the name of the key that asked for it.")
    branch: str | None = Field(default=None, description=f"{_OURS}: null where each source repository has its own.")
    commit_sha: str | None = Field(default=None, description=f"{_OURS}.")
    pull_request: int | None = Field(default=None, description=f"{_OURS}.")


class PublicScanRepositoryProgress(BaseModel):
    """The scan of one source repository."""

    repository: str
    branch: str
    status: Literal["pending", "running", "succeeded", "failed"]
    status_reason: str | None = None
    findings_count: int | None = Field(default=None, description="Null before it is over.")
    started_at: datetime | None = None
    completed_at: datetime | None = None
    commit_sha: str | None = Field(default=None, description=f"{_OURS}.")


class PublicScanProgressResponse(PublicScanBatch):
    """How far a batch is."""

    started_at: datetime | None = None
    completed_at: datetime | None = None
    percent_complete: float = Field(description="0 to 100; never less than before, and 100 only at the end.")
    repositories: list[PublicScanRepositoryProgress]
    cancelled: bool = Field(description=f"{_OURS}: true for one that failed because it was cancelled.")


class PublicScanResultFinding(BaseModel):
    """A finding that is attributed to a batch."""

    check_id: str
    file_path: str
    severity: FindingSeverity
    message: str
    cwe: list[str]
    owasp: list[str]
    fingerprint: str
    id: str = Field(description=f"{_OURS}.")
    line_start: int = Field(description=f"{_OURS}.")
    line_end: int = Field(description=f"{_OURS}.")
    branch: str = Field(description=f"{_OURS}. `pull/7` for pull request 7.")
    source_repo: str = Field(description=f"{_OURS}.")


class PublicScanNotChecked(BaseModel):
    """What was not looked at, so that nobody takes silence for an all-clear. Not in the original contract."""

    repository: str
    file_path: str | None = Field(default=None, description="Null: the whole source repository.")
    reason: str


class PublicScanResultsResponse(BaseModel):
    """Everything that a batch found. The order of these fields may be another one."""

    batch_id: str
    scan_type: ScanType
    status: ScanBatchStatus
    findings_count: int
    findings: list[PublicScanResultFinding]
    not_checked: list[PublicScanNotChecked] = Field(description=f"{_OURS}: what was not looked at, or is no longer known.")
    complete: bool = Field(description=f"{_OURS}: true when everything was looked at that was to be looked at.")
