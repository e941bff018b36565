"""What a real installation needs: instances, organizations, states of repositories, waivers."""

from __future__ import annotations

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
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_waivers_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
    )
    op.create_index("ix_waivers_repository_id", "waivers", ["repository_id", "fingerprint"], unique=False)
    # As SQL: for this column SQLite would have to copy the table, and everything that refers to it.
    op.execute(
        "ALTER TABLE installations ADD COLUMN organization_id TEXT "
        "CONSTRAINT fk_installations_organization_id REFERENCES organizations (id)"
    )
    op.add_column("repositories", _text("state", "active"))
    op.add_column("repositories", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column("repositories", _text("policy_source"))
    op.add_column("repositories", sa.Column("scan_due_at", sa.Double(), nullable=True))
    op.add_column("repositories", sa.Column("scanned_at", sa.Double(), nullable=True))
    op.add_column("repositories", _text("scanned_with"))
    op.create_index("ix_repositories_scan_due_at", "repositories", ["scan_due_at"], unique=False)
    op.add_column("finding_events", _text("actor"))
    op.add_column("finding_events", _text("detail"))
    op.add_column("threads", _text("resolved"))


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=sa.text(f"'{default}'"), nullable=False)
