"""The ladder of fixers: the first one that has a patch for this place."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.finding import Confidence, Finding
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


def unasked(finding: Finding, fixers: Sequence[Fixer]) -> bool:
    """True when a patch is worth making without a person who named this very finding: some fixer knows the rule, and what was found is
    more than a guess. A password in a test or an example is mended when somebody asks for it, and not among all."""
    return finding.rule.confidence > Confidence.LOW and any(fixer.answers(finding.rule.id) for fixer in fixers)
