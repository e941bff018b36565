"""Who has what: instances of hosts, organizations, installations, repositories, and whose turn it is to be looked at."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, false, text

from pipeline.store.columns import Document, free, hostile, moment, refers
from pipeline.store.tables.base import metadata

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    Column("settings", LargeBinary, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("provider", "instance"),
)
"""Settings of a provider's instance that were made by setup rather than by the environment. `settings` is sealed."""

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("slug"),
    hostile("name"),
    hostile("plan", ""),
    moment("created_at"),
    UniqueConstraint("slug"),
)
"""Who owns what: an installation is in one organization, and its repositories with it. `plan`: empty for the default one."""

installations = Table(
    "installations",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    hostile("external_id"),
    hostile("account"),
    hostile("state", "active"),
    refers("organization_id", "organizations", nullable=True),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("provider", "instance", "external_id"),
)
"""`state`: active, suspended, deleted. `organization_id` is null until it was told apart from the default one."""

repositories = Table(
    "repositories",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    hostile("external_id"),
    hostile("full_name"),
    hostile("default_branch"),
    hostile("clone_url"),
    Column("private", Boolean, nullable=False),
    hostile("installation"),
    hostile("state", "active"),
    Column("switched_off", Boolean, nullable=False, server_default=false()),
    Column("policy", Document, nullable=True),
    free("policy_source", ""),
    moment("scan_due_at", nullable=True),
    moment("scanned_at", nullable=True),
    hostile("scanned_with", ""),
    hostile("scan_review", ""),
    free("scan_trouble", ""),
    hostile("listed_commit", ""),
    moment("listed_at", nullable=True),
    hostile("group_id", ""),
    Column("findings_version", BigInteger, nullable=False, server_default=text("0")),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("provider", "instance", "external_id"),
    Index("ix_repositories_scan_due_at", "scan_due_at"),
    Index("ix_repositories_group_id", "group_id"),
    Index("ix_repositories_installation", "provider", "instance", "installation"),
)
"""Source repositories. `state`: active, disabled (by the operator), archived, gone. `switched_off`: the operator's word, which outlasts
that it was gone. `policy`: the last one that could be used, as JSON.
`scan_due_at`: when the whole default branch is to be looked at next; `scanned_with`: digest of the rules and engines of the last look,
`scan_review` its review, `scan_trouble` why it came to nothing. `listed_commit`, `listed_at`: of what the list of findings speaks.
`group_id`: the repository of the API that it belongs to; its own id when nobody put it together with others.
`findings_version`: grows whenever a finding of it stands otherwise on some branch."""

scan_slots = Table(
    "scan_slots",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    hostile("repository_id"),
    moment("until"),
)
"""Whole scans that are under way: as many as there are slots, whatever the number of workers. `until`: when a silent one is given up."""
