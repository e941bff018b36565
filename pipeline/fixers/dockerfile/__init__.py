"""Fixes for the rules about Dockerfiles: edits of the text at the finding; every other byte stays."""

from __future__ import annotations

import re

from pipeline.formats import format_of, well_formed
from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, Edit, Source, make_patch, open_source

_LONG = re.compile(rb"(?<![ \t])[ \t]++(?:--insecure|--no-check-certificate|--allow-unauthenticated|-k)$")
_SHORT = re.compile(rb"(?<=[ \t])(-[A-Za-z]*)k([A-Za-z]*)$")
_COMMAND = re.compile(rb"(?:curl|wget|apt(?:-get)?)\b")


class RewriteDockerfile:
    """Fixer for rules `dockerfile.*`."""

    name: str = "rewrite-dockerfile"

    def answers(self, rule_id: str) -> bool:
        """True for the one rule that can be mended without asking a registry."""
        return rule_id == "dockerfile.tls-verification-disabled"

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """The file without the option that switches the check off, or None."""
        path = finding.location.path
        source = open_source(path, files.read(path)) if format_of(path) == "dockerfile" and self.answers(finding.rule.id) else None
        edit = _without(source, finding) if source is not None else None
        if source is None or edit is None:
            return None
        change = Change(
            (edit,),
            "check what is downloaded into the image",
            "The option that switched the check off is gone, so the certificate or signature is checked.",
            ("A server with a certificate of a private authority needs that authority in the image: COPY it and update-ca-certificates.",),
        )
        patch = make_patch(self.name, source, change)
        return patch if patch is not None and well_formed("dockerfile", patch.edits[0].after or b"") else None


def _without(source: Source, finding: Finding) -> Edit | None:
    """The finding reaches from the command to the end of the option."""
    start, end = source.range_of(finding.location)
    if source.data[end - 1 : end] == b"\n":
        return None
    region = source.data[start:end]
    if not _COMMAND.match(region):
        return None
    whole = _LONG.search(region)
    if whole is not None:
        first, last = source.line_start(start + whole.start() + 1), source.line_end(end)
        if first > start and not source.data[first : start + whole.start()].strip() and source.data[end:last].strip() == b"\\":
            return Edit(first, last, "")
        return Edit(start + whole.start(), end, "")
    short = _SHORT.search(region)
    if short is None or len(short[0]) < 3:
        return None
    return Edit(start + short.start(), end, (short[1] + short[2]).decode())


FIXER = RewriteDockerfile()
