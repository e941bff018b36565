"""`/fix [all] [push] [HANDLE] [instructions]`: make a patch for a finding, let it prove itself, and offer it."""

from __future__ import annotations

from dataclasses import replace

from pipeline.answers import render_answer
from pipeline.asking import ask
from pipeline.choosing import open_in
from pipeline.fixanswers import render_standing
from pipeline.messages import FixAll, Message, Reply
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView

ALL, PUSH, STATUS = "all", "push", "status"


class FixCommand:
    """Needs write permission: it runs the repository's tests and may push a branch."""

    name = "fix"
    usage = "/fix [all] [push] [HANDLE] [instructions]"
    about = "makes a patch for a finding, proves it and offers it; `push` puts it on your branch."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Ask for the fix of the named finding, of the thread's finding, or of the only open one; or of all."""
        first, _, rest = call.arguments.strip().partition(" ")
        if first.lower() == STATUS and not rest.strip():
            return (Reply(call.installation, call.comment, self.name, _standing(view)),)
        if first.lower() == ALL and not rest.strip() and (view.mends is None or open_in(view)):
            if view.review is None or not view.settled:
                body = render_answer("not-settled", pull_request_word=view.capabilities.pull_request_word)
                return (Reply(call.installation, call.comment, self.name, body),)
            return (FixAll(call.installation, view.review, call.sender, call.comment),)
        if first.lower() == PUSH:
            return ask(replace(call, arguments=rest.strip()), view, how="push")
        return ask(call, view)


def _standing(view: ReviewView) -> str:
    """As `/status`, which people look for here as well."""
    return render_standing(view.situation, view.verdict, view.mends, view.capabilities.pull_request_word)


COMMAND = FixCommand()
