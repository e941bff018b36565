"""Who may ask, and how much: keys, logins of devices, repositories that people put together, quotas, answers that are given once more."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from pipeline.store.columns import HostileText, free, hostile, moment, number, refers
from pipeline.store.tables.base import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    refers("organization_id", "organizations"),
    hostile("name"),
    Column("prefix", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    hostile("created_by", ""),
    moment("created_at"),
    moment("expires_at", nullable=True),
    moment("last_used_at", nullable=True),
    moment("revoked_at", nullable=True),
    hostile("revoked_by", ""),
    Column("rotated_to", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("digest"),
    Index("ix_api_keys_organization_id", "organization_id"),
)
"""Keys of an organization. `digest`: HMAC-SHA256 of the key under a key of ours, as hex; the key itself is nowhere. `prefix`: what is shown
of it. `scopes`: words between blanks. `rotated_to`: the key that takes the place of this one, which holds until `expires_at`."""

repository_groups = Table(
    "repository_groups",
    metadata,
    Column("id", Text, primary_key=True),
    refers("organization_id", "organizations"),
    hostile("name"),
    free("description", ""),
    moment("archived_at", nullable=True),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_repository_groups_organization_id", "organization_id"),
)
"""What the API calls a repository, where people made one of several source repositories. A source repository that is in none of these is
one by itself, under its own id (`repositories.group_id`)."""

batch_findings = Table(
    "batch_findings",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("finding_id", Text, primary_key=True),
    number("severity"),
    hostile("branch"),
    Index("ix_batch_findings_finding_id", "finding_id"),
    Index("ix_batch_findings_severity", "batch_id", "severity", "finding_id"),
)
"""What a batch saw: the findings that are attributed to it."""

quota_use = Table(
    "quota_use",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("counter", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    number("used", 0),
    number("topup", 0),
)
"""How much of a counter is spent or reserved in a period (ISO date of its first day)."""

quota_reservations = Table(
    "quota_reservations",
    metadata,
    Column("subject", HostileText, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("counter", Text, nullable=False),
    Column("period", Text, nullable=False),
    number("amount"),
    Column("state", Text, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_quota_reservations_organization_id", "organization_id"),
)
"""What a unit was reserved for: `batch:ID`, `fix:ID`. `state`: reserved, settled, refunded."""

idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("status", Integer, nullable=True),
    Column("answer", LargeBinary, nullable=True),
    Column("repository_id", Text, nullable=False, server_default=text("''")),
    moment("created_at"),
    moment("expires_at"),
    Index("ix_idempotent_answers_expires_at", "expires_at"),
)
"""First answers to a POST with an `Idempotency-Key`. `key`, `request`: digests. `status` null: it is being answered.
`answer` is sealed, and goes with the repository that it is about."""

device_logins = Table(
    "device_logins",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("user_code", Text, nullable=False),
    hostile("client_name"),
    Column("status", Text, nullable=False),
    Column("organization_id", Text, nullable=True),
    hostile("approved_by", ""),
    Column("scopes", Text, nullable=False, server_default=text("''")),
    number("interval", 5),
    moment("polled_at", nullable=True),
    moment("created_at"),
    moment("expires_at"),
    UniqueConstraint("user_code"),
    Index("ix_device_logins_expires_at", "expires_at"),
)
"""Command-line clients that ask for a key. `digest`: of the device code. `status`: pending, approved, denied, used."""
