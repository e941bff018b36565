"""`/explain HANDLE`: what was found, why it matters, where, which data reaches it, and what a fix would do."""

from __future__ import annotations

from pipeline.answers import render_answer
from pipeline.choosing import choose
from pipeline.fixanswers import render_explanation, render_forgotten, render_mended
from pipeline.messages import Message, Reply
from pipeline.model.command import CommandCall
from pipeline.model.finding import Standing
from pipeline.model.target import Permission
from pipeline.phrases import where
from pipeline.ports import ReviewView

STANDINGS = (Standing.BLOCKS, Standing.WARNS, Standing.WAIVED, Standing.COUNTED)


class ExplainCommand:
    """For everybody who may read the repository: it says what the check and the rule say."""

    name = "explain"
    usage = "/explain [HANDLE]"
    about = "says what a finding is, why it matters and what mends it."
    permission = Permission.READ

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """From what is stored; also from the thread of a finding, without its name."""
        choice = choose(call, view, STANDINGS)
        if choice.fault == "mended" and view.mends is not None:
            word = view.capabilities.pull_request_word
            body = render_forgotten(view.mends) if view.mends.finding is None else render_mended(view.mends, word)
        elif choice.fault == "ambiguous" or choice.finding is None:
            body = render_answer(
                choice.fault or "nothing",
                asked=choice.asked,
                handles=choice.handles,
                places=choice.places,
                command="/explain",
                pull_request_word=view.capabilities.pull_request_word,
            )
        else:
            finding = choice.finding
            judged = next(one for one in view.judged if one.finding == finding)
            same = [one.finding for one in view.judged if one.finding.fingerprint == finding.fingerprint and one.finding != finding]
            body = render_explanation(judged, tuple(dict.fromkeys(where(one) for one in same)))
        return (Reply(call.installation, call.comment, self.name, body),)


COMMAND = ExplainCommand()
