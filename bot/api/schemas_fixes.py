"""The public shapes of fixes (specification 000)."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from bot.api.schemas import SAYS, Strict
from pipeline.model.fix import FixStatus

BRANCH: Final = r"^(?:fixwright/)?[A-Za-z0-9]+(?:[._/-][A-Za-z0-9]+)*$"
"""What git takes as a name, in the few letters that need no care."""

Host = Literal["github", "gitlab", "azure_devops"]
"""The hosts that the contract knows."""

MergeStatus = Literal["open", "merged", "closed"]


class PublicFixPullRequestResponse(BaseModel):
    """The pull request that offers a fix."""

    repo_full_name: str
    branch_name: str
    pr_number: int
    pr_url: str = Field(description="Empty where the host has no pages.")
    merge_status: MergeStatus
    created_at: datetime
    merged_at: datetime | None = None


class PublicFixResponse(BaseModel):
    """A fix run."""

    id: str
    repository_id: str
    finding_ids: list[str]
    title: str
    status: FixStatus
    source_repo: str | None = None
    source_repo_provider: str | None = None
    source_scan_branch: str | None = None
    source_base_commit_sha: str | None = None
    error_message: str | None = None
    pull_requests: list[PublicFixPullRequestResponse]
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempt: int = Field(description="Not in the original contract: the number of the newest attempt.")
    proof: str | None = Field(default=None, description="Not in the original contract: verified, re-scanned, refused, could not check.")
    receipt_digest: str | None = Field(default=None, description="Not in the original contract: of the signed receipt.")


class PublicFixProgressResponse(BaseModel):
    """A sign of life of a fix run. What is read or run for it is not told."""

    fix_id: str
    repository_id: str
    status: FixStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: float | None = None
    agent_steps_completed: int
    latest_activity_at: datetime | None = None
    error_message: str | None = None


class PublicFixDiffResponse(BaseModel):
    """The patch of a fix run; null while it is made."""

    fix_id: str
    status: FixStatus
    diff: str | None = Field(default=None, description="One unified diff. What a secret was stands in none.")


class PublicPullRequestsCreatedResponse(BaseModel):
    """The pull requests of a fix."""

    fix_id: str
    pull_requests: list[PublicFixPullRequestResponse]


class PublicFixCreate(Strict):
    """What is to be mended."""

    finding_ids: list[str] = Field(default=[], max_length=10, description="Empty: the worst that a fixer knows.")
    title: str = Field(min_length=1, max_length=200, pattern=SAYS)
    instructions: str = Field(min_length=1, max_length=12_000, pattern=SAYS)
    source_repo: str = Field(min_length=1, max_length=500, description="Repository full_name (owner/repo)")
    source_repo_provider: Host = "github"
    source_scan_branch: str | None = Field(
        default=None, max_length=500, description="Branch the finding was detected on; `pull/7` for pull request 7."
    )


class PublicFixRefine(Strict):
    """What is to be different."""

    instructions: str = Field(min_length=1, max_length=12_000, pattern=SAYS, description="Follow-up instructions for the generated fix")


class PublicPullRequestsCreate(Strict):
    """How the pull request is to be."""

    title: str | None = Field(default=None, min_length=1, max_length=200, pattern=SAYS, description="PR title; auto-generated if omitted")
    body: str | None = Field(default=None, max_length=20_000, description="PR body in markdown; what was proven stands below it.")
    branch_name: str | None = Field(
        default=None, max_length=200, pattern=BRANCH, description="Custom branch name, below `fixwright/`; auto-generated if omitted"
    )
