"""Every table of the store, a file for each subject. Whoever needs one takes it from here, so that `metadata` is never without some.

Moments are seconds since 1970 as double precision, by the clock of the database (leases must not depend on the clock of a worker).
Documents are ASCII JSON (`pipeline.store.codec`). Identifiers are opaque text (`pipeline.store.identifiers`).
"""

from __future__ import annotations

from pipeline.store.tables.account import (
    api_keys,
    batch_findings,
    device_logins,
    idempotent_answers,
    quota_reservations,
    quota_use,
    repository_groups,
)
from pipeline.store.tables.base import metadata
from pipeline.store.tables.finding import (
    event_log,
    finding_counts,
    finding_events,
    finding_places,
    finding_states,
    findings,
    occurrences,
    rule_outcomes,
    secret_marks,
    waivers,
)
from pipeline.store.tables.places import installations, instances, organizations, repositories, scan_slots
from pipeline.store.tables.review import batches, fix_attempts, fix_offers, fixes, pushers, reviews, scan_results, scans, subjects, threads
from pipeline.store.tables.shared import counters, effects, host_locks, host_memory, processes, scan_cache
from pipeline.store.tables.work import deliveries, delivery_counts, outbox

__all__ = [
    "api_keys",
    "batch_findings",
    "batches",
    "counters",
    "deliveries",
    "delivery_counts",
    "device_logins",
    "effects",
    "event_log",
    "finding_counts",
    "finding_events",
    "finding_places",
    "finding_states",
    "findings",
    "fix_attempts",
    "fix_offers",
    "fixes",
    "host_locks",
    "host_memory",
    "idempotent_answers",
    "installations",
    "instances",
    "metadata",
    "occurrences",
    "organizations",
    "outbox",
    "processes",
    "pushers",
    "quota_reservations",
    "quota_use",
    "repositories",
    "repository_groups",
    "reviews",
    "rule_outcomes",
    "scan_cache",
    "scan_results",
    "scan_slots",
    "scans",
    "secret_marks",
    "subjects",
    "threads",
    "waivers",
]
