"""ScanRepository with a scan of a batch: what somebody asked for through the API begins as soon as there is room.

It has slots of its own (`pipeline.store.sweeps`), and of each repository only one look at everything is under way at a time: who comes
second tries again in some seconds. What a repository wants for its own list is not touched by it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from pipeline.errors import Superseded
from pipeline.messages import INTERACTIVE, Envelope, ScanRepository
from pipeline.model.ids import RepositoryId, ScanId
from pipeline.model.review import ReviewStatus
from pipeline.model.scan import ScanStatus
from pipeline.stages.context import Context
from pipeline.stages.sweep import begin, make_room, newest
from pipeline.store.asked import AskedScan
from pipeline.store.work import Work

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 2.0
MOST_SECONDS: Final = 15.0
"""Before it is tried again for the first time, and at most."""


SAME: Final = "it waits for another scan of the same repository"


def scan_asked(context: Context, message: ScanRepository, identifier: ScanId) -> None:
    """Begin one scan of a batch, or try again later. Running it again continues where a crash left it."""
    with context.database.work() as work:
        scan = work.asked.scan(identifier)
        over = scan is None or scan.ended
        number = work.installations.identify(message.repository)
        under_way = work.reviews.live_whole(number)
        mine = under_way is not None and scan is not None and under_way.id == scan.review
        other = under_way is not None and not mine
        begun = mine and under_way is not None and under_way.status is not ReviewStatus.PLANNED
        room = not over and not begun and not other and work.installations.take_slot(number, asked=True)
        if scan is not None:
            work.asked.take_up(scan)
    if scan is None or over or begun:
        with context.finish():
            return
    if not room:
        _later(context, message, scan, SAME if other else "it waits for its turn")
        return
    now = newest(context, message)
    if now.head is not None:
        try:
            begin(context, message, number, now.repository, now.head)
        except Superseded:
            with context.database.read() as work:
                known = work.asked.scan(identifier)
            if known is None or known.review is not None:
                raise
            _later(context, message, scan, SAME)  # another one began while the host was asked
        return
    with context.finish() as work:
        if not now.trouble:
            work.installations.upsert_repository(now.repository, asked=True)
        # Nothing to look at is no failure.
        status, why = (ScanStatus.FAILED, now.trouble) if now.trouble else (ScanStatus.DONE, "it has no commit yet")
        end_asked(work, scan, number, context.claimed.id, status, why, findings=None if now.trouble else 0)


def _later(context: Context, message: ScanRepository, scan: AskedScan, why: str) -> None:
    again = replace(message, waited=message.waited + 1)
    delay = min(AGAIN_SECONDS + message.waited, MOST_SECONDS)
    with context.finish() as work:
        work.asked.waits(scan, why)
        work.outbox.send(Envelope(again, f"scan_repository:{scan.id}:{again.waited}", priority=INTERACTIVE, delay=delay))


def end_asked(
    work: Work, scan: AskedScan, number: RepositoryId, token: str, status: ScanStatus, why: str, findings: int | None = None
) -> None:
    """A scan of a batch is over before anything was looked at.

    Args:
        why: as a clause for people.
    """
    log.info("batch.scan_ended", extra={"batch_id": scan.batch, "repository_id": number, "reason": why})
    work.asked.end(scan, status, why, findings)
    make_room(work, number, token)


def give_up_asked(work: Work, message: ScanRepository, status: ScanStatus, why: str, token: str) -> None:
    """The message of a scan of a batch is not worked any more: neither is the scan."""
    scan = None if message.scan is None else work.asked.scan(message.scan)
    if scan is None or scan.ended:
        return
    if scan.review is None:
        end_asked(work, scan, scan.source, token, status, why)
        return
    review = work.reviews.get(scan.review)
    if review.status is ReviewStatus.PLANNED:  # else others carry it on
        work.reviews.move(review.id, review.status, ReviewStatus.FAILED, why=why)
        make_room(work, scan.source, token)
