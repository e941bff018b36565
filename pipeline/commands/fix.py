"""`/fix [HANDLE]`: make a patch for a finding, let it prove itself, and offer it."""

from __future__ import annotations

from pipeline.answers import render_answer
from pipeline.choosing import choose
from pipeline.messages import Message, Reply, RequestFix
from pipeline.model.command import CommandCall
from pipeline.model.target import Permission
from pipeline.ports import ReviewView


class FixCommand:
    """Needs write permission: it runs the repository's tests and may push a branch."""

    name = "fix"
    usage = "/fix [HANDLE]"
    about = "makes a patch for a finding, proves it and offers it."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Ask for the fix of the named finding, of the thread's finding, or of the only open one."""
        choice = choose(call, view)
        if choice.fault or choice.finding is None or view.review is None:
            body = render_answer(
                choice.fault or "nothing",
                asked=choice.asked,
                handles=choice.handles,
                places=choice.places,
                command="/fix",
                pull_request_word=view.capabilities.pull_request_word,
            )
            return (Reply(call.installation, call.comment, self.name, body),)
        finding = choice.finding
        return (
            RequestFix(
                installation=call.installation,
                review=view.review,
                fingerprint=finding.fingerprint,
                handle=finding.handle or "",
                sender=call.sender,
                comment=call.comment,
                place=choice.place,
            ),
        )


COMMAND = FixCommand()
