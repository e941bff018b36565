"""`/status`: what is known of this pull request."""

from __future__ import annotations

from pipeline.fixanswers import render_standing
from pipeline.messages import Message, Reply
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView


class StatusCommand:
    """For everybody who may read the repository: it says what the check says."""

    name = "status"
    usage = "/status"
    about = "says how far the newest commit is, and what is open."
    permission = Permission.READ

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """From what is stored; nothing is asked and nothing is started."""
        body = render_standing(view.situation, view.verdict, view.mends, view.capabilities.pull_request_word)
        return (Reply(call.installation, call.comment, self.name, body),)


COMMAND = StatusCommand()
