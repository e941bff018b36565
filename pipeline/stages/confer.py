"""What other scanners said, brought together with a state of a repository and with what our engines see in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import chain

from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.foreign import Log
from pipeline.model.finding import Finding
from pipeline.model.ids import CommitId
from pipeline.phrases import plural, short
from pipeline.stages.prove import Engines, RepositoryFiles
from pipeline.stages.select import NothingThere, found_beside, pick, select_finding
from pipeline.triage.witnesses import Placed, Read, Witnessed, join, place

_PLACE = re.compile(r"(.+):(\d{1,9})")


def refuse_others(logs: Sequence[Log], head: CommitId | None) -> None:
    """Raises UsageError for a log that names a commit, and not the one that is looked at (None: not known)."""
    known = (head or "").lower()
    for log in logs if known else ():
        for commits in log.commits:
            if not any(known.startswith(commit) for commit in commits):
                named = ", ".join(short(CommitId(commit)) for commit in sorted(commits)[:3])
                text = f"{log.name} is of commit {named}, and {short(CommitId(known))} is looked at here: nothing of it is taken"
                raise UsageError(text, hint="scan this commit with that scanner, or check the other one out")


def place_logs(logs: Sequence[Log], paths: Collection[str], read: Read, root: str, excluded: Callable[[str], bool]) -> Placed:
    """Find the places of all results; see `pipeline.triage.witnesses.place`. Raises UsageError when not one result of a log has its place
    here."""
    parts = [place(log, paths, read, root, excluded) for log in logs]
    for log, part in zip(logs, parts, strict=True):
        if log.said and not part.found and not part.notes:
            why = part.gaps[0].reason.rpartition(": ")[2] if len(part.gaps) == 1 else ""
            text = f"{log.name}: {plural(len(log.said), 'result')}, and none has its place here{f' ({why})' if why else ''}"
            raise UsageError(text, hint="is it of this repository, and of this state of it?")
    return Placed(
        tuple(chain.from_iterable(part.found for part in parts)),
        tuple(chain.from_iterable(part.gaps for part in parts)),
        tuple(chain.from_iterable(part.notes for part in parts)),
        tuple(chain.from_iterable(part.runs for part in parts)),
    )


def select_witnessed(name: str, logs: Sequence[Log], root: str, head: CommitId | None, files: RepositoryFiles, engines: Engines) -> Finding:
    """As `select_finding`, with the other scanners that saw it; a place may be that of a result of theirs.

    Raises:
        NothingThere: also when only others see something there: nobody here could say whether a patch mends it.
        UsageError: also for a log that is not of this state.
    """
    if not logs:
        return select_finding(name, files, engines)
    refuse_others(logs, head)
    placed = place_logs(logs, frozenset(files.paths()), files.read, root, lambda _: False)
    at = _PLACE.fullmatch(name)
    try:
        finding = select_finding(name, files, engines)
    except NothingThere:
        there = _said_at(at[1].removeprefix("./"), int(at[2]), placed.found) if at else []
        if not there:
            raise
        finding = _seen_here(there, files, engines)
    path = finding.location.path
    joined = join(found_beside(finding, files, engines), [one for one in placed.found if one.finding.location.path == path])
    same = [one for one in joined.ours if (one.rule.id, one.location) == (finding.rule.id, finding.location)]
    return replace(finding, witnesses=same[0].witnesses) if same else finding


def _said_at(path: str, line: int, found: Sequence[Witnessed]) -> list[Witnessed]:
    return [w for w in found if w.finding.location.path == path and w.finding.location.line <= line <= w.finding.location.end_line]


def _seen_here(there: Sequence[Witnessed], files: RepositoryFiles, engines: Engines) -> Finding:
    """The finding of ours that these results are about."""
    ours = join(found_beside(there[0].finding, files, engines), there).ours
    seen = [finding for finding in ours if finding.witnesses]
    if seen:
        return pick(f"{seen[0].location.path}:{seen[0].location.line}", seen)
    names = " and ".join(sorted({one.said.witness for one in there}))
    raise NothingThere(visible(f"only {names} sees something there, and no engine here does: re-scan not possible"))
