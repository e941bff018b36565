"""Fixes for the Go rules: edits at places that tree-sitter finds; every other byte stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tree_sitter import Tree

from pipeline.fixers.go import sql, tls
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, Source, make_patch, open_source
from pipeline.syntax import language_of, parses, syntax_tree

Rewrite = Callable[[Source, Tree, Finding, SourceFiles], Change | None]

_REWRITES: Mapping[str, Rewrite] = {
    "go.sql-injection": sql.fix,
    "go.tls-verification-disabled": lambda source, tree, finding, _: tls.fix(source, tree, finding),
}


class RewriteGo:
    """Fixer for rules `go.*`, one rewrite a rule."""

    name: str = "rewrite-go"

    def answers(self, rule_id: str) -> bool:
        """True for the rules in the table."""
        return rule_id in _REWRITES

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The rewritten file, or None: no rewrite fits, or what was there or came out does not parse."""
        path = finding.location.path
        rewrite = _REWRITES.get(finding.rule.id)
        source = open_source(path, files.read(path)) if language_of(path) == "go" else None
        tree = syntax_tree(path, source.data) if source is not None else None
        if rewrite is None or source is None or tree is None or tree.root_node.has_error:
            return None
        change = rewrite(source, tree, finding, files)
        patch = make_patch(self.name, source, change) if change is not None else None
        return patch if patch is not None and parses(path, patch.edits[0].after or b"") else None


FIXER = RewriteGo()
