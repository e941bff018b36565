"""Findings: what they are, where they were seen, how they stand, and what people said of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from pipeline.store.columns import HostileText, free, hostile, moment, number, refers
from pipeline.store.tables.base import metadata

_POSITION = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER PRIMARY KEY only

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
    Column("scan_type", Text, nullable=False, server_default=text("''")),
    hostile("decision", ""),
    free("decision_reason", ""),
    hostile("decided_by", ""),
    moment("decided_at", nullable=True),
    Column("decision_until", Text, nullable=True),
    UniqueConstraint("repository_id", "fingerprint"),
    UniqueConstraint("repository_id", "handle"),
    Index("ix_findings_first_review_id", "first_review_id"),
)
"""Identities. What was seen where and when: `occurrences`; how it stands on a branch: `finding_states`. `decision`: what a person said of
it through the API: ignored, false_positive, needs_manual_review; empty when nothing. `decision_until`: ISO date, the last day of it."""

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
    Column("shown", Text, nullable=False, server_default=text("''")),
    number("severity", 0),
    Column("scan_type", Text, nullable=False, server_default=text("''")),
    Index("ix_finding_states_finding_id", "finding_id", "status"),
    Index("ix_finding_states_review_id", "review_id"),
    Index("ix_finding_states_shown", "repository_id", "branch", "shown", "severity", "scan_type", "finding_id"),
)
"""`status`: open, resolved, or merged (a pull request's, which are another branch's now). `shown`: the same with what a person decided, in
the words of the API. `severity`, `scan_type`: those of the finding, so that one index answers every filter."""

finding_counts = Table(
    "finding_counts",
    metadata,
    Column("repository_id", Text, ForeignKey("repositories.id"), primary_key=True),
    Column("branch", HostileText, primary_key=True),
    Column("rule_id", HostileText, primary_key=True),
    Column("shown", Text, primary_key=True),
    Column("severity", Integer, primary_key=True, autoincrement=False),
    number("count"),
)
"""How many rows of `finding_states` there are of each kind, always."""

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
    Column("sequence", BigInteger, nullable=True),
    Column("organization_id", Text, nullable=False, server_default=text("''")),
    number("severity", 0),
    Column("scan_type", Text, nullable=False, server_default=text("''")),
    Column("previous", Text, nullable=False, server_default=text("''")),
    Column("now", Text, nullable=False, server_default=text("''")),
    moment("logged_at", nullable=True),
    Index("ix_finding_events_finding_id", "finding_id", "position"),
    Index("ix_finding_events_sequence", "sequence", unique=True),
    Index("ix_finding_events_logged_at", "logged_at", "sequence"),
    Index("ix_finding_events_organization", "organization_id", "sequence"),
    Index("ix_finding_events_kind", "organization_id", "kind", "sequence"),
    Index("ix_finding_events_severity", "organization_id", "severity", "sequence"),
    Index("ix_finding_events_scan_type", "organization_id", "scan_type", "sequence"),
    Index("ix_finding_events_of_repository", "repository_id", "sequence"),
    Index("ix_finding_events_repository_id", "repository_id", "position"),
    Index("ix_finding_events_review_id", "review_id"),
    sqlite_autoincrement=True,
)
"""Append only. `kind`: see `pipeline.store.seen.FindingEventKind`. `actor`: login of a person, empty when nobody acted. `sequence`: given
after the commit, by one writer, without gaps; null until then, and not to be seen from outside. With it come `organization_id`, `severity`
and `scan_type`, so that an index answers every filter, and `logged_at`, which grows with it. `previous`, `now`: the status before and
after, in the words of the API; empty where that is no matter of the event."""

rule_outcomes = Table(
    "rule_outcomes",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("rule_id", HostileText, primary_key=True),
    Column("outcome", Text, primary_key=True),
    number("count"),
)
"""What became of findings: how many of a rule were `fixed`, called `wrong`, are `let_stand` by somebody, or were so until it `expired`."""

event_log = Table(
    "event_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    moment("logged_at"),
)
"""One row, whose id is 1: the number that was given last, and when. Who gives numbers locks it."""

_ENDS = text("decision_until IS NOT NULL")
Index("ix_findings_decision_until", findings.c.decision_until, postgresql_where=_ENDS, sqlite_where=_ENDS)
_UNPLACED = text("sequence IS NULL")
Index("ix_finding_events_unplaced", finding_events.c.position, postgresql_where=_UNPLACED, sqlite_where=_UNPLACED)

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
