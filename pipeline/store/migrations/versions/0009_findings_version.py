"""A number that grows whenever a finding of a repository stands otherwise: what was counted holds until then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("repositories", sa.Column("findings_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
