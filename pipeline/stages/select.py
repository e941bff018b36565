"""From what a person calls a finding to the finding: a handle (`K7Q`), or a place (`app/db.py:41`)."""

from __future__ import annotations

import dataclasses
import re

from pipeline.errors import FixwrightError, UsageError
from pipeline.model.finding import Finding
from pipeline.stages.prove import Engines, RepositoryFiles
from pipeline.triage.handles import assign, parse_handle

MAX_BYTES = 200_000_000
"""Bytes of all files together that are looked at for a handle; a place costs one file."""


class NothingThere(FixwrightError):
    """No engine reports a finding by that name or at that place."""

    code = "NO_FINDING"


def select_finding(name: str, files: RepositoryFiles, engines: Engines) -> Finding:
    """The finding that `name` means in this state of the repository, with its handle.

    Raises:
        NothingThere: there is none; UsageError: the name is neither a handle nor a place, or means several findings;
        EngineError, SandboxUnavailable: it cannot be looked for.
    """
    place = re.fullmatch(r"(.+):(\d{1,9})", name)
    if place is not None:
        return _at(place[1].removeprefix("./"), int(place[2]), files, engines)
    handle = parse_handle(name)
    if handle is None:
        raise UsageError(f"'{name}' is neither a handle (K7Q) nor a place (FILE:LINE)")
    findings = _all(files, engines)
    handles = assign([finding.fingerprint for finding in findings], {})
    found = [finding for finding in findings if handles[finding.fingerprint] == handle]
    if not found:
        raise NothingThere(f"no finding here is called {handle}")
    return _only(found, handle)


def _only(found: list[Finding], name: str) -> Finding:
    if len(found) > 1:
        places = ", ".join(f"{f.location.path}:{f.location.line}" for f in found[:10])
        raise UsageError(f"{name} means {len(found)} findings: {places}", hint="name one of them as FILE:LINE")
    handle = assign([found[0].fingerprint], {})[found[0].fingerprint]
    return dataclasses.replace(found[0], handle=found[0].handle or handle)


def _at(path: str, line: int, files: RepositoryFiles, engines: Engines) -> Finding:
    content = files.read(path)
    if content is None:
        raise NothingThere(f"there is no file {path} here that can be looked at")
    findings, coverage = engines.look({path: content})
    found = [f for f in findings if f.location.line <= line <= f.location.end_line]
    exact = [f for f in found if f.location.line == line]
    if not found:
        gaps = "".join(f"; {gap.engine}: {gap.reason}" for gap in coverage.breaking)
        raise NothingThere(f"no finding at {path}:{line}{gaps}")
    best = exact or found
    if len(best) > 1:
        # Several rules on one line: the worst one is meant, unless two are equally bad.
        worst = max(f.rule.severity for f in best)
        best = [f for f in best if f.rule.severity == worst]
    if len({f.rule.id for f in best}) > 1:
        rules = ", ".join(sorted({f.rule.id for f in best}))
        raise UsageError(f"{path}:{line} has findings of several rules: {rules}", hint="name one of them by its handle")
    return _only(best[:1], f"{path}:{line}")


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
