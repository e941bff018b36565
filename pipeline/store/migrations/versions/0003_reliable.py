"""What nothing may be lost or stuck for: whose work a message is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NEW = sa.text("status = 'pending' AND publishes = 0")
_TOLD = sa.text("status = 'pending' AND publishes > 0")


def upgrade() -> None:
    """Add the columns and indexes. What waits already belongs to nobody, which is a tenant like every other."""
    for name in ("tenant", "repository"):
        op.add_column("outbox", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    fair = ["priority", "tenant", "publish_at", "id"]
    op.create_index("ix_outbox_new", "outbox", fair, unique=False, postgresql_where=_NEW, sqlite_where=_NEW)
    op.create_index("ix_outbox_told", "outbox", ["priority", "publish_at"], unique=False, postgresql_where=_TOLD, sqlite_where=_TOLD)
    op.create_table(
        "secret_marks",
        sa.Column("repository_id", sa.Text(), nullable=False),
        sa.Column("keyed_hash", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_secret_marks_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "keyed_hash", name=op.f("pk_secret_marks")),
    )
    op.create_index("ix_secret_marks_seen_at", "secret_marks", ["repository_id", "seen_at"], unique=False)
