"""Which findings people's waivers cover, and whether a waiver may be given at all. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Literal

from pipeline.model.finding import Finding, Location, Suppression, SuppressionKind
from pipeline.model.waiver import Waiver

MIN_REASON, MAX_REASON = 8, 500
"""Characters of a reason."""

MIN_LETTERS = 5

TEMPLATES = frozenset(
    {
        "reason",
        "text",
        "your reason",
        "the reason",
        "a reason",
        "reason here",
        "some reason",
        "todo",
        "because",
        "no reason",
        "because reasons",
    }
)
"""What stands in our own examples, and what says nothing."""

Identity = tuple[str, str]
"""Fingerprint, and the keyed hash of the value when it is a secret."""

ReasonFault = Literal["", "none", "short", "long"]


def identity(finding: Finding) -> Identity:
    """Two secrets on the same line with other values are two findings."""
    return finding.fingerprint, finding.secret.keyed_hash if finding.secret else ""


def reason_fault(reason: str) -> ReasonFault:
    """What is wrong with a reason: nothing (""), it is missing or our own template, it says too little, or too much."""
    said = " ".join(reason.split())
    bare = "".join(c for c in said.lower() if c.isalnum() or c == " ").strip()
    if not bare or bare in TEMPLATES:
        return "none"
    if len(said) < MIN_REASON or sum(c.isalpha() for c in said) < MIN_LETTERS:
        return "short"
    return "long" if len(said) > MAX_REASON else ""


def last_day(today: date, days: int) -> date:
    """The latest day until which a waiver may hold that is given today. The last day itself counts."""
    return today + timedelta(days=min(days, (date.max - today).days))


def is_own(person: str, author: str, authors: Collection[str]) -> bool:
    """True when a person's own change is meant.

    Args:
        person: the host's number of who waives.
        author: of who opened the pull request; empty for a push.
        authors: of those who wrote or committed its commits, as far as the host knows.
    """
    return bool(person) and (person == author or person in authors)


def of_others(waivers: Sequence[Waiver], pull_request: int, pushed: Collection[str]) -> list[Waiver]:
    """Waivers without those that somebody who pushed to a pull request gave in another one, where nobody could know that he would: a copy
    of the same code in somebody else's name would else let his own change pass. What he was allowed to say in this one stands.

    Args:
        pushed: the host's numbers of those who pushed to it.
    """
    return [w for w in waivers if w.person.id not in pushed or w.pull_request in (None, pull_request)]


def cover(waivers: Sequence[Waiver], found: Iterable[Finding], today: date, author: str = "") -> Callable[[Finding], Waiver | None]:
    """Which waiver covers a finding, also one that has expired; None: none does.

    A waiver is of one finding. Where several places of the change share an identity it covers the one that is nearest to where it was
    given: the same file first, then the line. A secret that was rotated is dead wherever its value stands.

    Args:
        waivers: of the repository, the newest first.
        found: the new findings of the change.
        author: the host's number of the change's author, whose own waivers do not count for it; empty: all count.
    """
    usable = [w for w in waivers if not author or w.person.id != author]
    findings = list(found)
    covered: dict[tuple[Identity, Location], Waiver] = {}
    for waiver in usable:
        if waiver.kind is SuppressionKind.ROTATED:
            for finding in findings:
                if _same_secret(waiver, finding):
                    covered.setdefault((identity(finding), finding.location), waiver)
    given = [w for w in usable if w.kind is SuppressionKind.WAIVER]
    for is_over in (False, True):
        for place, waiver in _nearest([w for w in given if w.expired(today) is is_over], findings):
            covered.setdefault(place, waiver)

    return lambda finding: covered.get((identity(finding), finding.location))


def waived(waivers: Sequence[Waiver], found: Iterable[Finding], today: date, author: str = "") -> Callable[[Finding], Suppression | None]:
    """As `cover`, as the gate wants it."""
    covering = cover(waivers, found, today, author)

    def suppressed(finding: Finding) -> Suppression | None:
        waiver = covering(finding)
        return None if waiver is None else suppression_of(waiver, today)

    return suppressed


def suppression_of(waiver: Waiver, today: date) -> Suppression:
    """What a report says of it."""
    return Suppression(waiver.kind, waiver.reason, waiver.person.login, waiver.until, waiver.expired(today), waiver.since)


def _same_secret(waiver: Waiver, finding: Finding) -> bool:
    if finding.secret is None:
        return False
    if waiver.keyed_hash:
        return finding.secret.keyed_hash == waiver.keyed_hash
    return finding.fingerprint == waiver.fingerprint and not finding.secret.keyed_hash


def _of(waiver: Waiver) -> Identity:
    return waiver.fingerprint, waiver.keyed_hash


def _nearest(waivers: Sequence[Waiver], findings: Sequence[Finding]) -> Iterable[tuple[tuple[Identity, Location], Waiver]]:
    """Places with the waiver that covers them. Waivers that were given at one place are of one finding: they cover one place together."""
    for same, group in groupby(sorted(waivers, key=_of), key=_of):
        places = sorted({f.location for f in findings if identity(f) == same})
        by_anchor: dict[tuple[str, int], Waiver] = {}
        for waiver in group:  # the sort is stable: the newest of each place first
            by_anchor.setdefault((waiver.path, waiver.line), waiver)
        pairs = sorted(
            ((place.path != path, abs(place.line - line), place, (path, line)) for path, line in by_anchor for place in places),
        )
        taken: set[Location] = set()
        used: set[tuple[str, int]] = set()
        for _, _, place, anchor in pairs:
            if place not in taken and anchor not in used:
                taken.add(place)
                used.add(anchor)
                yield (same, place), by_anchor[anchor]
