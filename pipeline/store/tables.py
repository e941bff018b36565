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

from pipeline.store.columns import NAMES, Document, HostileText, free, hostile, moment, number, refers

metadata = MetaData(naming_convention=NAMES)


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

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    Column("settings", LargeBinary, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("provider", "instance"),
)
"""Settings of a provider's instance that were made by setup rather than by the environment. `settings` is sealed."""

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("slug"),
    hostile("name"),
    moment("created_at"),
    UniqueConstraint("slug"),
)
"""Who owns what: an installation is in one organization, and its repositories with it."""

installations = Table(
    "installations",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    hostile("external_id"),
    hostile("account"),
    hostile("state", "active"),
    refers("organization_id", "organizations", nullable=True),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("provider", "instance", "external_id"),
)
"""`state`: active, suspended, deleted. `organization_id` is null until it was told apart from the default one."""

repositories = Table(
    "repositories",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("provider"),
    hostile("instance"),
    hostile("external_id"),
    hostile("full_name"),
    hostile("default_branch"),
    hostile("clone_url"),
    Column("private", Boolean, nullable=False),
    hostile("installation"),
    hostile("state", "active"),
    Column("switched_off", Boolean, nullable=False, server_default=false()),
    Column("policy", Document, nullable=True),
    free("policy_source", ""),
    moment("scan_due_at", nullable=True),
    moment("scanned_at", nullable=True),
    hostile("scanned_with", ""),
    hostile("scan_review", ""),
    free("scan_trouble", ""),
    hostile("listed_commit", ""),
    moment("listed_at", nullable=True),
    moment("created_at"),
    moment("updated_at"),
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
    hostile("repository_id"),
    moment("until"),
)
"""Whole scans that are under way: as many as there are slots, whatever the number of workers. `until`: when a silent one is given up."""

reviews = Table(
    "reviews",
    metadata,
    Column("id", Text, primary_key=True),
    hostile("key"),
    number("attempt"),
    refers("installation_id", "installations"),
    refers("repository_id", "repositories"),
    hostile("subject"),
    Column("pull_request", Integer, nullable=True),
    Column("head", Text, nullable=False),
    hostile("head_ref"),
    Column("status", Text, nullable=False),
    Column("change", Text, nullable=False),
    hostile("superseded_by", ""),
    number("pending", 0),
    Column("conclusion", Text, nullable=True),
    Column("verdict", LargeBinary, nullable=True),
    Column("facts", Document, nullable=True),
    Column("policy", Document, nullable=True),
    free("policy_source", ""),
    Column("policy_gaps", Text, nullable=True),
    Column("policy_record", Document, nullable=True),
    Column("rests_until", Text, nullable=True),
    moment("created_at"),
    moment("updated_at"),
    moment("settled_at", nullable=True),
    moment("finished_at", nullable=True),
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
    refers("review_id", "reviews", nullable=True),
    moment("updated_at"),
    Index("ix_subjects_review_id", "review_id"),
)
"""The pull requests and branches that were judged, each with its newest review."""

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    refers("review_id", "reviews", nullable=True),
    Column("scan_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("commit", Text, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("review_id", "scan_type"),
)

scans = Table(
    "scans",
    metadata,
    Column("id", Text, primary_key=True),
    refers("batch_id", "batches"),
    refers("review_id", "reviews", nullable=True),
    Column("scan_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    free("error", ""),
    hostile("blame", ""),
    moment("created_at"),
    moment("updated_at"),
    Index("ix_scans_review_id", "review_id"),
    Index("ix_scans_batch_id", "batch_id"),
)

scan_results = Table(
    "scan_results",
    metadata,
    Column("scan_id", Text, ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("result", LargeBinary, nullable=False),
    moment("created_at"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    refers("repository_id", "repositories"),
    hostile("fingerprint"),
    hostile("handle"),
    hostile("rule_id"),
    number("severity"),
    number("confidence"),
    refers("first_review_id", "reviews"),
    moment("first_seen_at"),
    moment("last_seen_at"),
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
    refers("finding_id", "findings"),
    hostile("branch"),
    Column("commit", Text, nullable=False),
    hostile("path"),
    number("line"),
    Column("finding", Text, nullable=False),
    hostile("keyed_hash", ""),
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
    moment("since"),
    refers("review_id", "reviews"),
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
    refers("finding_id", "findings"),
    number("line"),
    hostile("seen_with"),
    Column("commit", Text, nullable=False),
    Column("finding", Text, nullable=False),
    moment("at"),
    Index("ix_finding_places_finding_id", "finding_id", "branch"),
)
"""Where a branch has its findings now: of each file what each engine said when it looked last. A finding without any place left is
resolved. `seen_with`: the version of Fixwright and the digest of the rules that saw it."""

finding_events = Table(
    "finding_events",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    refers("finding_id", "findings"),
    refers("repository_id", "repositories"),
    refers("review_id", "reviews", nullable=True),
    hostile("branch"),
    Column("commit", Text, nullable=False),
    Column("kind", Text, nullable=False),
    hostile("actor", ""),
    free("detail", ""),
    moment("at"),
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
    refers("repository_id", "repositories"),
    hostile("fingerprint"),
    hostile("keyed_hash", ""),
    Column("kind", Text, nullable=False),
    free("reason"),
    hostile("person_id"),
    hostile("person_login"),
    Column("pull_request", Integer, nullable=True),
    Column("until", Text, nullable=True),
    hostile("path", ""),
    number("line", 0),
    moment("created_at"),
    moment("ended_at", nullable=True),
    moment("expired_at", nullable=True),
    Index("ix_waivers_repository_id", "repository_id", "fingerprint"),
)
"""`kind`: waiver, rotated. `keyed_hash`: of the secret that was rotated, so that another one on the same line is not. `until`: ISO date,
the last day; null: without an end. `path`, `line`: where the finding stood then. `ended_at`: taken back by a person, or replaced by a
newer word. `expired_at`: when its end was noticed."""

secret_marks = Table(
    "secret_marks",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("keyed_hash", Text, primary_key=True),
    Column("marks", Text, nullable=False),
    moment("seen_at"),
    Index("ix_secret_marks_seen_at", "repository_id", "seen_at"),
)
"""By what the values that were found in a repository are known again before they would leave (`pipeline.leaks`)."""

pushers = Table(
    "pushers",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("pull_request", Integer, primary_key=True),
    Column("person_id", HostileText, primary_key=True),
    moment("created_at"),
)
"""Who pushed to a pull request, as the host's events said: names in commits can be anybody's."""

fixes = Table(
    "fixes",
    metadata,
    Column("id", Text, primary_key=True),
    refers("review_id", "reviews"),
    refers("repository_id", "repositories"),
    refers("finding_id", "findings"),
    hostile("fingerprint"),
    hostile("handle"),
    Column("status", Text, nullable=False),
    free("diff", ""),
    Column("proof", Text, nullable=True),
    Column("receipt", Text, nullable=True),
    Column("pull_request", Text, nullable=True),
    free("error", ""),
    moment("created_at"),
    moment("updated_at"),
    UniqueConstraint("review_id", "fingerprint"),
    Index("ix_fixes_repository_id", "repository_id", "status"),
)

effects = Table(
    "effects",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("state", Text, nullable=False),
    hostile("remote_id", ""),
    number("epoch"),
    moment("created_at"),
    moment("updated_at"),
)
"""Write-ahead of calls to a host. `state`: intended, done."""

threads = Table(
    "threads",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("pull_request", Integer, primary_key=True),
    Column("remote_id", HostileText, primary_key=True),
    hostile("fingerprint"),
    hostile("resolved", ""),
    moment("created_at"),
)
"""Threads that we opened: the host's number -> what they are about. `resolved`: by whom ("us", "person"), empty while it is open."""

scan_cache = Table(
    "scan_cache",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    number("size"),
    moment("used_at"),
    hostile("repository_id", ""),
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
    moment("expires_at"),
    Index("ix_host_memory_expires_at", "expires_at"),
)

host_locks = Table(
    "host_locks",
    metadata,
    Column("key", HostileText, primary_key=True),
    Column("owner", Text, nullable=False),
    moment("expires_at"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Double, nullable=False),
    moment("updated_at"),
)
"""Numbers that no process has alone (`pipeline.tally`). `labels`: JSON object with sorted names, never a name of a person or repository."""

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    moment("started_at"),
    moment("seen_at"),
    Index("ix_processes_seen_at", "seen_at"),
)
"""Which processes run: `kind` is web, relay or worker; each says every few seconds that it lives."""
