"""The public shapes of accounts and repositories (specification 000). Names, types and words are the contract: a snapshot holds them.

Fields that the specification does not have stand at the end of a shape and say so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from pipeline.model.account import Scope
from pipeline.store.groups import MOST_SOURCES

SAYS: Final = r"\S"
"""A text with something in it."""


class Strict(BaseModel):
    """A body that is sent to us: what is not known is refused, so that a slip of the pen is not silently left out."""

    model_config = ConfigDict(extra="forbid")


class PublicQuotaPeriod(BaseModel):
    """The period for which quotas are counted."""

    period_start: datetime
    period_end: datetime


class PublicApiKeyInfo(BaseModel):
    """The key that asks."""

    id: str
    name: str
    key_prefix: str = Field(description="How the key begins.")
    scopes: list[Scope]


class PublicMeResponse(BaseModel):
    """Who asks."""

    organization_id: str
    organization_name: str
    organization_slug: str
    api_key: PublicApiKeyInfo
    quota_period: PublicQuotaPeriod = Field(description="Not in the original contract.")


class PublicSourceRepositoryResponse(BaseModel):
    """A source repository on a code host."""

    full_name: str
    default_branch: str
    html_url: str | None = None
    provider: str
    id: str = Field(description="Not in the original contract: the id to put it together with others.")


class PublicRepositoryResponse(BaseModel):
    """One source repository, or several that belong together."""

    id: str
    name: str
    description: str | None = None
    repositories: list[PublicSourceRepositoryResponse]
    archived: bool
    created_at: datetime
    updated_at: datetime


class PublicRepositoryCreate(Strict):
    """Source repositories that are to be one repository."""

    name: str = Field(min_length=1, max_length=200, pattern=SAYS)
    description: str | None = Field(default=None, max_length=2_000)
    source_repository_ids: list[str] = Field(max_length=MOST_SOURCES, description="`id` of source repositories.")


class PublicRepositoryUpdate(Strict):
    """What is to be different; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=200, pattern=SAYS)
    description: str | None = Field(default=None, max_length=2_000)
    archived: StrictBool | None = None
    source_repository_ids: list[str] | None = Field(default=None, max_length=MOST_SOURCES, description="All that it is to have.")
