"""What the relay does now and then: the whole list. A duty is short, bounded and may be repeated at any time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from bot.configurations import hook_url
from bot.jobs import Duty
from bot.wiring import App
from pipeline.errors import EngineMissing, InternalFault
from pipeline.lacking import missing
from pipeline.lifecycle import REVIEW
from pipeline.messages import BATCH, Envelope, FollowHeads, Reconcile, Tend
from pipeline.model.target import Installation
from pipeline.sandbox.upkeep import drop_unused, repack_one
from pipeline.stages.endcheck import send_end
from pipeline.stages.examine import RunControl
from pipeline.stages.give_up import fail_review
from pipeline.stages.heads import group_of
from pipeline.stages.lapse import expire_decisions, expire_ignores, expire_waivers
from pipeline.stages.sweep import begin_next, engines_digest
from pipeline.stages.tend import EXPIRES, TROUBLES
from pipeline.store.heads import QUIET_SECONDS
from pipeline.store.identifiers import new_id
from pipeline.store.migrate import forget_old_copies
from pipeline.store.transaction import chunks

log = logging.getLogger(__name__)

TIDY_SECONDS = 300.0
WAIVER_SECONDS = 60.0
"""A waiver that ends at midnight is seen to have ended by one minute past."""
MIRROR_SECONDS = 3600.0
SCANS_SECONDS = 20.0
RULES_SECONDS = 600.0
RECONCILE_SECONDS = 3600.0
"""Also at every start: what came while nobody was there is refused by the host and kept for days."""

RULES_SPREAD = 6 * 3600.0
"""New rules look at every repository within so long, besides what else is to be done."""

CHECKS_SECONDS = 300.0
CHECKS_AT_ONCE = 100
END_AGAIN_SECONDS = 6 * 3_600.0
"""A check that could not be ended is tried again after so long."""

APART_SECONDS, WITHIN_SECONDS = 2.0, 1_800.0
"""Walks over the heads of installations begin so long after one another, and the last one after so long at most."""

DAY = 86_400.0
TOGETHER_SECONDS = 20.0
"""How long one duty may go on deleting, batch after batch."""

AT_ONCE = 100
"""Walks that one transaction begins: deliveries are written to the same database meanwhile."""

GAUGES = ("fixwright_host_rate_limit_remaining",)
COPY_DAYS = 30.0
"""Copies of the database from before a migration are kept so long: a purge does not reach into them."""


def duties(app: App, *, listens: bool = True) -> Sequence[Duty]:
    """Every periodic duty of an installation.

    Args:
        listens: False for a process that looks for itself at what it was told to look at, and judges nothing else.
    """
    return (
        Duty("tidy", TIDY_SECONDS, lambda: tidy(app)),
        Duty("retention", TIDY_SECONDS, lambda: retain(app)),
        Duty("waivers", WAIVER_SECONDS, lambda: end_waivers(app)),
        Duty("scans", SCANS_SECONDS, lambda: begin_scans(app)),
        Duty("rules", RULES_SECONDS, lambda: follow_rules(app)),
        Duty("deliveries", RECONCILE_SECONDS, lambda: ask_for_missed(app)),
        Duty("checks", CHECKS_SECONDS, lambda: end_checks(app)),
        *([Duty("heads", RECONCILE_SECONDS, lambda: walk_heads(app))] if listens else []),
        *([Duty("standing", RECONCILE_SECONDS, lambda: tend_hosts(app))] if listens else []),
        Duty("mirrors", MIRROR_SECONDS, lambda: look_after_mirrors(app)),
    )


def tidy(app: App) -> None:
    """Forget what is kept for a short time only: done messages, bodies of deliveries, unused results, silent processes."""
    with app.database.work() as work:
        work.tidy()
        work.processes.forget()
        work.counters.forget_gauges(GAUGES)
        work.counters.forget_gauges((EXPIRES, TROUBLES), older_than=3 * RECONCILE_SECONDS)
        work.organizations.settle(one_each=app.settings.organization_per_installation)
    forget_old_copies(app.settings.state_dir, COPY_DAYS * DAY)


def end_waivers(app: App) -> int:
    """Have what a waiver, an `ignore` entry of a policy, or a decision through the API let stand count again when its last day is over; how
    many of them."""
    today = app.places.today()
    return expire_waivers(app.database, today) + expire_ignores(app.database, today) + expire_decisions(app.database, today)


def retain(app: App) -> int:
    """Forget what the operator does not want kept any longer, a batch a transaction; how many rows."""
    until = time.monotonic() + TOGETHER_SECONDS
    total = 0
    while time.monotonic() < until:
        with app.database.work() as work:
            deleted = work.retention.forget(app.settings.retention_days * DAY)
        total += deleted
        if not deleted:
            break
    return total


def look_after_mirrors(app: App) -> None:
    """Remove mirrors that nobody uses, and put the pieces of one together."""
    drop_unused(app.settings.mirrors_dir, app.settings.mirror_days * DAY)
    repack_one(app.settings.mirrors_dir)


def begin_scans(app: App) -> int:
    """Let the whole scans begin that are due, as far as there is room; how many. Also after a crash: an end begins the next one itself."""
    with app.database.work() as work:
        return begin_next(work, new_id())


def follow_rules(app: App) -> int:
    """After a change of rules or engines everything is looked at again; how many repositories that makes due. An engine that is missing
    changes nothing: there is nothing to look with."""
    try:
        digest = engines_digest(app.plugins.scanners, RunControl(app.places.engines, lambda: True))
    except EngineMissing as error:
        log.info("rules.unknown", extra={"engine": error.engine})
        return 0
    with app.database.work() as work:
        return work.installations.want_all_but(digest, RULES_SPREAD)


def ask_for_missed(app: App) -> None:
    """A message for each instance whose host keeps what it could not deliver. Several starts within a minute send one."""
    with app.database.work() as work:
        for name, provider in app.plugins.providers.items():
            for instance in app.places.configurations.instances(name) if provider.capabilities.redelivers else ():
                key = f"reconcile:{name}:{instance}:{int(time.time() // 60)}"
                work.outbox.send(Envelope(Reconcile(name, instance), key, priority=BATCH))


def tend_hosts(app: App) -> int:
    """A message for each instance that we can sign in to, to look after our standing there; how many. Several starts within a minute send
    one each."""
    sent = 0
    with app.database.work() as work:
        for name, provider in app.plugins.providers.items():
            for instance in app.places.configurations.instances(name):
                configuration = app.places.configurations.of(name, instance)
                if missing(provider.settings, configuration, "connect"):
                    continue
                message = Tend(name, instance, hook_url(app.settings, name, instance, configuration))
                work.outbox.send(Envelope(message, f"tend:{name}:{instance}:{int(time.time() // 60)}", priority=BATCH))
                sent += 1
    return sent


def walk_heads(app: App) -> int:
    """Have the heads of every active installation compared with what was judged; how many walks begin. One that still goes on, goes on:
    that of a large organization takes hours. Several starts within a minute send one message."""
    with app.database.read() as work:
        known = work.installations.all()
    begun = 0
    for some in chunks([installation for installation, state in known if state == "active" and _told(app, installation)], AT_ONCE):
        with app.database.work() as work:
            for installation in some:
                if work.outbox.busy(group_of(installation)):
                    continue
                key = f"heads:{installation.id}:{int(time.time() // 60)}"
                delay = min(begun * APART_SECONDS, WITHIN_SECONDS)
                walk = FollowHeads(installation)
                work.outbox.send(Envelope(walk, key, priority=BATCH, delay=delay, group=group_of(installation)))
                begun += 1
    return begun


def _told(app: App, installation: Installation) -> bool:
    """Whether deliveries of this installation come here at all: what nobody tells us is not for us to judge unasked."""
    provider = app.plugins.providers.get(installation.provider)
    if provider is None or not app.places.configurations.instances(provider.name):
        return False
    configuration = app.places.configurations.of(provider.name, installation.instance)
    return not missing(provider.settings, configuration)


def end_checks(app: App, quiet: float = QUIET_SECONDS) -> int:
    """End checks that are in progress on a host and that nobody is going to end; how many. A review that was lost ends with its check.

    Args:
        quiet: seconds for which a young review is left alone.
    """
    with app.database.read() as work:
        # It is looked for among the reviews of days, and as a rule there is none: nobody who writes waits for that.
        if not work.heads.unended(1, quiet):
            return 0
    with app.database.work() as work:
        left = work.heads.unended(CHECKS_AT_ONCE, quiet)
        for review in left:
            log.error("check.left", extra={"review_id": review.id, "status": review.status})
            if REVIEW.terminal(review.status):
                send_end(work, review.id, f"{int(time.time() // END_AGAIN_SECONDS)}")
            else:
                fail_review(work, review.id, InternalFault("its work was lost"))
    return len(left)
