"""The public shapes of findings and of what happens to them (specification 000), see `bot.api.schemas`."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from bot.api.schemas import Strict
from pipeline.model.scan import ScanType


class FindingSeverity(StrEnum):
    """How bad a finding is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class SecurityFindingStatus(StrEnum):
    """Status of a security finding."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"
    FALSE_POSITIVE = "false_positive"
    NEEDS_MANUAL_REVIEW = "needs_manual_review"


_OURS = "Not in the original contract"


class PublicFindingResponse(BaseModel):
    """A weakness of a repository, as it stands on one branch."""

    id: str
    repository_id: str
    check_id: str = Field(description="The rule.")
    severity: FindingSeverity
    status: SecurityFindingStatus
    file_path: str
    message: str
    title: str | None = None
    category: str
    scan_type: ScanType
    cwe: list[str] = Field(examples=[["CWE-89"]])
    owasp: list[str] = Field(examples=[["A03:2021 - Injection"]])
    references: list[str]
    source_url: str | None = Field(default=None, description="The lines as of the commit, on the code host.")
    cvss_base_score: float | None = Field(default=None, description="Null where nobody has rated this very weakness.")
    cvss_severity: str | None = None
    cvss_vector: str | None = None
    first_detected_at: datetime
    last_detected_at: datetime
    resolved_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    line_start: int = Field(description=f"{_OURS}.")
    line_end: int = Field(description=f"{_OURS}.")
    branch: str = Field(description=f"{_OURS}. `pull/7` for pull request 7.")
    commit_sha: str = Field(description=f"{_OURS}: at which it was looked at last.")
    is_pr_finding: bool = Field(description=f"{_OURS}.")
    handle: str = Field(description=f"{_OURS}: what people call it in comments.")
    source_repo: str = Field(description=f"{_OURS}.")
    source_repo_provider: str = Field(description=f"{_OURS}.")
    reason: str | None = Field(default=None, description=f"{_OURS}: why a person decided so.")
    until: date | None = Field(default=None, description=f"{_OURS}: the last day of that decision.")
    fix_ids: list[str] = Field(description=f"{_OURS}: newest first.")
    gate_lifted: bool | None = Field(
        default=None,
        description=f"{_OURS}: in the answer to a change to `ignored` or `false_positive`: whether the finding stops no pull request now. "
        "That takes the scope `admin`.",
    )


class PublicFindingUpdate(Strict):
    """What a person decides."""

    status: SecurityFindingStatus
    reason: str | None = Field(default=None, max_length=500, description=f"{_OURS}: why.")
    until: date | None = Field(
        default=None, description=f"{_OURS}: the last day of `ignored`, `false_positive` or `needs_manual_review`; then it is open again."
    )


class FindingEventType(StrEnum):
    """What happened to a finding."""

    DETECTED = "detected"
    RESOLVED_AUTO = "resolved_auto"
    RESOLVED_MANUAL = "resolved_manual"
    RESOLVED_PR_MERGED = "resolved_pr_merged"
    RESOLVED_PR_LINKED = "resolved_pr_linked"
    REOPENED = "reopened"
    STATUS_CHANGED = "status_changed"
    FIX_CREATED = "fix_created"
    FIX_STARTED = "fix_started"
    FIX_COMPLETED = "fix_completed"
    FIX_FAILED = "fix_failed"
    FIX_CANCELLED = "fix_cancelled"
    FIX_PR_CREATED = "fix_pr_created"
    FIX_PR_UPDATED = "fix_pr_updated"


class PublicFindingEventResponse(BaseModel):
    """Something that happened to a finding. It never changes, and is never shown before everything that has a smaller `id`."""

    id: str = Field(description="Grows with each event of the log; the key by which a poller knows what it has seen.")
    organization_id: str
    repository_id: str
    finding_id: str
    scan_id: str | None = Field(default=None, description="The batch in which it was seen.")
    scan_type: ScanType | None = None
    event_type: FindingEventType
    previous_status: SecurityFindingStatus | None = None
    new_status: SecurityFindingStatus | None = None
    severity: FindingSeverity | None = None
    check_id: str | None = None
    file_path: str | None = None
    actor_user_id: str | None = Field(default=None, description="Who acted: a login on the code host, or the name of an API key.")
    metadata: dict[str, Any] = Field(
        description="`branch`, `commit_sha`, `detail`, and `kind` where our own word says more than `event_type`."
    )
    event_timestamp: datetime = Field(description="When it came into the log; grows with `id`.")
    created_at: datetime = Field(description="When it happened and was written down.")
