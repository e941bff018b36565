"""What is to be done, and what came in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from pipeline.store.columns import HostileText, hostile, moment, number
from pipeline.store.tables.base import metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", HostileText, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("group", HostileText, nullable=False, server_default=text("''")),
    Column("status", Text, nullable=False),
    moment("created_at"),
    moment("due_at"),
    moment("publish_at"),
    number("publishes", 0),
    hostile("owner", ""),
    number("epoch", 0),
    moment("lease_until", nullable=True),
    number("attempts", 0),
    number("crashes", 0),
    hostile("error_code", ""),
    moment("finished_at", nullable=True),
    hostile("delivery_id", ""),
    moment("begun_at", nullable=True),
    hostile("waits_for", ""),
    hostile("tenant", ""),
    hostile("repository", ""),
)
"""What is to be done. `status`: pending, running, done, dead. `publish_at`: when the relay should (again) wake a worker for it.
`delivery_id`: the delivery that all this began with, and `begun_at` when that arrived; inherited by what a message sends.
`lease_until`: of one that is running; of a pending one that failed, when that was.
`waits_for`: the host that did not answer, for a message that is due again for no other reason.
`tenant`, `repository`: whose work it is and on what, see `pipeline.store.belongs`; inherited too. Empty: nobody's."""

_PENDING, _RUNNING = text("status = 'pending'"), text("status = 'running'")
_NEW, _TOLD = text("status = 'pending' AND publishes = 0"), text("status = 'pending' AND publishes > 0")
Index("ix_outbox_pending", outbox.c.priority, outbox.c.publish_at, postgresql_where=_PENDING, sqlite_where=_PENDING)
Index("ix_outbox_due", outbox.c.priority, outbox.c.due_at, postgresql_where=_PENDING, sqlite_where=_PENDING)
_fair = (outbox.c.priority, outbox.c.tenant, outbox.c.publish_at, outbox.c.id)
Index("ix_outbox_new", *_fair, postgresql_where=_NEW, sqlite_where=_NEW)
Index("ix_outbox_told", outbox.c.priority, outbox.c.publish_at, postgresql_where=_TOLD, sqlite_where=_TOLD)
Index("ix_outbox_running", outbox.c.lease_until, postgresql_where=_RUNNING, sqlite_where=_RUNNING)
Index("ix_outbox_group", outbox.c.group, outbox.c.status)
Index("ix_outbox_ended", outbox.c.status, outbox.c.finished_at)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    hostile("delivery_id"),
    hostile("name"),
    hostile("outcome"),
    moment("received_at"),
    number("size"),
    Column("body", LargeBinary, nullable=True),
    UniqueConstraint("provider", "instance", "delivery_id"),
    Index("ix_deliveries_received_at", "received_at"),
)
"""Deliveries that were acknowledged. `body` is zlib, and is dropped a day after."""

delivery_counts = Table(
    "delivery_counts",
    metadata,
    Column("provider", HostileText, primary_key=True),
    Column("name", HostileText, primary_key=True),
    Column("outcome", HostileText, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
