"""`fixwright waive`: the operator lets a finding stand, takes that back, and lists what stands so."""

from __future__ import annotations

import argparse
import getpass
import json
import uuid
from datetime import date

from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from bot.wiring import App
from pipeline.commands.waive import parse_day
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Finding, Judged, SuppressionKind
from pipeline.model.ids import Handle, RepositoryId
from pipeline.model.review import Review
from pipeline.model.target import UserRef
from pipeline.model.waiver import Waiver, WaiverKind
from pipeline.phrases import where
from pipeline.policy import Policy
from pipeline.stages.give_waiver import CAN_STAND, give, take_back
from pipeline.store.work import Work
from pipeline.triage.waivers import identity, last_day, reason_fault


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("waive", help="let a finding stand for a time, or list what stands so")
    parser.add_argument("repository", help=f"{NAME}; or `list`, followed by it")
    parser.add_argument("handle", help="handle of the finding (K7Q), or FILE:LINE; behind `list`: the repository")
    parser.add_argument("--reason", default="", help="why it may stand; needed unless --end is given")
    parser.add_argument("--until", default="", help="last day, as 2027-02-20; without it as long as the policy allows")
    parser.add_argument("--end", action="store_true", help="take the waiver back")
    parser.add_argument("--json", action="store_true", help="with `list`: as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it is so now; 2 when it cannot be."""
    with stored() as app:
        if args.repository == "list":
            return _list(app, args.handle, as_json=args.json)
        return _end(app, args) if args.end else _give(app, args)


def _give(app: App, args: argparse.Namespace) -> int:
    until = parse_day(args.until) if args.until else None
    if args.until and until is None:
        raise UsageError(f"'{visible(args.until)}' is no day", hint="write it as year, month and day: --until 2027-02-20")
    if reason_fault(args.reason):
        raise UsageError("a waiver needs a reason of 8 to 500 characters that somebody else can judge", hint="--reason TEXT")
    today = app.places.today()
    with app.database.work() as work:
        repository, review, judged, finding = _meant(work, args.repository, args.handle)
        last = last_day(today, Policy.model_validate_json(work.reviews.policy(review.id)).waivers.days)
        if until is not None and not today <= until <= last:
            raise UsageError(
                f"the last day lies between {today.isoformat()} and {last.isoformat()}", hint="the policy says how long one may hold"
            )
        number = review.change.pull_request.number if review.change.pull_request else None
        wanted = Waiver(
            id="",
            repository=repository,
            kind=SuppressionKind.WAIVER,
            fingerprint=finding.fingerprint,
            handle=finding.handle or "",
            reason=args.reason.strip(),
            person=_operator(),
            since=today,
            until=until or last,
            keyed_hash=identity(finding)[1],
            path=finding.location.path,
            line=finding.location.line,
            pull_request=number,
        )
        made = give(work, wanted, judged, finding, today, review, uuid.uuid4().hex)
    print(f"{made.handle} at {visible(where(finding))} is waived until {_day(made.until)}")
    return 0


def _end(app: App, args: argparse.Namespace) -> int:
    with app.database.work() as work:
        repository, review, judged, finding = _meant(work, args.repository, args.handle)
        kinds: tuple[WaiverKind, ...] = (SuppressionKind.WAIVER, SuppressionKind.ROTATED)
        token = uuid.uuid4().hex
        ended = [take_back(work, kind, repository, judged, finding, _operator(), review, f"{token}:{kind}") for kind in kinds]
    if not any(ended):
        raise UsageError(
            f"nothing holds for {visible(args.handle)} that could be taken back", hint=f"fixwright waive list {args.repository}"
        )
    print(f"{finding.handle} at {visible(where(finding))} counts again")
    return 0


def _list(app: App, name: str, *, as_json: bool) -> int:
    today = app.places.today()
    with app.database.read() as work:
        waivers = work.waivers.of_repository(find_repository(work, name)[0])
    if as_json:
        print(json.dumps([_as_json(waiver, today) for waiver in waivers], indent=2))
        return 0
    for waiver in waivers:
        state = "expired" if waiver.expired(today) else waiver.kind.value
        until = f" until {waiver.until.isoformat()}" if waiver.until else ""
        at = f"{visible(waiver.path)}:{waiver.line}"
        by = f"by {visible(waiver.person.login)} on {waiver.since.isoformat()}{until}"
        print(f"{waiver.handle}  {state}  {at}  {by}: {visible(waiver.reason)}")
    if not waivers:
        print("nothing is waived")
    return 0


def _as_json(waiver: Waiver, today: date) -> dict[str, str | int | bool | None]:
    return {
        "handle": waiver.handle,
        "kind": waiver.kind.value,
        "path": waiver.path,
        "line": waiver.line,
        "reason": waiver.reason,
        "by": waiver.person.login,
        "operator": not waiver.person.id,
        "since": waiver.since.isoformat(),
        "until": waiver.until.isoformat() if waiver.until else None,
        "expired": waiver.expired(today),
        "pull_request": waiver.pull_request,
    }


def _day(day: date | None) -> str:
    return day.isoformat() if day else "it is taken back"


def _operator() -> UserRef:
    """Who runs this machine; nobody's number on a host."""
    return UserRef("", f"{getpass.getuser()} (operator)")


def _meant(work: Work, name: str, called: str) -> tuple[RepositoryId, Review, tuple[Judged, ...], Finding]:
    """The finding, in the newest review of an open pull request or branch that has it."""
    repository, _ = find_repository(work, name)
    places: dict[str, tuple[Review, tuple[Judged, ...], Finding]] = {}
    for identifier in work.waivers.judged_subjects(repository):
        judged = work.reviews.verdict(identifier).judged
        review = work.reviews.get(identifier)
        for one in judged:
            at = where(one.finding)
            if one.standing in CAN_STAND and one.baseline.value == "new" and (at == called or one.finding.handle == Handle(called.upper())):
                places[at] = (review, judged, one.finding)
    if not places:
        raise UsageError(f"no open pull request of {visible(name)} has a finding called {visible(called)}")
    if len(places) > 1:
        listed = ", ".join(visible(place) for place in sorted(places)[:20])
        raise UsageError(f"{visible(called)} means several findings: {listed}", hint="name one by its place, FILE:LINE")
    ((review, judged, finding),) = places.values()
    return repository, review, judged, finding
