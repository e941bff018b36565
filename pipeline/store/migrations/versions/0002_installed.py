"""What a real installation needs: instances, organizations, states of repositories, waivers."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("settings", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("provider", "instance", name=op.f("uq_instances_provider_instance")),
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("slug", name=op.f("uq_organizations_slug")),
    )
    op.create_table(
        "waivers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("keyed_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("person_login", sa.Text(), nullable=False),
        sa.Column("pull_request", sa.Integer(), nullable=True),
        sa.Column("until", sa.Text(), nullable=True),
        _text("path"),
        sa.Column("line", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("expired_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_waivers_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
    )
    op.create_index("ix_waivers_repository_id", "waivers", ["repository_id", "fingerprint"], unique=False)
    op.create_table(
        "pushers",
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("pull_request", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_pushers_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "pull_request", "person_id", name=op.f("pk_pushers")),
    )
    op.create_table(
        "scan_slots",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_scan_slots")),
    )
    op.create_table(
        "finding_places",
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("seen_with", sa.Text(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_finding_places_repository_id")),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.id"], name=op.f("fk_finding_places_finding_id")),
        sa.PrimaryKeyConstraint("repository_id", "branch", "path", "engine", "ordinal", name=op.f("pk_finding_places")),
    )
    op.create_index("ix_finding_places_finding_id", "finding_places", ["finding_id", "branch"], unique=False)
    # As SQL: for this column SQLite would have to copy the table, and everything that refers to it.
    op.execute(
        "ALTER TABLE installations ADD COLUMN organization_id TEXT "
        "CONSTRAINT fk_installations_organization_id REFERENCES organizations (id)"
    )
    op.add_column("repositories", _text("state", "active"))
    op.add_column("repositories", sa.Column("switched_off", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("repositories", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column("repositories", _text("policy_source"))
    op.add_column("repositories", sa.Column("scan_due_at", sa.Double(), nullable=True))
    op.add_column("repositories", sa.Column("scanned_at", sa.Double(), nullable=True))
    op.add_column("repositories", _text("scanned_with"))
    op.add_column("repositories", _text("scan_review"))
    op.add_column("repositories", _text("scan_trouble"))
    op.add_column("repositories", _text("listed_commit"))
    op.add_column("repositories", sa.Column("listed_at", sa.Double(), nullable=True))
    op.create_index("ix_repositories_scan_due_at", "repositories", ["scan_due_at"], unique=False)
    op.add_column("finding_events", _text("actor"))
    op.add_column("finding_events", _text("detail"))
    op.add_column("threads", _text("resolved"))
    op.add_column("reviews", sa.Column("policy_record", sa.Text(), nullable=True))
    op.add_column("reviews", sa.Column("rests_until", sa.Text(), nullable=True))
    op.create_index("ix_reviews_rests_until", "reviews", ["rests_until"], unique=False)
    op.add_column("outbox", _text("delivery_id"))
    op.add_column("outbox", sa.Column("begun_at", sa.Double(), nullable=True))
    op.add_column("outbox", _text("waits_for"))
    pending = sa.text("status = 'pending'")
    op.create_index("ix_outbox_due", "outbox", ["priority", "due_at"], unique=False, postgresql_where=pending, sqlite_where=pending)
    op.add_column("scan_cache", _text("repository_id"))
    op.create_index("ix_scan_cache_repository_id", "scan_cache", ["repository_id"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_counters")),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    op.create_index("ix_processes_seen_at", "processes", ["seen_at"], unique=False)
    # What refers to a review: whoever deletes one, retention first of all, asks each of these tables whether it still does.
    op.create_index("ix_subjects_review_id", "subjects", ["review_id"], unique=False)
    op.create_index("ix_findings_first_review_id", "findings", ["first_review_id"], unique=False)
    op.create_index("ix_finding_states_review_id", "finding_states", ["review_id"], unique=False)
    op.create_index("ix_finding_events_review_id", "finding_events", ["review_id"], unique=False)
    op.create_index("ix_finding_states_finding_id", "finding_states", ["finding_id", "status"], unique=False)
    op.add_column("occurrences", _text("keyed_hash"))
    _fill_keyed_hashes()
    op.create_index("ix_occurrences_keyed_hash", "occurrences", ["keyed_hash", "review_id"], unique=False)


def _fill_keyed_hashes() -> None:
    """Of the secrets that were seen before: they stand in the documents, which databases read in different ways."""
    seen = sa.table("occurrences", *(sa.column(name) for name in ("review_id", "ordinal", "finding", "keyed_hash")))
    database = op.get_bind()
    rows = database.execute(sa.select(seen.c.review_id, seen.c.ordinal, seen.c.finding).where(seen.c.finding.contains("keyed_hash"))).all()
    for review, ordinal, document in rows:
        secret = json.loads(document).get("secret")
        if secret:
            this = sa.and_(seen.c.review_id == review, seen.c.ordinal == ordinal)
            database.execute(sa.update(seen).where(this).values(keyed_hash=secret["keyed_hash"]))


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text(f"'{default}'"), nullable=False)
