"""`/scan`: judge the newest commit again."""

from __future__ import annotations

from pipeline.answers import render_answer
from pipeline.messages import Message, Reply, StartReview
from pipeline.model.command import CommandCall
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Permission
from pipeline.ports import ReviewView

LIVE = (ReviewStatus.PLANNED, ReviewStatus.SCANNING, ReviewStatus.SETTLING)


class ScanCommand:
    """Needs write permission: it costs the time of the engines."""

    name = "scan"
    usage = "/scan"
    about = "checks the newest commit again."
    permission = Permission.WRITE

    def run(self, call: CommandCall, view: ReviewView) -> tuple[Message, ...]:
        """Start afresh; while a check is under way only make sure that it is of the newest commit.

        However many ask while one review is the newest, what they start is one and the same: `again` names that review.
        """
        pull_request = call.comment.pull_request
        known = view.situation
        running = known is not None and known.status in LIVE
        again = f"after {view.review}" if view.review is not None and not running else ""
        start = StartReview(call.installation, pull_request.repository, pull_request=pull_request, again=again)
        head = known.head if known is not None else "The newest commit"
        body = render_answer("scan-running" if running else "scan", asked=head)
        return (start, Reply(call.installation, call.comment, self.name, body))


COMMAND = ScanCommand()
