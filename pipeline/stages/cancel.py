"""CancelFix: what is being made for a pull request ends, whoever makes it."""

from __future__ import annotations

import logging

from pipeline.fixanswers import render_fix_answer
from pipeline.messages import COMMAND, CancelFix, Envelope, Reply
from pipeline.model.fix import Fix
from pipeline.stages.context import Context
from pipeline.stages.offered import fix_at
from pipeline.store.work import Work

log = logging.getLogger(__name__)


def cancel_fix(context: Context, message: CancelFix) -> None:
    """The runs are cancelled in the store, and who makes them notices within two seconds (`pipeline.stages.heartbeat`). One answer."""
    ref = message.comment.pull_request
    with context.finish() as work:
        repository = work.installations.find_repository(ref.repository)
        live = [] if repository is None else work.fixes.live_of(repository, ref.number)
        offered = fix_at(work, ref)
        live += [] if offered is None else work.fixes.live_beside(offered)
        meant = [fix for fix in live if _is_meant(work, fix, message)]
        ended = [fix for fix in meant if work.fixes.cancel(fix.id, message.sender.login)]
        names = tuple(dict.fromkeys(fix.place or fix.handle for fix in ended))
        body = render_fix_answer("called-off", handles=names) if ended else render_fix_answer("nothing-made", asked=message.name)
        reply = Reply(message.installation, message.comment, "cancel", body)
        work.outbox.send(Envelope(reply, f"reply:cancel:{context.claimed.id}", priority=COMMAND, group=context.claimed.group))
    log.info("fix.cancel_asked", extra={"fixes": [fix.id for fix in ended]})


def _is_meant(work: Work, fix: Fix, message: CancelFix) -> bool:
    if message.name:
        handles = (fix.handle, *(one.handle for one in fix.members))
        return message.name.upper() in handles or message.name in (fix.place, *(one.place for one in fix.members))
    return not message.fingerprint or work.fixes.fingerprint(fix.id) == message.fingerprint
