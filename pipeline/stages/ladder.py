"""The ladder of fixers: what they have for one place, in the order in which it is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.model.finding import Confidence, Finding
from pipeline.model.fix import Patch
from pipeline.ports import Alternatives, Fixer, Reasoned, SourceFiles
from pipeline.wishes import Wish

NO_PATCH = "no fixer has a patch for this place"

AT_MOST = 8
"""Patches for one place that are looked at."""

RUNGS = 3
"""Of them, those that are put through the gate: the first that passes wins."""


def patches(fixers: Sequence[Fixer], finding: Finding, files: SourceFiles) -> Iterator[Patch]:
    """Every different patch for a place: of each fixer that answers the rule the first, then its other ways."""
    seen: set[object] = set()
    for fixer in fixers:
        if not fixer.answers(finding.rule.id):
            continue
        for patch in _of(fixer, finding, files):
            if patch is not None and patch.edits and patch.edits not in seen and len(seen) < AT_MOST:
                seen.add(patch.edits)
                yield patch


def _of(fixer: Fixer, finding: Finding, files: SourceFiles) -> Iterator[Patch | None]:
    yield fixer.fix(finding, files)
    if isinstance(fixer, Alternatives):
        yield from fixer.alternatives(finding, files)


def make_patch(fixers: Sequence[Fixer], finding: Finding, files: SourceFiles, wish: Wish | None = None) -> Patch | None:
    """The first patch for a place, or the one that is wished for; None when there is none."""
    wanted = wish or Wish()
    for number, patch in enumerate(patches(fixers, finding, files)):
        if number == wanted.alternative:
            left = wanted.apply(patch)
            return left if left.edits else None
    return None


def why_none(fixers: Sequence[Fixer], finding: Finding, files: SourceFiles) -> str:
    """That no fixer has a patch for a place, and why, where one of them knows; a sentence without its full stop."""
    asked = (fixer for fixer in fixers if fixer.answers(finding.rule.id) and isinstance(fixer, Reasoned))
    why = next((said for fixer in asked if (said := fixer.why_not(finding, files))), "")
    return f"{NO_PATCH}: {why}" if why else NO_PATCH


def unasked(finding: Finding, fixers: Sequence[Fixer]) -> bool:
    """True when a patch is worth making without a person who named this very finding: some fixer knows the rule, and what was found is
    more than a guess. A password in a test or an example is mended when somebody asks for it, and not among all."""
    return finding.rule.confidence > Confidence.LOW and any(fixer.answers(finding.rule.id) for fixer in fixers)
