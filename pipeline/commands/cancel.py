"""`/cancel [HANDLE]`: call off what is being made."""

from __future__ import annotations

from pipeline.choosing import places_of, split
from pipeline.messages import CancelFix, Message
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView


class CancelCommand:
    """Needs write permission, as asking for a fix does. It is for the whole pull request: a fix may be of an older commit."""

    name = "cancel"
    usage = "/cancel [HANDLE]"
    about = "calls off the fixes that are being made; in a thread that of its finding."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Which runs there are only the store knows: whoever does it looks."""
        name, _ = split(call.arguments, places_of(view))
        marker = "" if name else call.finding_marker
        return (CancelFix(call.installation, call.comment, call.sender, name=name, fingerprint=marker),)


COMMAND = CancelCommand()
