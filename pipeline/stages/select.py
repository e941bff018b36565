"""From what a person calls a finding to the finding: a handle (`K7Q`), or a place (`app/db.py:41`)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from pipeline.errors import FixwrightError, UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Finding
from pipeline.stages.prove import Engines, RepositoryFiles
from pipeline.triage.handles import assign, parse_handle

_PLACE = re.compile(r"(.+):(\d{1,9})")

MAX_BYTES = 200_000_000
"""Bytes of all files together that are looked at for a handle; a place costs one file."""


class NothingThere(FixwrightError):
    """No engine reports a finding by that name or at that place."""

    code = "NO_FINDING"


def select_finding(name: str, files: RepositoryFiles, engines: Engines) -> Finding:
    """The finding that `name` means in this state of the repository, with its handle. A place costs a look at one file, a handle at all.

    Raises:
        NothingThere, UsageError: see `pick`.
        EngineError, SandboxUnavailable: it cannot be looked for.
    """
    place = _PLACE.fullmatch(name)
    if place is None:
        return pick(name, _all(files, engines))
    path = place[1].removeprefix("./")
    content = files.read(path)
    if content is None:
        raise NothingThere(f"there is no file {visible(path)} here that can be looked at")
    findings, coverage = engines.look({path: content})
    try:
        return pick(name, findings)
    except NothingThere as nothing:
        gaps = "".join(f"; {gap.engine}: {gap.reason}" for gap in coverage.breaking)
        raise NothingThere(f"{nothing.message}{gaps}") from None


def found_beside(finding: Finding, files: RepositoryFiles, engines: Engines) -> tuple[Finding, ...]:
    """Everything that is reported in the file of a finding. An engine that looked at the file already is not asked again.

    Raises:
        EngineError, SandboxUnavailable: it cannot be looked for.
    """
    content = files.read(finding.location.path)
    return engines.look({finding.location.path: content})[0] if content is not None else ()


def pick(name: str, findings: Sequence[Finding]) -> Finding:
    """The one of these findings that `name` means, with its handle.

    Raises:
        NothingThere: there is none; UsageError: the name is neither a handle nor a place, or means several findings.
    """
    handles = assign([finding.fingerprint for finding in findings], {})
    named = [f if f.handle else dataclasses.replace(f, handle=handles[f.fingerprint]) for f in findings]
    place = _PLACE.fullmatch(name)
    if place is not None:
        return _at(place[1].removeprefix("./"), int(place[2]), named)
    handle = parse_handle(name)
    if handle is None:
        raise UsageError(f"'{visible(name)}' is neither a handle ({_example(named)}) nor a place (FILE:LINE)", hint=_some(named))
    found = [finding for finding in named if finding.handle == handle]
    if not found:
        raise NothingThere(f"no finding here is called {handle}", hint=_some(named))
    if len(found) > 1:
        raise UsageError(f"{handle} means {len(found)} findings: {_places(found)}", hint="name one of them as FILE:LINE")
    return found[0]


def _at(path: str, line: int, findings: Sequence[Finding]) -> Finding:
    """On one line the worst is meant; two rules that are equally bad are told apart by their handles."""
    here = [f for f in findings if f.location.path == path and f.location.line <= line <= f.location.end_line]
    best = [f for f in here if f.location.line == line] or here
    if not best:
        raise NothingThere(f"no finding at {visible(path)}:{line}", hint=_some(findings))
    worst = max(f.rule.severity for f in best)
    best = [f for f in best if f.rule.severity == worst]
    if len({f.rule.id for f in best}) > 1:
        rules = ", ".join(sorted({f.rule.id for f in best}))
        raise UsageError(f"{visible(path)}:{line} has findings of several rules: {rules}", hint="name one of them by its handle")
    return best[0]


def _places(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{visible(f.location.path)}:{f.location.line}" for f in findings[:10])


def _some(findings: Sequence[Finding]) -> str:
    """What could have been meant, the first ten."""
    if not findings:
        return "there is no finding here at all"
    named = [f"{f.handle} at {visible(f.location.path)}:{f.location.line}" for f in findings[:10]]
    return f"found here: {', '.join(named)}" + (f" and {len(findings) - len(named)} more" if len(findings) > len(named) else "")


def _example(findings: Sequence[Finding]) -> str:
    return next((f.handle for f in findings if f.handle), "K7Q")


def _all(files: RepositoryFiles, engines: Engines) -> list[Finding]:
    contents: dict[str, bytes] = {}
    total = 0
    for path in files.paths():
        content = files.read(path)
        if content is None:
            continue
        total += len(content)
        if total > MAX_BYTES:
            raise UsageError("the repository is too large to look for a handle in it", hint="name the finding as FILE:LINE")
        contents[path] = content
    return list(engines.look(contents)[0])
