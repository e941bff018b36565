"""Asking for a fix: the one message, whichever command it comes from."""

from __future__ import annotations

from typing import Literal

from pipeline.answers import render_answer
from pipeline.choosing import choose
from pipeline.fixanswers import render_is_the_fix
from pipeline.messages import Message, Reply, RequestFix
from pipeline.model.command import CommandCall, Mending
from pipeline.ports import ReviewView


def ask(call: CommandCall, view: ReviewView, *, how: Literal["", "push"] = "", refine: bool = False) -> tuple[Message, ...]:
    """The one message that asks for a fix, whatever it is asked with; or the answer why no finding is meant."""
    choice = choose(call, view, unnamed=refine)
    command = f"/{call.name} {how}".rstrip()
    if view.mends is not None and not refine and choice.fault in ("mended", "unknown", "nothing", "gone"):
        return (Reply(call.installation, call.comment, call.name, render_is_the_fix(view.mends, view.capabilities.pull_request_word)),)
    if view.mends is not None and choice.fault == "mended":
        return (_refined(call, view.mends, choice.rest),)
    if choice.fault or choice.finding is None or view.review is None:
        body = render_answer(
            choice.fault or "nothing",
            asked=choice.asked,
            handles=choice.handles,
            places=choice.places,
            command=command,
            pull_request_word=view.capabilities.pull_request_word,
        )
        return (Reply(call.installation, call.comment, call.name, body),)
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
            how=how,
            instructions=choice.rest,
            refine=refine,
        ),
    )


def _refined(call: CommandCall, mends: Mending, wanted: str) -> RequestFix:
    """Another attempt at the fix on whose pull request it is said."""
    fix = mends.fix
    return RequestFix(
        installation=call.installation,
        review=fix.review,
        fingerprint=mends.fingerprint,
        handle=fix.handle,
        sender=call.sender,
        comment=call.comment,
        place=fix.place,
        instructions=wanted,
        refine=True,
        offered=True,
    )
