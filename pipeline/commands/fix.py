"""`/fix [HANDLE]`: make a patch for a finding, let it prove itself, and offer it."""

from __future__ import annotations

from pipeline.answers import Topic, render_answer
from pipeline.messages import Message, Reply, RequestFix
from pipeline.model.finding import BaselineState, Judged, Standing
from pipeline.model.ids import Handle
from pipeline.model.target import Permission
from pipeline.ports import CommandCall, ReviewView


class FixCommand:
    """Needs write permission: it runs the repository's tests and may push a branch."""

    name = "fix"
    usage = "/fix [HANDLE]"
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Ask for the fix of the named finding, of the thread's finding, or of the only open one."""
        if view.review is None or not view.settled:
            return (self._say(call, render_answer("not-settled")),)
        open_findings = [j for j in view.judged if j.baseline is BaselineState.NEW and j.standing in (Standing.BLOCKS, Standing.WARNS)]
        chosen = self._choose(call, view, open_findings)
        if chosen is None:
            handles = tuple(f"{j.finding.handle}" for j in open_findings)
            asked = call.arguments.split()[0] if call.arguments else ""
            known = bool(asked) and any(f"{j.finding.handle}" == asked.upper() for j in view.judged)
            topic: Topic = "gone" if known else "unknown" if asked else "which" if handles else "nothing"
            return (self._say(call, render_answer(topic, asked=asked, handles=handles)),)
        finding = chosen.finding
        return (
            RequestFix(
                installation=call.installation,
                review=view.review,
                fingerprint=finding.fingerprint,
                handle=finding.handle or "",
                sender=call.sender,
                comment=call.comment,
            ),
        )

    def _choose(self, call: CommandCall, view: ReviewView, open_findings: list[Judged]) -> Judged | None:
        if call.arguments:
            named = view.by_handle(Handle(call.arguments.split()[0].upper()))
            return named if named in open_findings else None
        if call.finding_marker:
            return next((j for j in open_findings if j.finding.fingerprint == call.finding_marker), None)
        return open_findings[0] if len(open_findings) == 1 else None

    def _say(self, call: CommandCall, body: str) -> Reply:
        return Reply(call.installation, call.comment, "fix", body)


COMMAND = FixCommand()
