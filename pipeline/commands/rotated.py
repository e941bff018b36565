"""`/rotated HANDLE [reason]`: a secret was revoked, so that its presence in the history does no more harm."""

from __future__ import annotations

from pipeline.answers import render_answer, render_waiver_answer
from pipeline.choosing import choose
from pipeline.messages import Message, Reply, Waive
from pipeline.model.command import CommandCall
from pipeline.model.finding import Standing, SuppressionKind
from pipeline.model.target import Permission
from pipeline.ports import ReviewView

STANDINGS = (Standing.BLOCKS, Standing.WARNS, Standing.WAIVED)
OFF = "off"


class RotatedCommand:
    """Needs write permission, and not of the author of the change. It has no end: a revoked secret stays revoked."""

    name = "rotated"
    usage = "/rotated HANDLE [reason]"
    about = "says that a secret was revoked; not by the author of the change."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Also from the thread of the secret, without its name."""
        choice = choose(call, view, STANDINGS)
        if choice.fault or choice.finding is None or view.review is None:
            body = render_answer(
                choice.fault or "nothing",
                asked=choice.asked,
                handles=choice.handles,
                places=choice.places,
                command="/rotated",
                pull_request_word=view.capabilities.pull_request_word,
            )
            return self._say(call, body)
        finding = choice.finding
        if finding.secret is None:
            return self._say(call, render_waiver_answer("not-a-secret", handle=finding.handle or "", place=choice.place))
        ending = choice.rest.strip().lower() == OFF
        return (
            Waive(
                installation=call.installation,
                review=view.review,
                fingerprint=finding.fingerprint,
                handle=finding.handle or "",
                suppression=SuppressionKind.ROTATED,
                reason="" if ending else choice.rest.strip(),
                sender=call.sender,
                comment=call.comment,
                place=choice.place,
                end=ending,
            ),
        )

    def _say(self, call: CommandCall, body: str) -> tuple[Message, ...]:
        return (Reply(call.installation, call.comment, self.name, body),)


COMMAND = RotatedCommand()
