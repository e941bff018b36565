"""What the public API needs: keys, groups of repositories, quotas, repeated answers, and findings and events that every filter finds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_EMPTY = sa.text("''")
_ZERO = sa.text("0")
_ONE = sa.text("1")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _said(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=_EMPTY, nullable=False)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _count(name: str, default: sa.TextClause | None = _ZERO) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=default, nullable=False)


def upgrade() -> None:
    """Add the tables and columns, and fill in what is known of what exists."""
    _accounts()
    _answers()
    _places()
    _fixes()
    _findings()


def _accounts() -> None:
    op.create_table(
        "api_keys",
        _text("id"),
        _text("organization_id"),
        _text("name"),
        _text("prefix"),
        _text("digest"),
        _text("scopes"),
        _said("created_by"),
        _moment("created_at", nullable=False),
        _moment("expires_at"),
        _moment("last_used_at"),
        _moment("revoked_at"),
        _said("revoked_by"),
        _said("rotated_to"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index("ix_api_keys_organization_id", "api_keys", ["organization_id"], unique=False)
    op.create_table(
        "repository_groups",
        _text("id"),
        _text("organization_id"),
        _text("name"),
        _said("description"),
        _moment("archived_at"),
        _moment("created_at", nullable=False),
        _moment("updated_at", nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_repository_groups_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository_groups")),
    )
    op.create_index("ix_repository_groups_organization_id", "repository_groups", ["organization_id"], unique=False)
    op.create_table(
        "quota_use",
        _text("organization_id"),
        _text("counter"),
        _text("period"),
        _count("used"),
        _count("topup"),
        sa.PrimaryKeyConstraint("organization_id", "counter", "period", name=op.f("pk_quota_use")),
    )
    op.create_table(
        "quota_reservations",
        _text("subject"),
        _text("organization_id"),
        _text("counter"),
        _text("period"),
        _count("amount", None),
        _text("state"),
        _moment("created_at", nullable=False),
        _moment("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_quota_reservations")),
    )
    op.create_index("ix_quota_reservations_organization_id", "quota_reservations", ["organization_id"], unique=False)


def _answers() -> None:
    op.create_table(
        "idempotent_answers",
        _text("caller"),
        _text("key"),
        _text("request"),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        _said("repository_id"),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotent_answers")),
    )
    op.create_index("ix_idempotent_answers_expires_at", "idempotent_answers", ["expires_at"], unique=False)
    op.create_table(
        "device_logins",
        _text("digest"),
        _text("user_code"),
        _text("client_name"),
        _text("status"),
        sa.Column("organization_id", sa.Text(), nullable=True),
        _said("approved_by"),
        _said("scopes"),
        _count("interval", sa.text("5")),
        _moment("polled_at"),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_device_logins")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_logins_user_code")),
    )
    op.create_index("ix_device_logins_expires_at", "device_logins", ["expires_at"], unique=False)


def _places() -> None:
    op.add_column("organizations", _said("plan"))
    op.add_column("repositories", _said("group_id"))
    op.execute("UPDATE repositories SET group_id = id")
    op.create_index("ix_repositories_group_id", "repositories", ["group_id"], unique=False)
    op.create_index("ix_repositories_installation", "repositories", ["provider", "instance", "installation"], unique=False)
    with op.batch_alter_table("batches") as batches:
        batches.add_column(sa.Column("repository_id", sa.Text(), nullable=True))
        batches.add_column(_said("group_id"))
        batches.add_column(_count("repositories", _ONE))
        batches.add_column(_said("error"))
        batches.add_column(_said("asked_by"))
        batches.add_column(_moment("started_at"))
        batches.add_column(_moment("completed_at"))
        batches.create_foreign_key(op.f("fk_batches_repository_id"), "repositories", ["repository_id"], ["id"])
    op.execute(
        "UPDATE batches SET repository_id = (SELECT reviews.repository_id FROM reviews WHERE reviews.id = batches.review_id),"
        " started_at = created_at, completed_at = CASE WHEN status IN ('done', 'partly', 'failed', 'cancelled') THEN updated_at END"
    )
    op.create_index("ix_batches_repository_id", "batches", ["repository_id", "scan_type", "id"], unique=False)
    op.create_index("ix_batches_group_id", "batches", ["group_id", "scan_type", "id"], unique=False)


def _fixes() -> None:
    op.add_column("fixes", _said("branch"))
    op.create_table(
        "fix_offers",
        _text("fix_id"),
        _text("repository_id"),
        _said("called"),
        _said("scan_branch"),
        _said("title"),
        _said("body"),
        sa.Column("number", sa.Integer(), nullable=True),
        _said("branch"),
        _said("state"),
        _moment("opened_at"),
        _moment("merged_at"),
        sa.ForeignKeyConstraint(["fix_id"], ["fixes.id"], name=op.f("fk_fix_offers_fix_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_fix_offers_repository_id")),
        sa.PrimaryKeyConstraint("fix_id", name=op.f("pk_fix_offers")),
    )
    op.create_index("ix_fix_offers_number", "fix_offers", ["repository_id", "number"], unique=False)


def _findings() -> None:
    op.create_table(
        "batch_findings",
        _text("batch_id"),
        _text("finding_id"),
        _count("severity", None),
        _text("branch"),
        sa.PrimaryKeyConstraint("batch_id", "finding_id", name=op.f("pk_batch_findings")),
    )
    op.create_index("ix_batch_findings_finding_id", "batch_findings", ["finding_id"], unique=False)
    op.create_index("ix_batch_findings_severity", "batch_findings", ["batch_id", "severity", "finding_id"], unique=False)
    for column in (_said("scan_type"), _said("decision"), _said("decision_reason"), _said("decided_by"), _moment("decided_at")):
        op.add_column("findings", column)
    op.add_column("findings", sa.Column("decision_until", sa.Text(), nullable=True))
    ends = sa.text("decision_until IS NOT NULL")
    op.create_index("ix_findings_decision_until", "findings", ["decision_until"], postgresql_where=ends, sqlite_where=ends)
    op.execute("UPDATE findings SET scan_type = CASE WHEN rule_id LIKE 'secrets.%' THEN 'secrets_scan' ELSE 'semgrep_scan' END")
    for column in (_said("shown"), _said("scan_type")):
        op.add_column("finding_states", column)
    op.add_column("finding_states", _count("severity"))
    op.execute(
        "UPDATE finding_states SET shown = CASE status WHEN 'open' THEN 'open' ELSE 'resolved' END,"
        " severity = (SELECT findings.severity FROM findings WHERE findings.id = finding_states.finding_id),"
        " scan_type = (SELECT findings.scan_type FROM findings WHERE findings.id = finding_states.finding_id)"
    )
    shown = ["repository_id", "branch", "shown", "severity", "scan_type", "finding_id"]
    op.create_index("ix_finding_states_shown", "finding_states", shown, unique=False)
    op.create_table(
        "finding_counts",
        _text("repository_id"),
        _text("branch"),
        _text("rule_id"),
        _text("shown"),
        _count("severity", None),
        _count("count", None),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_finding_counts_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", "branch", "rule_id", "shown", "severity", name=op.f("pk_finding_counts")),
    )
    op.execute(
        "INSERT INTO finding_counts (repository_id, branch, rule_id, shown, severity, count)"
        " SELECT finding_states.repository_id, branch, rule_id, shown, finding_states.severity, count(*)"
        " FROM finding_states JOIN findings ON findings.id = finding_states.finding_id"
        " GROUP BY finding_states.repository_id, branch, rule_id, shown, finding_states.severity"
    )
    op.add_column("finding_events", sa.Column("sequence", sa.BigInteger(), nullable=True))
    for column in (_said("organization_id"), _said("scan_type"), _said("previous"), _said("now")):
        op.add_column("finding_events", column)
    op.add_column("finding_events", _count("severity"))
    op.add_column("finding_events", _moment("logged_at"))
    op.create_table(
        "event_log",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        _moment("logged_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_log")),
    )
    op.create_index("ix_finding_events_logged_at", "finding_events", ["logged_at", "sequence"], unique=False)
    op.create_index("ix_finding_events_sequence", "finding_events", ["sequence"], unique=True)
    op.create_index("ix_finding_events_organization", "finding_events", ["organization_id", "sequence"], unique=False)
    for name in ("kind", "severity", "scan_type"):
        op.create_index(f"ix_finding_events_{name}", "finding_events", ["organization_id", name, "sequence"], unique=False)
    op.create_index("ix_finding_events_of_repository", "finding_events", ["repository_id", "sequence"], unique=False)
    unplaced = sa.text("sequence IS NULL")
    op.create_index("ix_finding_events_unplaced", "finding_events", ["position"], postgresql_where=unplaced, sqlite_where=unplaced)
