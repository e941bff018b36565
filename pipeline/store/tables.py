"""Every table of the store.

Moments are seconds since 1970 as double precision, by the clock of the database (leases must not depend on the clock of a worker).
Documents are ASCII JSON (`pipeline.store.codec`). Identifiers are opaque text (`pipeline.store.identifiers`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from pipeline.store.columns import NAMES, HostileText

metadata = MetaData(naming_convention=NAMES)


def _moment(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _text(name: str, default: str | None = None) -> Column[str]:
    """Text that holds anything; NOT NULL."""
    return Column(name, HostileText, nullable=False, server_default=None if default is None else text(f"'{default}'"))


def _number(name: str, default: int | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=None if default is None else text(str(default)))


def _key(name: str, target: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey(f"{target}.id"), nullable=nullable)


_POSITION = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER PRIMARY KEY only

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
    _moment("created_at"),
    _moment("due_at"),
    _moment("publish_at"),
    _number("publishes", 0),
    _text("owner", ""),
    _number("epoch", 0),
    _moment("lease_until", nullable=True),
    _number("attempts", 0),
    _number("crashes", 0),
    _text("error_code", ""),
    _moment("finished_at", nullable=True),
    _text("delivery_id", ""),
    _moment("begun_at", nullable=True),
    _text("waits_for", ""),
)
"""What is to be done. `status`: pending, running, done, dead. `publish_at`: when the relay should (again) wake a worker for it.
`delivery_id`: the delivery that all this began with, and `begun_at` when that arrived; inherited by what a message sends.
`waits_for`: the host that did not answer, for a message that is due again for no other reason."""

_PENDING, _RUNNING = text("status = 'pending'"), text("status = 'running'")
Index("ix_outbox_pending", outbox.c.priority, outbox.c.publish_at, postgresql_where=_PENDING, sqlite_where=_PENDING)
Index("ix_outbox_due", outbox.c.priority, outbox.c.due_at, postgresql_where=_PENDING, sqlite_where=_PENDING)
Index("ix_outbox_running", outbox.c.lease_until, postgresql_where=_RUNNING, sqlite_where=_RUNNING)
Index("ix_outbox_group", outbox.c.group, outbox.c.status)
Index("ix_outbox_ended", outbox.c.status, outbox.c.finished_at)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    _text("provider"),
    _text("instance"),
    _text("delivery_id"),
    _text("name"),
    _text("outcome"),
    _moment("received_at"),
    _number("size"),
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

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    _text("provider"),
    _text("instance"),
    Column("settings", LargeBinary, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("provider", "instance"),
)
"""Settings of a provider's instance that were made by setup rather than by the environment. `settings` is sealed."""

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    _text("slug"),
    _text("name"),
    _moment("created_at"),
    UniqueConstraint("slug"),
)
"""Who owns what: an installation is in one organization, and its repositories with it."""

installations = Table(
    "installations",
    metadata,
    Column("id", Text, primary_key=True),
    _text("provider"),
    _text("instance"),
    _text("external_id"),
    _text("account"),
    _text("state", "active"),
    _key("organization_id", "organizations", nullable=True),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("provider", "instance", "external_id"),
)
"""`state`: active, suspended, deleted. `organization_id` is null until it was told apart from the default one."""

repositories = Table(
    "repositories",
    metadata,
    Column("id", Text, primary_key=True),
    _text("provider"),
    _text("instance"),
    _text("external_id"),
    _text("full_name"),
    _text("default_branch"),
    _text("clone_url"),
    Column("private", Boolean, nullable=False),
    _text("installation"),
    _text("state", "active"),
    Column("switched_off", Boolean, nullable=False, server_default=false()),
    Column("policy", Text, nullable=True),
    _text("policy_source", ""),
    _moment("scan_due_at", nullable=True),
    _moment("scanned_at", nullable=True),
    _text("scanned_with", ""),
    _text("scan_review", ""),
    _text("scan_trouble", ""),
    _text("listed_commit", ""),
    _moment("listed_at", nullable=True),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("provider", "instance", "external_id"),
    Index("ix_repositories_scan_due_at", "scan_due_at"),
)
"""Source repositories. `state`: active, disabled (by the operator), archived, gone. `switched_off`: the operator's word, which outlasts
that it was gone. `policy`: the last one that could be used, as JSON.
`scan_due_at`: when the whole default branch is to be looked at next; `scanned_with`: digest of the rules and engines of the last look,
`scan_review` its review, `scan_trouble` why it came to nothing. `listed_commit`, `listed_at`: of what the list of findings speaks."""

scan_slots = Table(
    "scan_slots",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    _text("repository_id"),
    _moment("until"),
)
"""Whole scans that are under way: as many as there are slots, whatever the number of workers. `until`: when a silent one is given up."""

reviews = Table(
    "reviews",
    metadata,
    Column("id", Text, primary_key=True),
    _text("key"),
    _number("attempt"),
    _key("installation_id", "installations"),
    _key("repository_id", "repositories"),
    _text("subject"),
    Column("pull_request", Integer, nullable=True),
    Column("head", Text, nullable=False),
    _text("head_ref"),
    Column("status", Text, nullable=False),
    Column("change", Text, nullable=False),
    _text("superseded_by", ""),
    _number("pending", 0),
    Column("conclusion", Text, nullable=True),
    Column("verdict", LargeBinary, nullable=True),
    Column("facts", Text, nullable=True),
    Column("policy", Text, nullable=True),
    _text("policy_source", ""),
    Column("policy_gaps", Text, nullable=True),
    Column("policy_record", Text, nullable=True),
    Column("rests_until", Text, nullable=True),
    _moment("created_at"),
    _moment("updated_at"),
    _moment("settled_at", nullable=True),
    _moment("finished_at", nullable=True),
    UniqueConstraint("key", "attempt"),
    Index("ix_reviews_subject", "repository_id", "subject", "status"),
    Index("ix_reviews_head", "repository_id", "head"),
    Index("ix_reviews_rests_until", "rests_until"),
)
"""Reviews. `subject` is what is judged: `pull_request:12`, or `branch:main` for a push.
`pending`: unfinished scans. `rests_until`: `Verdict.rests_until` as an ISO date; null when none, or when it was seen that it is over."""

subjects = Table(
    "subjects",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("subject", HostileText, primary_key=True),
    Column("open", Boolean, nullable=False),
    _key("review_id", "reviews", nullable=True),
    _moment("updated_at"),
    Index("ix_subjects_review_id", "review_id"),
)
"""The pull requests and branches that were judged, each with its newest review."""

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    _key("review_id", "reviews", nullable=True),
    Column("scan_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("commit", Text, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("review_id", "scan_type"),
)

scans = Table(
    "scans",
    metadata,
    Column("id", Text, primary_key=True),
    _key("batch_id", "batches"),
    _key("review_id", "reviews", nullable=True),
    Column("scan_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    _text("error", ""),
    _text("blame", ""),
    _moment("created_at"),
    _moment("updated_at"),
    Index("ix_scans_review_id", "review_id"),
    Index("ix_scans_batch_id", "batch_id"),
)

scan_results = Table(
    "scan_results",
    metadata,
    Column("scan_id", Text, ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("result", LargeBinary, nullable=False),
    _moment("created_at"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    _key("repository_id", "repositories"),
    _text("fingerprint"),
    _text("handle"),
    _text("rule_id"),
    _number("severity"),
    _number("confidence"),
    _key("first_review_id", "reviews"),
    _moment("first_seen_at"),
    _moment("last_seen_at"),
    UniqueConstraint("repository_id", "fingerprint"),
    UniqueConstraint("repository_id", "handle"),
    Index("ix_findings_first_review_id", "first_review_id"),
)
"""Identities. What was seen where and when: `occurrences`; how it stands on a branch: `finding_states`."""

occurrences = Table(
    "occurrences",
    metadata,
    Column("review_id", Text, ForeignKey("reviews.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _key("finding_id", "findings"),
    _text("branch"),
    Column("commit", Text, nullable=False),
    _text("path"),
    _number("line"),
    Column("finding", Text, nullable=False),
    _text("keyed_hash", ""),
    Index("ix_occurrences_finding_id", "finding_id", "review_id"),
    Index("ix_occurrences_keyed_hash", "keyed_hash", "review_id"),
)
"""What a review saw where. `keyed_hash`: of a secret's value, wherever it stands; empty for what is no secret."""

finding_states = Table(
    "finding_states",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("branch", HostileText, primary_key=True),
    Column("finding_id", Text, ForeignKey("findings.id"), primary_key=True),
    Column("status", Text, nullable=False),
    _moment("since"),
    _key("review_id", "reviews"),
    Index("ix_finding_states_finding_id", "finding_id", "status"),
    Index("ix_finding_states_review_id", "review_id"),
)
"""`status`: open, resolved, or merged (a pull request's, which are another branch's now)."""

finding_places = Table(
    "finding_places",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("branch", HostileText, primary_key=True),
    Column("path", HostileText, primary_key=True),
    Column("engine", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _key("finding_id", "findings"),
    _number("line"),
    _text("seen_with"),
    Column("commit", Text, nullable=False),
    Column("finding", Text, nullable=False),
    _moment("at"),
    Index("ix_finding_places_finding_id", "finding_id", "branch"),
)
"""Where a branch has its findings now: of each file what each engine said when it looked last. A finding without any place left is
resolved. `seen_with`: the version of Fixwright and the digest of the rules that saw it."""

finding_events = Table(
    "finding_events",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    _key("finding_id", "findings"),
    _key("repository_id", "repositories"),
    _key("review_id", "reviews", nullable=True),
    _text("branch"),
    Column("commit", Text, nullable=False),
    Column("kind", Text, nullable=False),
    _text("actor", ""),
    _text("detail", ""),
    _moment("at"),
    Index("ix_finding_events_finding_id", "finding_id", "position"),
    Index("ix_finding_events_repository_id", "repository_id", "position"),
    Index("ix_finding_events_review_id", "review_id"),
    sqlite_autoincrement=True,
)
"""Append only. `kind`: see `pipeline.store.findings.FindingEventKind`. `actor`: login of a person, empty when nobody acted."""

waivers = Table(
    "waivers",
    metadata,
    Column("id", Text, primary_key=True),
    _key("repository_id", "repositories"),
    _text("fingerprint"),
    _text("keyed_hash", ""),
    Column("kind", Text, nullable=False),
    _text("reason"),
    _text("person_id"),
    _text("person_login"),
    Column("pull_request", Integer, nullable=True),
    Column("until", Text, nullable=True),
    _text("path", ""),
    _number("line", 0),
    _moment("created_at"),
    _moment("ended_at", nullable=True),
    _moment("expired_at", nullable=True),
    Index("ix_waivers_repository_id", "repository_id", "fingerprint"),
)
"""`kind`: waiver, rotated. `keyed_hash`: of the secret that was rotated, so that another one on the same line is not. `until`: ISO date,
the last day; null: without an end. `path`, `line`: where the finding stood then. `ended_at`: taken back by a person, or replaced by a
newer word. `expired_at`: when its end was noticed."""

pushers = Table(
    "pushers",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("pull_request", Integer, primary_key=True),
    Column("person_id", HostileText, primary_key=True),
    _moment("created_at"),
)
"""Who pushed to a pull request, as the host's events said: names in commits can be anybody's."""

fixes = Table(
    "fixes",
    metadata,
    Column("id", Text, primary_key=True),
    _key("review_id", "reviews"),
    _key("repository_id", "repositories"),
    _key("finding_id", "findings"),
    _text("fingerprint"),
    _text("handle"),
    Column("status", Text, nullable=False),
    _text("diff", ""),
    Column("proof", Text, nullable=True),
    Column("receipt", Text, nullable=True),
    Column("pull_request", Text, nullable=True),
    _text("error", ""),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("review_id", "fingerprint"),
    Index("ix_fixes_repository_id", "repository_id", "status"),
)

effects = Table(
    "effects",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("state", Text, nullable=False),
    _text("remote_id", ""),
    _number("epoch"),
    _moment("created_at"),
    _moment("updated_at"),
)
"""Write-ahead of calls to a host. `state`: intended, done."""

threads = Table(
    "threads",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("pull_request", Integer, primary_key=True),
    Column("remote_id", HostileText, primary_key=True),
    _text("fingerprint"),
    _text("resolved", ""),
    _moment("created_at"),
)
"""Threads that we opened: the host's number -> what they are about. `resolved`: by whom ("us", "person"), empty while it is open."""

scan_cache = Table(
    "scan_cache",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    _number("size"),
    _moment("used_at"),
    _text("repository_id", ""),
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
    _moment("expires_at"),
    Index("ix_host_memory_expires_at", "expires_at"),
)

host_locks = Table(
    "host_locks",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("owner", Text, nullable=False),
    _moment("expires_at"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Double, nullable=False),
    _moment("updated_at"),
)
"""Numbers that no process has alone (`pipeline.tally`). `labels`: JSON object with sorted names, never a name of a person or repository."""

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    _moment("started_at"),
    _moment("seen_at"),
    Index("ix_processes_seen_at", "seen_at"),
)
"""Which processes run: `kind` is web, relay or worker; each says every few seconds that it lives."""
