"""`fixwright findings`: what a repository's default branch has, how one finding came and went, and looking at everything again."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from bot.cli import FOUND, OK, UNCHECKED
from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from bot.wiring import App
from pipeline.errors import UsageError
from pipeline.escaping import columns, cut_columns, visible
from pipeline.messages import BATCH, Envelope, ScanRepository
from pipeline.model.finding import Finding, Standing, Suppression, SuppressionKind
from pipeline.model.scan import Coverage, EngineRun
from pipeline.model.target import SourceRepository
from pipeline.phrases import not_checked, plural, short, what, where
from pipeline.store.seen import FindingEvent, ListedFinding
from pipeline.store.sweeps import Listing
from pipeline.triage.handles import parse_handle

JSON_VERSION = 1
"""Of the documents of `findings --json`; see docs/reference/formats.md."""

SHOWN_GAPS = 10
"""Files that were not checked, as the list for people names them."""

Status = Literal["open", "resolved", "all"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("findings", help="what a repository has, as it was seen last")
    parts = parser.add_subparsers(metavar="ACTION", required=True)
    lister = parts.add_parser("list", help="the findings of a branch, the worst first")
    lister.add_argument("repository", metavar="REPOSITORY", help=NAME)
    lister.add_argument("--branch", default="", help="another branch than the default one; pull/7 is pull request 7")
    lister.add_argument("--status", choices=("open", "resolved", "all"), default="open")
    lister.add_argument("--json", action="store_true", help="for machines")
    lister.set_defaults(run=_list)
    show = parts.add_parser("show", help="one finding: its places, and what became of it")
    show.add_argument("repository", metavar="REPOSITORY", help=NAME)
    show.add_argument("handle", metavar="HANDLE", help="its handle, as in K7Q")
    show.add_argument("--json", action="store_true", help="for machines")
    show.set_defaults(run=_show)
    again = parts.add_parser("rescan", help="look at everything on the default branch again")
    again.add_argument("repository", metavar="REPOSITORY", help=NAME)
    again.set_defaults(run=_rescan)


Place = tuple[str, str, int]
"""Fingerprint, path and line."""


def _key(finding: Finding) -> Place:
    return finding.fingerprint, finding.location.path, finding.location.line


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything that a list says."""

    repository: SourceRepository
    branch: str
    listing: Listing
    findings: Sequence[ListedFinding]
    coverage: Coverage | None
    """Of the last scan of everything; None before it, and for another branch."""
    let_stand: Mapping[Place, Suppression]
    """What the last scan of everything saw and somebody lets stand: a waiver, the policy, a comment."""

    def why(self, one: ListedFinding) -> Suppression | None:
        """Why a finding may stand; None when one of its places may not."""
        found = [self.let_stand.get(_key(place)) for place in one.places]
        return next(iter(found), None) if all(found) else None

    @property
    def default(self) -> bool:
        """True for the default branch, the one that is scanned as a whole."""
        return self.branch == self.repository.default_branch

    @property
    def complete(self) -> bool:
        """False when something may be missing in the list."""
        if not self.default:
            return True
        empty = self.listing.commit is None and self.listing.scanned_at is not None
        gaps = self.coverage.breaking if self.coverage is not None else ()
        return empty or (self.listing.scanned_at is not None and not self.listing.trouble and not gaps)


def _list(args: argparse.Namespace) -> int:
    """0: nothing is open; 1: something is; 3: not scanned yet, or not completely."""
    with stored() as app:
        listed = _read(app, args.repository, args.branch, args.status)
    opened = sum(one.status == "open" and listed.why(one) is None for one in listed.findings)
    if args.json:
        print(json.dumps(_document(listed), indent=2))
    else:
        _print(listed, args.status, opened)
    if opened:
        return FOUND
    return OK if listed.complete else UNCHECKED


def _read(app: App, name: str, branch: str, status: Status) -> Listed:
    with app.database.read() as work:
        identifier, source = find_repository(work, name)
        listing = work.installations.listing(identifier)
        wanted = branch or source.default_branch
        findings = work.findings.listed(identifier, wanted, status)
        if not findings and wanted != source.default_branch and not work.repositories.has_branch(identifier, wanted):
            hint = "a branch is known from its first change on; pull/7 is pull request 7"
            raise UsageError(f"no branch {visible(wanted)} of {visible(source.full_name)} is known here", hint=hint)
        known = listing.review if wanted == source.default_branch else None
        verdict = work.reviews.known_verdict(known) if known is not None else None
    standing = [j for j in verdict.judged if j.standing is Standing.WAIVED] if verdict else []
    let_stand = {_key(j.finding): j.suppression for j in standing if j.suppression is not None}
    return Listed(source, wanted, listing, findings, verdict.coverage if verdict else None, let_stand)


# --- for people -----------------------------------------------------------------------------------------------------------------------


def _print(listed: Listed, status: str, opened: int) -> None:
    rows = [
        (one.finding.rule.severity.word, where(one.finding), _title(one, listed.why(one)), f"{one.finding.handle or ''}")
        for one in listed.findings
    ]
    for row in _aligned(rows):
        print(row)
    if rows:
        print()
    count = plural(len(listed.findings), "finding")
    words = {"open": " open", "resolved": " not open any more", "all": f", {opened} of them open"}[status]
    print(f"{visible(listed.repository.full_name)}, {visible(listed.branch)}: {count}{words}")
    for line in _freshness(listed):
        print(line)


def _title(one: ListedFinding, why: Suppression | None) -> str:
    more = f" (+{len(one.places) - 1})" if len(one.places) > 1 else ""
    by_hand = why is not None and why.kind in (SuppressionKind.WAIVER, SuppressionKind.ROTATED)
    stands = "" if why is None else f" [waived by {why.by}]" if by_hand else f" [ignored: {why.reason}]"
    state = stands if one.status == "open" else f" [{one.status}]"
    return f"{what(one.finding)}{more}{state}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A table without lines: columns as wide as their widest cell, the places at most 60 columns."""
    safe = [[cut_columns(visible(cell), 60) for cell in row] for row in rows]
    widths = [max(columns(row[n]) for row in safe) for n in range(len(safe[0]))] if safe else []
    return ["  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in safe]


def _freshness(listed: Listed) -> list[str]:
    listing, lines = listed.listing, []
    if not listed.default:
        return ["Only the default branch is looked at as a whole; this is what pull requests brought here."]
    if listing.scanned_at is None and not listing.trouble:
        state = "is being scanned now" if listing.running else "waits for its first scan" if listing.waiting else "was not scanned yet"
        hint = "" if listing.running or listing.waiting else f"; run: fixwright findings rescan {visible(listed.repository.full_name)}"
        return [f"It {state}{hint}"]
    if listing.commit is None and listing.scanned_at is not None:
        return ["It has no commits yet."]
    if listing.commit is not None and listing.listed_at is not None:
        lines.append(f"As of {short(listing.commit)}, {_when(listing.listed_at)}; everything looked at {_when(listing.scanned_at)}")
    if listed.coverage is not None:
        engines = ", ".join(f"{run.engine} {run.version} (rules {run.rules_digest})" for run in listed.coverage.runs)
        checked = f"{listed.coverage.files_checked:,} of {plural(listed.coverage.files_changed, 'file')}"
        lines.append(visible(f"Checked {checked} with {engines or 'no engine'}"))
        gaps = not_checked(listed.coverage)
        for place, reason in gaps[:SHOWN_GAPS]:
            lines.append(visible(f"Not checked: {f'{place} ({reason})' if place else reason}"))
        if len(gaps) > SHOWN_GAPS:
            lines.append(f"Not checked: {len(gaps) - SHOWN_GAPS:,} more; --json names them")
    if listing.trouble:
        lines.append(visible(f"The last scan came to nothing: {listing.trouble}. It is tried again by itself"))
    if listing.running or listing.waiting:
        lines.append("It is being looked at again now" if listing.running else "It waits to be looked at again")
    if listing.state != "active":
        lines.append(f"It is {listing.state}: nothing is scanned any more")
    return lines


def _when(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- for machines ---------------------------------------------------------------------------------------------------------------------


def _document(listed: Listed) -> dict[str, Any]:
    listing, source = listed.listing, listed.repository
    return {
        "version": JSON_VERSION,
        "repository": _repository(source),
        "branch": visible(listed.branch),
        "complete": listed.complete,
        "commit": listing.commit,
        "listed_at": _iso(listing.listed_at),
        "scanned_at": _iso(listing.scanned_at),
        "next_scan_at": _iso(listing.due_at),
        "scanning": listing.running,
        "trouble": visible(listing.trouble),
        "engines": [_engine_run(run) for run in (listed.coverage.runs if listed.coverage else ())],
        "not_checked": [_gap(place, reason) for place, reason in (not_checked(listed.coverage) if listed.coverage else ())],
        "findings": [{**_finding(one), "suppression": _suppression(listed.why(one))} for one in listed.findings],
    }


def _repository(source: SourceRepository) -> dict[str, Any]:
    host = {"provider": source.provider, "instance": source.instance}
    return {**host, "name": visible(source.full_name), "private": source.private}


def _engine_run(run: EngineRun) -> dict[str, Any]:
    return {"engine": run.engine, "version": run.version, "rules": run.rules_digest, "files": run.files}


def _gap(place: str, reason: str) -> dict[str, str]:
    return {"path": visible(place), "reason": visible(reason)}


def _finding(one: ListedFinding) -> dict[str, Any]:
    rule = one.finding.rule
    return {
        "handle": one.finding.handle,
        "fingerprint": one.finding.fingerprint,
        "status": one.status,
        "since": _iso(one.since),
        "first_seen": _iso(one.first_seen),
        "rule": rule.id,
        "cwe": rule.cwe,
        "severity": rule.severity.word,
        "confidence": rule.confidence.word,
        "title": visible(what(one.finding)),
        "places": [_place(place) for place in (one.places or (one.finding,))],
    }


def _suppression(why: Suppression | None) -> dict[str, Any] | None:
    if why is None:
        return None
    until = why.until.isoformat() if why.until else None
    return {"kind": why.kind.value, "reason": visible(why.reason), "by": visible(why.by), "until": until}


def _place(finding: Finding) -> dict[str, Any]:
    at = finding.location
    return {"path": visible(at.path), "line": at.line, "end_line": at.end_line, "engine": finding.engine}


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


# --- one finding ----------------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    """0, also when it is not open any more."""
    with stored() as app, app.database.read() as work:
        identifier, source = find_repository(work, args.repository)
        handle = parse_handle(args.handle)
        known = work.findings.by_handle(identifier, handle) if handle else None
        if known is None:
            name = visible(source.full_name)
            raise UsageError(f"{name} has no finding {visible(args.handle)}", hint=f"fixwright findings list {name} --status all")
        branches = work.findings.branches(known.id)
        events = work.findings.events(known.id)
    finding = known.finding
    if args.json:
        document = {
            "version": JSON_VERSION,
            "repository": _repository(source),
            "handle": finding.handle,
            "fingerprint": finding.fingerprint,
            "rule": finding.rule.id,
            "cwe": finding.rule.cwe,
            "severity": finding.rule.severity.word,
            "confidence": finding.rule.confidence.word,
            "title": visible(what(finding)),
            "branches": [{"branch": visible(b), "status": s, "places": [_place(p) for p in places]} for b, s, places in branches],
            "events": [_event(event) for event in events],
        }
        print(json.dumps(document, indent=2))
        return OK
    rule = finding.rule
    print(visible(f"{finding.handle}  {what(finding)}  {rule.severity.word}, {rule.confidence.word} confidence, {rule.id}, CWE-{rule.cwe}"))
    print(visible(rule.message))
    for branch, status, places in branches:
        print()
        print(visible(f"{branch}: {status}"))
        for place in places:
            print(visible(f"  {where(place)}  {place.engine}"))
    print()
    for event in events:
        tail = "".join([f" by {event.actor}" if event.actor else "", f": {event.detail}" if event.detail else ""])
        print(visible(f"{_when(event.at)}  {event.kind} on {event.branch} at {short(event.commit)}{tail}"))
    return OK


def _event(event: FindingEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "kind": event.kind,
        "branch": visible(event.branch),
        "commit": event.commit,
        "at": _iso(event.at),
        "actor": visible(event.actor),
        "detail": visible(event.detail),
    }


# --- again ----------------------------------------------------------------------------------------------------------------------------


def _rescan(args: argparse.Namespace) -> int:
    """Send the message; a running Fixwright does the rest."""
    with stored() as app, app.database.work() as work:
        identifier, source = find_repository(work, args.repository)
        (_, _, installation) = work.installations.named(args.repository)[0]
        state = work.installations.state_of(identifier)
        if installation is None or state != "active":
            raise UsageError(f"{visible(source.full_name)} is {state if installation else 'not installed'}: nothing is scanned there")
        work.installations.want_scan(identifier)
        scan = ScanRepository(installation, source, "asked")
        work.outbox.send(Envelope(scan, f"scan_repository:asked:{uuid.uuid4().hex}", priority=BATCH))
    print(f"{visible(source.full_name)} will be looked at again; then: fixwright findings list {visible(source.full_name)}")
    return OK
