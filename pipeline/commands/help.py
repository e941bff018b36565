"""`/help`: the commands that exist."""

from __future__ import annotations

from pipeline.answers import render_help
from pipeline.messages import Message, Reply
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView


class HelpCommand:
    """For everybody who may read the repository."""

    name = "help"
    usage = "/help"
    about = "lists the commands."
    permission = Permission.READ

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """One line a command."""
        body = render_help(view.commands or ((self.usage, self.about),))
        return (Reply(call.installation, call.comment, self.name, body),)


COMMAND = HelpCommand()
