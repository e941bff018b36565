"""`fixwright fix status ID`, `fix list`, `fix cancel ID` and `fix receipt ID`: the fixes that a server makes or has made."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from bot.cli import FOUND, OK, UNCHECKED, show
from bot.cli.processes import stored
from pipeline.errors import StaleWrite, UsageError
from pipeline.escaping import visible
from pipeline.fixprogress import LIVE, diff_of_fix, progress_of
from pipeline.model.fix import Fix, FixAttempt, FixStatus
from pipeline.model.ids import FixId
from pipeline.phrases import plural, seconds
from pipeline.store.work import Work

ACTIONS = ("status", "list", "cancel", "receipt")
"""First words of `fixwright fix` that are no folder; a folder of that name is `./status`."""

MOST = 50
"""Fixes that a list names."""

OPERATOR = "operator"


def run(args: argparse.Namespace) -> int:
    """What the first word says."""
    if args.path == "list":
        if args.id is not None:
            raise UsageError("fix list takes no name")
        return _list(args.json)
    if args.id is None:
        raise UsageError(f"fix {args.path} needs the id of a fix", hint=f"fixwright fix list shows them; a folder is ./{args.path}")
    if args.path == "receipt":
        if args.json:
            raise UsageError("a receipt is JSON as it is", hint="leave --json out")
        return _receipt(FixId(args.id), args.output)
    return _status(FixId(args.id), args.json) if args.path == "status" else _cancel(FixId(args.id), args.json)


def _status(identifier: FixId, as_json: bool) -> int:
    with stored() as app:
        now = app.database.now()
        with app.database.read() as work:
            fix, attempts = _found(work, identifier)
    print(json.dumps(document(fix, attempts, now), indent=2) if as_json else "\n".join(_lines(fix, attempts, now)))
    return _code(fix)


def _list(as_json: bool) -> int:
    with stored() as app:
        now = app.database.now()
        with app.database.read() as work:
            found = [(fix, work.fixes.attempts(fix.id)) for fix in work.fixes.newest(MOST)]
    if as_json:
        print(json.dumps([document(fix, attempts, now) for fix, attempts in found], indent=2))
        return OK
    for fix, _ in found:
        print(f"{fix.id}  {fix.status:<18}  {visible(fix.handle):<5} {visible(fix.title)}".rstrip())
    if not found:
        print("no fix was asked for")
    return OK


def _cancel(identifier: FixId, as_json: bool) -> int:
    with stored() as app:
        with app.database.work() as work:
            _found(work, identifier)
            ended = work.fixes.cancel(identifier, os.environ.get("USER", "") or OPERATOR)
        now = app.database.now()
        with app.database.read() as work:
            fix, attempts = _found(work, identifier)
    if as_json:
        print(json.dumps(document(fix, attempts, now), indent=2))
    else:
        print(f"{fix.id} is called off" if ended else f"{fix.id} has ended already: {fix.status}")
    return OK if ended else FOUND


def _receipt(identifier: FixId, place: Path | None) -> int:
    """The envelope as it was signed: one more byte, and `fixwright verify` would refuse it."""
    with stored() as app, app.database.read() as work:
        fix, _ = _found(work, identifier)
    if fix.receipt is None:
        why = f": {visible(fix.error)}" if fix.error else ""
        print(f"{fix.id} has no receipt{' yet' if fix.status in LIVE else ''}, it is {fix.status}{why}", file=sys.stderr)
        return UNCHECKED if fix.status in LIVE else FOUND
    if place is None:
        show(fix.receipt.envelope)
        return OK
    try:
        place.write_bytes(fix.receipt.envelope)
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}") from None
    print(f"Receipt {fix.receipt.digest} in {visible(str(place))}")
    return OK


def _found(work: Work, identifier: FixId) -> tuple[Fix, list[FixAttempt]]:
    try:
        return work.fixes.get(identifier), work.fixes.attempts(identifier)
    except StaleWrite:
        raise UsageError("there is no fix of that id", hint="fixwright fix list") from None


def _code(fix: Fix) -> int:
    """0 when there is a patch, 1 when it ended without one or could not be offered, 3 while nobody can say."""
    if fix.status in LIVE:
        return UNCHECKED
    return OK if fix.status is FixStatus.COMPLETED else FOUND


def document(fix: Fix, attempts: list[FixAttempt], now: float) -> dict[str, object]:
    """A fix run for machines."""
    progress = dataclasses.asdict(progress_of(fix, attempts, now))
    moments = {name: _moment(progress[name]) for name in ("started_at", "completed_at", "latest_activity_at")}
    opened = fix.pull_request
    return {
        **progress,
        **moments,
        "error_message": fix.error or None,
        "finding": fix.handle,
        "place": fix.place or None,
        "findings": [
            {"finding": one.handle, "place": one.place or None, "state": one.state.value, "why": one.why or None} for one in fix.members
        ],
        "title": fix.title or None,
        "base_commit_sha": fix.base or None,
        "created_at": _moment(fix.created_at),
        "asked_by": fix.asked_by or None,
        "replaced_by": fix.replaced_by or None,
        "word": fix.proof.word.value if fix.proof else None,
        "receipt": fix.receipt.digest if fix.receipt else None,
        "pull_request": None if opened is None else {"repository": opened.repository.full_name, "number": opened.number},
        "diff": diff_of_fix(fix),
        "attempts": [
            {
                "number": one.number,
                "status": one.status,
                "instructions": one.instructions or None,
                "steps_completed": one.steps,
                "started_at": _moment(one.started_at),
                "completed_at": _moment(one.ended_at),
                "error_message": one.error or None,
            }
            for one in attempts
        ],
    }


def _moment(value: object) -> str | None:
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds") if isinstance(value, float) else None


def _lines(fix: Fix, attempts: list[FixAttempt], now: float) -> list[str]:
    progress = progress_of(fix, attempts, now)
    lines = [f"{fix.id}  {fix.status}  {visible(fix.place or fix.handle)}{f'  {visible(fix.title)}' if fix.title else ''}"]
    since = f", {seconds(progress.duration_seconds)}" if progress.duration_seconds is not None else ""
    lines.append(f"attempt {fix.attempt}: {plural(progress.steps_completed, 'step')}{since}")
    if progress.latest_activity_at is not None and fix.status in LIVE:
        lines.append(f"last activity {seconds(max(0.0, now - progress.latest_activity_at))} ago")
    if fix.proof is not None and fix.status not in LIVE:
        lines.append(f"{fix.proof.word.value}{f', receipt {fix.receipt.digest}' if fix.receipt else ''}")
    if len(fix.members) > 1:
        lines += [
            f"{one.state.value}: {visible(one.handle)} {visible(one.place)}{f', {visible(one.why)}' if one.why else ''}"
            for one in fix.members
        ]
    if fix.pull_request is not None:
        lines.append(f"offered as {visible(fix.pull_request.repository.full_name)} {fix.pull_request.number}")
    if fix.status is FixStatus.CANCELLED:
        lines.append(f"called off by {visible(fix.cancel_asked_by)}" if fix.cancel_asked_by else "called off")
    if fix.replaced_by:
        lines.append(f"begun again as {fix.replaced_by}")
    if fix.error:
        lines.append(visible(fix.error))
    return lines
