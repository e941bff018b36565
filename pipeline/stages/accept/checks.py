"""What follows when somebody acts on our check."""

from __future__ import annotations

import logging

from pipeline.messages import AcceptEvent
from pipeline.model.event import ButtonEvent, RerunEvent
from pipeline.stages.accept.resuming import again
from pipeline.stages.accept.sending import send
from pipeline.stages.context import Context

log = logging.getLogger(__name__)


def rerun(context: Context, message: AcceptEvent, event: RerunEvent) -> None:
    """Judge every change again that has this head. A machine gets that once a head: two of them could go on for ever."""
    with context.finish() as work:
        for summary in work.reviews.of_head(event.repository, event.head):
            change = work.reviews.get(summary.id).change
            key = f"start:{message.delivery}:{summary.id}"
            if event.sender.bot:
                subject = change.pull_request.number if change.pull_request else change.head_ref
                key = f"start:machine:{event.repository.external_id}:{event.head}:{subject}"
            send(work, again(event.installation, change, message.delivery), key)


def button(context: Context, message: AcceptEvent, event: ButtonEvent) -> None:
    """Do what the button says. One that this version does not have was shown by another version."""
    log.info("there is no such button", extra={"identifier": event.identifier, "delivery": message.delivery})
    with context.finish():
        return
