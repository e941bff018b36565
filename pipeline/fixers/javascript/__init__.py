"""Fixes for the JavaScript and TypeScript rules: edits at places that tree-sitter finds; every other byte stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.fixers.javascript import commands, dom, random_token, sql, tls
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, parse
from pipeline.rewriting.source import Change, make_patch, open_source

Rewrite = Callable[[Code, Finding, SourceFiles], Change | None]

_REWRITES: Mapping[str, Rewrite] = {
    "javascript.command-injection": commands.fix,
    "javascript.dom-xss": dom.fix,
    "javascript.insecure-random-token": random_token.fix,
    "javascript.sql-injection": sql.fix,
    "javascript.tls-verification-disabled": tls.fix,
}


@dataclass(frozen=True, slots=True)
class RewriteJavaScript:
    """Fixer for every rule `javascript.*`, one rewrite a rule."""

    name: str = "rewrite-javascript"

    def answers(self, rule_id: str) -> bool:
        """True for the rules in the table."""
        return rule_id in _REWRITES

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The rewritten file, or None: no rewrite fits, or what came out does not parse."""
        rewrite = _REWRITES.get(finding.rule.id)
        source = open_source(finding.location.path, files.read(finding.location.path))
        code = parse(source) if rewrite is not None and source is not None else None
        if rewrite is None or code is None:
            return None
        try:
            change = rewrite(code, finding, files)
        except RecursionError:
            return None
        patch = make_patch(self.name, code.source, change) if change is not None else None
        if patch is None:
            return None
        after = open_source(finding.location.path, patch.edits[0].after)
        return patch if after is not None and parse(after) is not None else None


FIXER = RewriteJavaScript()
