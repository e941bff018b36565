"""Why a finding may stand: every reason that a repository and its people have given, asked in one place. Pure.

Nothing of what is asked here can come from the change that it would help: waivers are people's, the policy and its ignores are the
base's, and so are the comments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from pipeline.model.finding import Finding, Suppression, SuppressionKind
from pipeline.model.ids import Handle
from pipeline.policy import Ignore, Policy
from pipeline.policy.patterns import matches

Suppressor = Callable[[Finding], Suppression | None]
"""Answers why a finding may stand, or None. An expired suppression lets it count again, and says that it is not new."""


def suppressor(*reasons: Suppressor) -> Suppressor:
    """All reasons as one: the first that holds, else the first that has expired."""

    def suppressed(finding: Finding) -> Suppression | None:
        expired: Suppression | None = None
        for reason in reasons:
            found = reason(finding)
            if found is not None and not found.expired:
                return found
            expired = expired or found
        return expired

    return suppressed


def ignored_by_policy(policy: Policy, by: str, today: date, handles: Mapping[Handle, str]) -> Suppressor:
    """The `ignore` entries of the base's policy.

    Args:
        by: the file in which they stand.
        today: in UTC. An entry holds until its last day is over; one whose date cannot be read is over.
        handles: the handles of the repository and whose fingerprints they are. A handle that nobody has given yet ignores nothing:
            whoever writes a change could otherwise write a line that would get it.
    """

    def ignored(finding: Finding) -> Suppression | None:
        fitting = [entry for entry in policy.ignore if fits(entry, finding, handles)]
        fitting.sort(key=lambda entry: not entry.holds(today))
        if not fitting:
            return None
        entry = fitting[0]
        return Suppression(SuppressionKind.POLICY, entry.reason.strip(), by, entry.last_day, expired=not entry.holds(today))

    return ignored


def fits(entry: Ignore, finding: Finding, handles: Mapping[Handle, str]) -> bool:
    """Whether everything that an entry names is so of a finding; whether it has expired is not asked."""
    if entry.rule is not None and entry.rule != finding.rule.id:
        return False
    if entry.path is not None and not matches(entry.path, finding.location.path):
        return False
    if entry.finding is None:
        return True
    if entry.finding.startswith("v1:"):
        return finding.fingerprint.startswith(entry.finding)
    return handles.get(Handle(entry.finding.upper())) == finding.fingerprint
