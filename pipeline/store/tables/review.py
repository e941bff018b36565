"""Reviews with their scans, and what they led to: fixes and threads."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from pipeline.store.columns import Document, HostileText, free, hostile, moment, number, refers
from pipeline.store.tables.base import metadata

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
    refers("repository_id", "repositories", nullable=True),
    hostile("group_id", ""),
    number("repositories", 1),
    free("error", ""),
    hostile("asked_by", ""),
    moment("started_at", nullable=True),
    moment("completed_at", nullable=True),
    UniqueConstraint("review_id", "scan_type"),
    Index("ix_batches_repository_id", "repository_id", "scan_type", "id"),
    Index("ix_batches_group_id", "group_id", "scan_type", "id"),
    Index("ix_batches_repository_id_newest", "repository_id", "id"),
    Index("ix_batches_group_id_newest", "group_id", "id"),
    Index("ix_batches_repository_id_status", "repository_id", "status", "id"),
    Index("ix_batches_group_id_status", "group_id", "status", "id"),
)
"""Scans of one type. Of a review: `review_id` and `repository_id`. Asked for through the API: of as many source `repositories` as the group
had then, each with a scan and a review of its own; `group_id`, and `asked_by` the name of the key. `commit` is empty then."""

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
    Column("source_id", Text, nullable=False, server_default=text("''")),
    Column("findings", Integer, nullable=True),
    moment("started_at", nullable=True),
    moment("ended_at", nullable=True),
    Index("ix_scans_review_id", "review_id"),
    Index("ix_scans_batch_id", "batch_id"),
    Index("ix_scans_source_id", "source_id"),
)
"""`source_id`: of a batch that was asked for through the API, our id of the source repository; such a scan has no review before it begins.
`error`: why it failed, or what it waits for. `findings`: how many are attributed to the batch by it. `ended_at`: when nothing follows any
more: a scan that is done is not over before its review is settled."""

scan_results = Table(
    "scan_results",
    metadata,
    Column("scan_id", Text, ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("result", LargeBinary, nullable=False),
    moment("created_at"),
)

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
    free("title", ""),
    hostile("base", ""),
    hostile("asked_by", ""),
    hostile("choice", ""),
    number("attempt", 1),
    moment("cancel_asked_at", nullable=True),
    hostile("cancel_asked_by", ""),
    hostile("replaced_by", ""),
    Column("members", Text, nullable=True),
    hostile("branch", ""),
    UniqueConstraint("review_id", "fingerprint"),
    Index("ix_fixes_repository_id", "repository_id", "status"),
)
"""What was asked, and what stands: `diff`, `proof`, `receipt` and `choice` (which of the patches it is) are those of the last attempt
that was proven, or of the last one. `attempt`: the number of the newest. `base`: the commit that it was made on. `asked_by`,
`cancel_asked_by`: logins, empty when nobody is known. `replaced_by`: the run that was begun in the place of this one, which failed or was
cancelled; its own id is then the last word of `fingerprint`. `members`: every place that it mends and what became of each; NULL: the one
that the row names, of which nothing more is known. `branch`: of its pull request, where a caller has chosen one."""

fix_offers = Table(
    "fix_offers",
    metadata,
    Column("fix_id", Text, ForeignKey("fixes.id"), primary_key=True),
    refers("repository_id", "repositories"),
    free("called", ""),
    hostile("scan_branch", ""),
    free("title", ""),
    free("body", ""),
    Column("number", Integer, nullable=True),
    hostile("branch", ""),
    hostile("state", ""),
    moment("opened_at", nullable=True),
    moment("merged_at", nullable=True),
    Index("ix_fix_offers_number", "repository_id", "number"),
)
"""What a caller of the API wants of a fix run (`called`, `scan_branch`, `title`, `body`), and what became of the pull request that offers
it. `state`: open, merged, closed."""

fix_attempts = Table(
    "fix_attempts",
    metadata,
    Column("fix_id", Text, ForeignKey("fixes.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    refers("repository_id", "repositories"),
    free("instructions", ""),
    hostile("asked_by", ""),
    hostile("choice", ""),
    Column("status", Text, nullable=False),
    free("diff", ""),
    Column("proof", Text, nullable=True),
    Column("receipt", Text, nullable=True),
    free("error", ""),
    number("steps", 0),
    moment("created_at"),
    moment("started_at", nullable=True),
    moment("ended_at", nullable=True),
    moment("active_at", nullable=True),
    Index("ix_fix_attempts_repository_id", "repository_id"),
)
"""How a fix came to be: one row each time it was made, refined or tried again. `status`: pending, running, completed, failed, cancelled.
`steps`: how many things it has done so far, `active_at`: when the last one was."""

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
