"""What follows when a commit was brought to an environment."""

from __future__ import annotations

import logging

from pipeline.model.event import DeploymentEvent
from pipeline.stages.context import Context

log = logging.getLogger(__name__)


def deployment(context: Context, event: DeploymentEvent) -> None:
    """Nothing yet: no scan of this version looks at what runs. The delivery is counted, and kept as long as any other."""
    log.info("deployment.seen", extra={"commit": event.commit, "state": event.state})
    with context.finish():
        return
