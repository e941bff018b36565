"""`fixwright migrate PATH`: what other scanners were told to let stand, as waivers of ours with a reason and a last day, for review."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from bot.cli import OK, UNCHECKED
from bot.cli.folders import policy_places
from bot.settings import engines_dir
from pipeline.errors import UsageError
from pipeline.escaping import cut, visible
from pipeline.model.finding import Finding, Standing
from pipeline.model.fix import FileEdit, Patch
from pipeline.patches import render_diff
from pipeline.phrases import plural, where
from pipeline.policy import Ignore
from pipeline.policy.append import MOST, append_ignores
from pipeline.sandbox.git import Worktree
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import MAX_FILES, Judgement, judge_folder
from pipeline.triage.imported import MAX_BYTES, Entry, Grant, NotTaken, read_all
from pipeline.triage.waivers import last_day

NOTHING_FOUND = "nothing is found there"
SHOWN = 20
"""Lines of one kind that are listed; the rest is counted."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("migrate", help="turn what other scanners let stand into waivers, as a change to review")
    parser.add_argument("path", type=Path, metavar="PATH", help="a git repository or a plain folder")
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--apply", action="store_true", help="write the policy file into the folder")
    to.add_argument("--patch", type=Path, metavar="FILE", help="write a unified diff that `git apply` takes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when what can be taken was taken, 3 when the scan that says what is covered was incomplete. The table goes to stdout."""
    if not args.path.is_dir():
        raise UsageError(f"{args.path} is no folder")
    worktree = Worktree.open(args.path)
    files = dict(worktree.files(MAX_FILES))
    entries, sources = read_all(files, lambda name: _read(files[name]))
    if not entries:
        print("nothing here tells another scanner to let something stand")
        return OK
    judgement = judge_folder(args.path, None, None, RunControl(engines_dir(), lambda: True), policy_places())
    taken, left = _grant(entries, judgement)
    today = datetime.now(UTC).date()
    last = last_day(today, judgement.policy.waivers.days)
    waivers = _waivers(taken, last, today)
    room = MOST - len(judgement.policy.ignore)
    dropped = list(waivers.items())[max(room, 0) :]
    waivers = dict(list(waivers.items())[: max(room, 0)])
    left += [(grant, f"a policy has room for {MOST} entries") for _, (grant, _) in dropped]
    _tell(waivers, left)
    print(f"{plural(len(waivers), 'waiver')} out of {plural(len(entries), 'entry', 'entries')} in {plural(sources, 'file')}")
    if waivers:
        _deliver(args, worktree, list(waivers))
    if judgement.verdict.incomplete:
        print("not everything could be scanned, so not everything could be matched: see fixwright scan", file=sys.stderr)
        return UNCHECKED
    return OK


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        return None


Left = list[tuple[Entry, str]]


def _grant(entries: Sequence[Entry], judgement: Judgement) -> tuple[list[tuple[Grant, Finding]], Left]:
    """Which findings each grant lets stand; one that is covered already, by the policy or by another grant, needs no second waiver."""
    taken: list[tuple[Grant, Finding]] = []
    left: Left = []
    given: set[tuple[str, str]] = set()
    for entry in entries:
        if isinstance(entry, NotTaken):
            left.append((entry, entry.why))
            continue
        covered = [judged for judged in judgement.verdict.judged if entry.covers(judged.finding)]
        fresh = [j.finding for j in covered if j.standing is not Standing.WAIVED]
        new = [f for f in fresh if (f.fingerprint, f.location.path) not in given]
        given |= {(f.fingerprint, f.location.path) for f in new}
        taken += [(entry, finding) for finding in new]
        if not covered:
            left.append((entry, NOTHING_FOUND))
        elif not new:
            left.append((entry, "it stands already by the policy" if not fresh else "another entry says the same"))
    return taken, left


def _waivers(taken: Sequence[tuple[Grant, Finding]], last: date, today: date) -> dict[Ignore, tuple[Grant, list[Finding]]]:
    """One entry for each finding; of a pattern that is taken whole one for each rule that speaks there."""
    made: dict[Ignore, tuple[Grant, list[Finding]]] = {}
    for grant, finding in taken:
        until = min(last, grant.until) if grant.until and grant.until >= today else last
        said = f": {grant.reason}" if grant.reason else ""
        reason = cut(visible(f"imported from {grant.source}{said}"), 300)
        if grant.pattern and not grant.but:
            entry = Ignore(rule=finding.rule.id, path=grant.pattern, reason=reason, until=until.isoformat())
        else:
            entry = Ignore(finding=finding.fingerprint, path=_exactly(finding.location.path), reason=reason, until=until.isoformat())
        made.setdefault(entry, (grant, []))[1].append(finding)
    return made


def _exactly(path: str) -> str | None:
    """A pattern that takes this file alone; None where there is none, and the fingerprint must do."""
    pattern = "/" + "".join(f"[{c}]" if c in "*?[" else c for c in path)
    return pattern if len(pattern) <= 200 and path.isprintable() else None


def _tell(waivers: Mapping[Ignore, tuple[Grant, list[Finding]]], left: Left) -> None:
    """The table. Everything in it is hostile."""
    for entry, (grant, findings) in waivers.items():
        for finding in findings:
            print(visible(f"waived until {entry.until}  {where(finding)}  {finding.rule.id}  from {grant.source}  {grant.text}"))
    counts = Counter((_kind(entry.source), why) for entry, why in left)
    shown: Counter[tuple[str, str]] = Counter()
    for other, why in left:
        key = (_kind(other.source), why)
        shown[key] += 1
        if shown[key] <= SHOWN and (why != NOTHING_FOUND or counts[key] <= SHOWN):
            print(visible(f"not taken  {other.source}  {other.text}: {why}"))
    for (kind, why), count in counts.items():
        hidden = count if why == NOTHING_FOUND and count > SHOWN else max(0, count - SHOWN)
        if hidden:
            print(visible(f"not taken  {kind}: {hidden} more: {why}"))


def _kind(source: str) -> str:
    """Ignore files by their names, comments by the ends of theirs."""
    name = source.rpartition("/")[2].partition(":")[0]
    return name if name.startswith(".") or name.endswith(".json") else f"comments in *.{name.rpartition('.')[2]}"


def _deliver(args: argparse.Namespace, worktree: Worktree, entries: Sequence[Ignore]) -> None:
    places = policy_places().files
    path = next((name for name in places if worktree.read(name) is not None), places[-1])
    before = worktree.read(path)
    after = append_ignores(before, path, entries)
    if args.patch is not None:
        text = render_diff(Patch((FileEdit(path, before, after),), "waivers that were imported")).encode("utf-8", "surrogateescape")
        _write(args.patch, text)
        print(f"the change of {path} is in {visible(str(args.patch))}")
    elif args.apply:
        _write(worktree.root.joinpath(*path.split("/")), after)
        print(f"{path} has them now: review and commit it")
    else:
        print(f"nothing was written: --patch FILE or --apply changes {path}")


def _write(place: Path, content: bytes) -> None:
    if place.is_symlink():
        raise UsageError(f"{visible(str(place))} is a symbolic link")
    try:
        place.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{visible(str(place))} cannot be written: {error.strerror}") from None
