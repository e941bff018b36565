"""What follows when a person lost rights."""

from __future__ import annotations

import logging

from pipeline.model.event import MemberEvent
from pipeline.stages.context import Context

log = logging.getLogger(__name__)


def member(context: Context, event: MemberEvent) -> None:
    """Nothing that could come too late: what a person may do is asked from the host right before each effect, and is kept nowhere."""
    log.info("rights.ended", extra={"person": event.user.id, "everywhere": event.repository is None})
    with context.finish():
        return
