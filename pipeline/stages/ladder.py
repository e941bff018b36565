"""The ladder of fixers: the first one that has a patch for this place."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import Fixer, SourceFiles


def make_patch(fixers: Sequence[Fixer], finding: Finding, files: SourceFiles) -> Patch | None:
    """The patch of the first fixer that answers the rule and can mend this place, or None."""
    for fixer in fixers:
        if fixer.answers(finding.rule.id):
            patch = fixer.fix(finding, files)
            if patch is not None and patch.edits:
                return patch
    return None
