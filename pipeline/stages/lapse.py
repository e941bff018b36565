"""What lets a finding stand is over, and nobody pushed: the changes that rest on it are judged anew."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.messages import NORMAL
from pipeline.stages.again import judge_again, settle_again
from pipeline.store.engine import Database

log = logging.getLogger(__name__)


def expire_waivers(database: Database, today: date) -> int:
    """Take note of every waiver whose last day is over, and have what it covered judged anew; how many. For the relay, now and then."""
    with database.work() as work:
        count = 0
        for waiver in work.waivers.run_out(today):
            if work.waivers.expire(waiver):
                judge_again(work, waiver.repository, waiver.fingerprint, waiver.keyed_hash, f"expired:{waiver.id}", NORMAL)
                count += 1
    if count:
        log.info("waiver.expired", extra={"count": count})
    return count


def expire_ignores(database: Database, today: date) -> int:
    """Have every open change judged anew whose verdict rests on an `ignore` entry of its policy that is over; how many. For the relay, now
    and then, like `expire_waivers`."""
    with database.work() as work:
        count = sum(settle_again(work, review, f"ignored:{today.isoformat()}", NORMAL) for review in work.policies.lapsed(today))
    if count:
        log.info("ignore.expired", extra={"count": count})
    return count


def expire_decisions(database: Database, today: date) -> int:
    """Have everything count again of which somebody said until when it does not, through the API; how many. For the relay, likewise."""
    with database.work() as work:
        count = sum(work.decisions.expire(finding, repository, today) for finding, repository in work.decisions.run_out(today))
    if count:
        log.info("decision.expired", extra={"count": count})
    return count
