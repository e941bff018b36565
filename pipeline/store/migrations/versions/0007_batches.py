"""Scans that somebody asked for through the API: of which source repository, since when, and what came of it; lists of batches by state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and indexes. Batches of reviews that are over end as those did: until now nobody asked how they stand."""
    op.add_column("scans", sa.Column("source_id", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("scans", sa.Column("findings", sa.Integer(), nullable=True))
    op.add_column("scans", sa.Column("started_at", sa.Double(), nullable=True))
    op.add_column("scans", sa.Column("ended_at", sa.Double(), nullable=True))
    op.create_index("ix_scans_source_id", "scans", ["source_id"], unique=False)
    for column in ("repository_id", "group_id"):
        op.create_index(f"ix_batches_{column}_newest", "batches", [column, "id"], unique=False)
        op.create_index(f"ix_batches_{column}_status", "batches", [column, "status", "id"], unique=False)
    review = "(SELECT reviews.{} FROM reviews WHERE reviews.id = batches.review_id)"
    for ended, status in (("'done', 'publishing'", "done"), ("'failed'", "failed"), ("'cancelled'", "cancelled")):
        op.execute(
            f"UPDATE batches SET status = '{status}', completed_at = COALESCE({review.format('settled_at')}, updated_at)"  # noqa: S608  constants
            f" WHERE status IN ('queued', 'running', 'assessing') AND {review.format('status')} IN ({ended})"
        )
