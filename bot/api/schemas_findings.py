"""The public shapes of findings and of what happens to them (specification 000), see `bot.api.schemas`."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, Field

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
