"""How the people of a repository write their commits, read from the newest ones before the change."""

from __future__ import annotations

from pipeline.model.review import Review
from pipeline.reports.markdown import Style, detect_style
from pipeline.stages.context import Context

READ = 40
"""Commits that are looked at: what people do now counts, not what they did years ago."""


def style_of(context: Context, review: Review) -> Style:
    """The style of the commits before a change. The mirror fetches that much of its base, without contents of files."""
    mirror = context.mirror_of(review)
    base = review.change.base
    mirror.fetch([(base, READ)])
    return detect_style(mirror.messages(base, READ))
