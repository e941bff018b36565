"""Fixes are made in attempts: what was wanted of each, what came of it, and how far it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_EMPTY = sa.text("''")


def upgrade() -> None:
    """Add the table and the columns. Each fix that exists has had one attempt."""
    for name in ("title", "base", "asked_by", "choice", "cancel_asked_by", "replaced_by"):
        op.add_column("fixes", sa.Column(name, sa.Text(), server_default=_EMPTY, nullable=False))
    op.add_column("fixes", sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("fixes", sa.Column("cancel_asked_at", sa.Double(), nullable=True))
    op.create_table(
        "fix_attempts",
        sa.Column("fix_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), server_default=_EMPTY, nullable=False),
        sa.Column("asked_by", sa.Text(), server_default=_EMPTY, nullable=False),
        sa.Column("choice", sa.Text(), server_default=_EMPTY, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("diff", sa.Text(), server_default=_EMPTY, nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), server_default=_EMPTY, nullable=False),
        sa.Column("steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("active_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["fix_id"], ["fixes.id"], name=op.f("fk_fix_attempts_fix_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_fix_attempts_repository_id")),
        sa.PrimaryKeyConstraint("fix_id", "number", name=op.f("pk_fix_attempts")),
    )
    op.create_index("ix_fix_attempts_repository_id", "fix_attempts", ["repository_id"], unique=False)
    op.execute(
        "INSERT INTO fix_attempts"
        " (fix_id, number, repository_id, status, diff, proof, receipt, error, created_at, started_at, ended_at, active_at)"
        " SELECT id, 1, repository_id, CASE status WHEN 'pr_creation_failed' THEN 'completed' WHEN 'pr_update_failed' THEN 'completed'"
        " ELSE status END, diff, proof, receipt, error, created_at, CASE status WHEN 'pending' THEN NULL ELSE created_at END,"
        " CASE WHEN status IN ('pending', 'running') THEN NULL ELSE updated_at END, updated_at FROM fixes"
    )
