"""Markdown: everything that Fixwright shows on a code host, and `fixwright scan --format markdown`.

The texts follow one rule each: a finding has one place, gaps stand above the fold, nothing that a change wrote is repeated unescaped, and
only commands that exist are offered.
"""

from __future__ import annotations

from pipeline import phrases
from pipeline.answers import render_answer
from pipeline.escaping import escape, visible
from pipeline.model.report import Report
from pipeline.reports.markdown.check import (
    render_annotations,
    render_check,
    render_failed,
    render_progress,
    render_summary,
    render_withdrawn,
)
from pipeline.reports.markdown.proposal import (
    Convention,
    Style,
    detect_convention,
    detect_sign_off,
    detect_style,
    render_commit_message,
    render_fix_title,
    render_pull_request_body,
)
from pipeline.reports.markdown.table import row
from pipeline.reports.markdown.thread import render_comment, render_confided, render_thread, render_waived

__all__ = [
    "RENDERER",
    "Convention",
    "Style",
    "MarkdownRenderer",
    "detect_convention",
    "detect_sign_off",
    "detect_style",
    "escape",
    "render_annotations",
    "render_answer",
    "render_check",
    "render_comment",
    "render_commit_message",
    "render_confided",
    "render_failed",
    "render_fix_title",
    "render_progress",
    "render_pull_request_body",
    "render_thread",
    "render_waived",
    "render_withdrawn",
]

DOCUMENT = 1_000_000
"""Bytes of a document: GitHub's limit for a step summary is 1 MiB (docs, "Workflow commands", job summaries)."""


class MarkdownRenderer:
    """A whole report as one Markdown document: the check's page without a limit of rows above the fold."""

    name = "markdown"
    media_type = "text/markdown; charset=utf-8"

    def render(self, report: Report) -> bytes:
        """Title, table, gaps and ledger; at most 1 MB."""
        rows = [row(judged, report) for judged in (*phrases.listed(report.verdict), *phrases.waived(report.verdict))]
        title = f"## {escape(visible(phrases.title(report)))}"
        page = render_summary(report, DOCUMENT - len(title.encode()) - 3, shown=rows, total=len(rows))
        return f"{title}\n\n{page}\n".encode()


RENDERER = MarkdownRenderer()
