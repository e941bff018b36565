"""`/refine [HANDLE] instructions`: another patch than the one that stands."""

from __future__ import annotations

from pipeline.asking import ask
from pipeline.messages import Message
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView


class RefineCommand:
    """Needs write permission, as `/fix` does."""

    name = "refine"
    usage = "/refine [HANDLE] instructions"
    about = "makes another patch than the one that was offered: `another way`, `only FILE`."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """What can be wished for is known to whoever makes the patch (`pipeline.wishes`)."""
        return ask(call, view, refine=True)


COMMAND = RefineCommand()
