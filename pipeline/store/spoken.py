"""What somebody wrote in a comment waits sealed until its event is worked: only then is it known what is secret in that repository."""

from __future__ import annotations

from dataclasses import replace

from pipeline.messages import AcceptEvent, Message
from pipeline.model.event import CommentEvent
from pipeline.store.seal import Vault

_KIND = "outbox"


def closed(message: Message, vault: Vault) -> Message:
    """The message as it may be stored."""
    if isinstance(message, AcceptEvent) and isinstance(message.event, CommentEvent):
        return replace(message, event=replace(message.event, body=vault.close_text(_KIND, message.event.body)))
    return message


def opened(message: Message, vault: Vault) -> Message:
    """The message as it was sent."""
    if isinstance(message, AcceptEvent) and isinstance(message.event, CommentEvent):
        return replace(message, event=replace(message.event, body=vault.open_text(_KIND, message.event.body)))
    return message
