"""What processes share while they run: effects begun, answers remembered, locks, numbers, signs of life."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, Table, Text

from pipeline.store.columns import HostileText, hostile, moment, number
from pipeline.store.tables.base import metadata

effects = Table(
    "effects",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("state", Text, nullable=False),
    hostile("remote_id", ""),
    number("epoch"),
    moment("created_at"),
    moment("updated_at"),
)
"""Write-ahead of calls to a host. `state`: intended, done."""

scan_cache = Table(
    "scan_cache",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    number("size"),
    moment("used_at"),
    hostile("repository_id", ""),
    Index("ix_scan_cache_used_at", "used_at"),
    Index("ix_scan_cache_repository_id", "repository_id"),
)
"""`value` quotes code: `repository_id` is the repository that it was read in, so that a purge finds it."""

host_memory = Table(
    "host_memory",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("version", Text, nullable=False),
    moment("expires_at"),
    Index("ix_host_memory_expires_at", "expires_at"),
)

host_locks = Table(
    "host_locks",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("owner", Text, nullable=False),
    moment("expires_at"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Double, nullable=False),
    moment("updated_at"),
)
"""Numbers that no process has alone (`pipeline.tally`). `labels`: JSON object with sorted names, never a name of a person or repository."""

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    moment("started_at"),
    moment("seen_at"),
    Index("ix_processes_seen_at", "seen_at"),
)
"""Which processes run: `kind` is web, relay or worker; each says every few seconds that it lives."""
