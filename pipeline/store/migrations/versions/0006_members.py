"""One fix run may mend several places: which, and what became of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. What exists mends the one place that its row names."""
    op.add_column("fixes", sa.Column("members", sa.Text(), nullable=True))
