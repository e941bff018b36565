"""What follows when an installation or a repository changed."""

from __future__ import annotations

from pipeline.model.event import InstallationEvent
from pipeline.stages.context import Context


def installation(context: Context, event: InstallationEvent) -> None:
    """Know the repositories that came."""
    with context.finish() as work:
        for repository in event.added:
            work.installations.upsert_repository(repository)
