"""`/waive HANDLE reason [until DATE]`: let a finding stand for a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from pipeline.answers import render_answer, render_waiver_answer
from pipeline.choosing import choose
from pipeline.messages import Message, Reply, Waive
from pipeline.model.command import CommandCall
from pipeline.model.finding import Standing, SuppressionKind
from pipeline.model.target import Permission
from pipeline.ports import ReviewView

STANDINGS = (Standing.BLOCKS, Standing.WARNS, Standing.WAIVED)
OFF = "off"

_UNTIL = re.compile(r"(?:^|\s)until\s+(?P<day>\S+)\s*$", re.IGNORECASE)
_MISPLACED = re.compile(r"(?:^|\s)until\s+[0-9]{2,4}[-./]", re.IGNORECASE)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Words:
    """What stands behind the name."""

    reason: str
    until: date | None = None
    malformed: bool = False


class WaiveCommand:
    """Needs write permission, and not of the author of the change: both are looked at again when the waiver is written down."""

    name = "waive"
    usage = "/waive HANDLE reason [until DATE]"
    about = "lets a finding stand until that day, at most as long as the policy allows; not by the author of the change."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Only what can be understood is sent on; whether it may be is decided by the stage."""
        if not call.arguments:
            open_here = choose(call, view, STANDINGS)
            handles = open_here.handles or ((open_here.finding.handle or "",) if open_here.finding else ())
            return self._say(call, render_waiver_answer("no-name", handles=handles))
        choice = choose(call, view, STANDINGS)
        if choice.fault or choice.finding is None or view.review is None:
            body = render_answer(
                choice.fault or "nothing",
                asked=choice.asked,
                handles=choice.handles,
                places=choice.places,
                command="/waive",
                pull_request_word=view.capabilities.pull_request_word,
            )
            return self._say(call, body)
        finding, ending = choice.finding, choice.rest.strip().lower() == OFF
        words = Words("") if ending else parse_words(choice.rest)
        if words.malformed:
            return self._say(call, render_waiver_answer("malformed", handle=finding.handle or "", place=choice.place))
        return (
            Waive(
                installation=call.installation,
                review=view.review,
                fingerprint=finding.fingerprint,
                handle=finding.handle or "",
                suppression=SuppressionKind.WAIVER,
                reason=words.reason,
                sender=call.sender,
                until=words.until,
                comment=call.comment,
                place=choice.place,
                end=ending,
            ),
        )

    def _say(self, call: CommandCall, body: str) -> tuple[Message, ...]:
        return (Reply(call.installation, call.comment, self.name, body),)


def parse_words(text: str) -> Words:
    """Reason and last day. A day that is no day, or that does not stand at the end, makes it malformed: nobody should believe that a
    waiver ends when it does not."""
    found = _UNTIL.search(text)
    if found is None:
        return Words(text.strip(), malformed=_MISPLACED.search(text) is not None)
    reason = text[: found.start()].strip()
    day = parse_day(found["day"])
    return Words(reason, day, malformed=day is None)


def parse_day(text: str) -> date | None:
    """`2027-02-20` and nothing else; None for what is no day of the calendar."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


COMMAND = WaiveCommand()
