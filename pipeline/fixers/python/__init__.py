"""Fixes for the Python rules. Files keep every byte that is not part of the fix; what is not certain is left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.fixers.python import archive, commands, flask_debug, random_token, sql, tls, yaml_load
from pipeline.fixers.python.calls import entities, temporary, timeout
from pipeline.fixers.python.web import cookies, markup, paths, redirects, safe_text, template_code
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code, parse
from pipeline.rewriting.source import Change, make_patch, open_source

Rewrite = Callable[[Code, Finding, SourceFiles], Change | None]
Reason = Callable[[Code, Finding, SourceFiles], str]

_REWRITES: Mapping[str, Rewrite] = {
    "python.archive-path-traversal": archive.fix,
    "python.command-injection": commands.fix,
    "python.flask-debug": flask_debug.fix,
    "python.html-injection": markup.fix,
    "python.insecure-cookie": cookies.fix,
    "python.insecure-random-token": random_token.fix,
    "python.insecure-temp-file": temporary.fix,
    "python.open-redirect": redirects.fix,
    "python.path-traversal": paths.fix,
    "python.request-timeout": timeout.fix,
    "python.sql-injection": sql.fix,
    "python.template-injection": template_code.fix,
    "python.tls-verification-disabled": tls.fix,
    "python.unescaped-output": safe_text.fix,
    "python.unsafe-yaml": yaml_load.fix,
    "python.xml-external-entities": entities.fix,
}

_OTHER_WAYS: Mapping[str, tuple[Rewrite, ...]] = {
    "python.command-injection": (commands.fix_quoted,),
    "python.sql-injection": (sql.fix_named,),
}
"""Not as good as the first, and sometimes what somebody wants."""


_REASONS: Mapping[str, Reason] = {
    "python.html-injection": markup.why_not,
    "python.insecure-cookie": cookies.why_not,
    "python.sql-injection": sql.why_not,
    "python.template-injection": template_code.why_not,
    "python.unescaped-output": safe_text.why_not,
}
"""Why there is no patch, for whom the rewrite can tell; "" where it cannot."""


class RewritePython:
    """Fixer for every rule `python.*`, one rewrite a rule."""

    name: str = "rewrite-python"

    def answers(self, rule_id: str) -> bool:
        """True for the rules in the table."""
        return rule_id in _REWRITES

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The rewritten file, or None: no rewrite fits, or what came out is no Python."""
        rewrite = _REWRITES.get(finding.rule.id)
        return None if rewrite is None else self._patch(rewrite, finding, files)

    def alternatives(self, finding: Finding, files: SourceFiles) -> Sequence[Patch]:
        """The same place mended in another way."""
        made = [self._patch(rewrite, finding, files) for rewrite in _OTHER_WAYS.get(finding.rule.id, ())]
        return [patch for patch in made if patch is not None]

    def why_not(self, finding: Finding, files: SourceFiles) -> str:
        """See `pipeline.ports.Reasoned`."""
        source = open_source(finding.location.path, files.read(finding.location.path))
        code = parse(source) if source is not None else None
        if code is None:
            return "the file is too large, nested too deep, or not the Python that is known here"
        reason = _REASONS.get(finding.rule.id)
        try:
            return reason(code, finding, files) if reason is not None else ""
        except RecursionError:
            return ""

    def _patch(self, rewrite: Rewrite, finding: Finding, files: SourceFiles) -> Patch | None:
        source = open_source(finding.location.path, files.read(finding.location.path))
        code = parse(source) if source is not None else None
        if code is None:
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


FIXER = RewritePython()
