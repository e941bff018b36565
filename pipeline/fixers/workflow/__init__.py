"""Fixes for the rules about workflows: edits of the text at places that the YAML reader knows; every other byte stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.fixers.workflow import expressions, permissions, pins
from pipeline.formats import format_of, well_formed
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, make_patch, open_source
from pipeline.rewriting.workflow.document import Document, read

Rewrite = Callable[[Document, Finding, SourceFiles], Change | None]

_REWRITES: Mapping[str, Rewrite] = {
    "workflow.default-permissions": permissions.name_them,
    "workflow.excessive-permissions": permissions.narrow,
    "workflow.script-injection": expressions.fix,
    "workflow.unpinned-action": pins.fix,
}

_PERMISSIONS = "a step does more than read, or it is not known what it does: which permissions it needs is for you to say"
_REASONS: Mapping[str, str] = {
    "workflow.default-permissions": _PERMISSIONS,
    "workflow.excessive-permissions": _PERMISSIONS,
    "workflow.script-injection": "the script is not one in which a variable can stand there",
    "workflow.unpinned-action": "which commit it is only the action's own host knows, and no workflow here names it",
}


class RewriteWorkflow:
    """Fixer for rules `workflow.*`, one rewrite a rule."""

    name: str = "rewrite-workflow"

    def answers(self, rule_id: str) -> bool:
        """True for the rules in the table."""
        return rule_id in _REWRITES

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The rewritten file, or None: no rewrite fits, or what came out is no YAML."""
        rewrite = _REWRITES.get(finding.rule.id)
        path = finding.location.path
        source = open_source(path, files.read(path)) if format_of(path) == "workflow" else None
        document = read(source) if rewrite is not None and source is not None else None
        if rewrite is None or document is None:
            return None
        change = rewrite(document, finding, files)
        patch = make_patch(self.name, document.source, change) if change is not None else None
        return patch if patch is not None and well_formed("workflow", patch.edits[0].after or b"") else None

    def why_not(self, finding: Finding, files: SourceFiles) -> str:
        """See `pipeline.ports.Reasoned`."""
        path = finding.location.path
        source = open_source(path, files.read(path)) if format_of(path) == "workflow" else None
        if source is None or read(source) is None:
            return "the file is too large, nested too deep, or does not parse"
        return _REASONS.get(finding.rule.id, "")


FIXER = RewriteWorkflow()
