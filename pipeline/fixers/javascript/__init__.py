"""Fixes for the JavaScript and TypeScript rules: edits at places that tree-sitter finds; every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pipeline.fixers.javascript import commands, cookies, dom, paths, random_token, redirects, sql, tls
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, parse
from pipeline.rewriting.source import Change, make_patch, open_source

Rewrite = Callable[[Code, Finding, SourceFiles], Change | None]
Reason = Callable[[Code, Finding, SourceFiles], str]

_REWRITES: Mapping[str, Rewrite] = {
    "javascript.command-injection": commands.fix,
    "javascript.dom-xss": dom.fix,
    "javascript.insecure-cookie": cookies.fix,
    "javascript.insecure-random-token": random_token.fix,
    "javascript.open-redirect": redirects.fix,
    "javascript.path-traversal": paths.fix,
    "javascript.sql-injection": sql.fix,
    "javascript.tls-verification-disabled": tls.fix,
}


_REASONS: Mapping[str, Reason] = {
    "javascript.path-traversal": paths.why_not,
    "javascript.sql-injection": sql.why_not,
}
"""Why there is no patch, for whom the rewrite can tell; "" where it cannot."""


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
        code.module_style = code.module_style or _is_module(code, files)
        try:
            change = rewrite(code, finding, files)
        except RecursionError:
            return None
        patch = make_patch(self.name, code.source, change) if change is not None else None
        if patch is None:
            return None
        after = open_source(finding.location.path, patch.edits[0].after)
        return patch if after is not None and parse(after) is not None else None

    def why_not(self, finding: Finding, files: SourceFiles) -> str:
        """See `pipeline.ports.Reasoned`."""
        source = open_source(finding.location.path, files.read(finding.location.path))
        code = parse(source) if source is not None else None
        if code is None:
            return "the file is too large, nested too deep, or does not parse"
        reason = _REASONS.get(finding.rule.id)
        try:
            return reason(code, finding, files) if reason is not None else ""
        except RecursionError:
            return ""


def _is_module(code: Code, files: SourceFiles) -> bool:
    """True when a file that imports nothing is an ECMAScript module all the same: TypeScript, or by the nearest package.json.

    Source: https://nodejs.org/api/packages.html#determining-module-system
    """
    path = code.source.path
    if path.endswith(".cjs") or "require" in code.names():
        return False
    if path.endswith((".ts", ".tsx")):
        return True
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        content = files.read(f"{folder}/package.json" if folder else "package.json")
        if content is not None:
            return re.search(rb'"type"\s*:\s*"module"', content) is not None
    return False


FIXER = RewriteJavaScript()
