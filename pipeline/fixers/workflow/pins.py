"""workflow.unpinned-action: the commit of a tag, where the repository itself names it for the same action and tag."""

from __future__ import annotations

import re

from pipeline.formats import format_of
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.workflow.document import Document, entry, text

_PINNED = re.compile(r"(?m)\buses:[ \t]*+[\"']?([\w.-]++/[\w./-]++)@([0-9a-f]{40})[\"']?[ \t]++#[ \t]*+(?:tag=)?([\w./-]++)[ \t]*+\r?$")
_MAX_FILES = 50
"""Workflows of one repository that are read."""


def fix(document: Document, finding: Finding, files: SourceFiles) -> Change | None:
    """Name the commit that another line of this repository gives for the same action at the same tag."""
    source = document.source
    at = source.range_of(finding.location)
    for holder in (*(step.node for step in document.steps()), *document.jobs()):
        found = entry(holder, "uses")
        if found is None or not (document.offset(found[0].start_mark) < at[1] and at[0] < document.offset(found[1].end_mark)):
            continue
        action, _, tag = text(found[1]).rpartition("@")
        commits = {
            commit for where in _texts(document, files) for name, commit, said in _PINNED.findall(where) if (name, said) == (action, tag)
        }
        start, end = document.span(found[1])
        inside = source.slice(start, end)
        if len(commits) != 1 or not action or f"@{tag}" not in inside:
            return None
        pinned = inside.replace(f"@{tag}", f"@{next(iter(commits))}")
        rest = source.slice(end, source.line_end(end))
        comment = f" # {tag}" if not rest.strip() else ""
        return Change(
            (Edit(start, end, pinned + comment),),
            "name the commit of the action",
            f"The action is used at the commit that this repository gives for {tag} elsewhere.",
        )
    return None


def _texts(document: Document, files: SourceFiles) -> list[str]:
    others = [path for path in files.paths() if format_of(path) == "workflow" and path != document.source.path][:_MAX_FILES]
    return [document.source.text, *((files.read(path) or b"").decode("utf-8", "replace") for path in others)]
