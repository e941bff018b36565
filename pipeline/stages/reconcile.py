"""Reconcile: what a host could not deliver, because we were away or it was, is delivered again.

Hosts that keep refused deliveries keep them for a few days (GitHub: three) and try none again by themselves.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

from pipeline.messages import Reconcile
from pipeline.stages.context import Context
from pipeline.tally import TALLY

log = logging.getLogger(__name__)

WINDOW = timedelta(days=3)
"""How long hosts keep a refused delivery (docs "Redelivering webhooks")."""
OVERLAP = timedelta(hours=1)
"""The next look begins so long before this one: a delivery may be refused late, and the mark is by our clock where the list is by the
host's. What is found twice costs nothing: it is known by then, or was asked for just now."""
AGAIN_SECONDS = 600.0
"""A delivery is asked for at most once in so long: it may be under way (facts of hosts name no time; ours)."""
AT_ONCE = 500
"""Deliveries that one message asks for: a tenth of a GitHub App's hourly budget. The rest follows with the next one."""


def reconcile(context: Context, message: Reconcile) -> None:
    """Ask for every delivery that the host could not hand over and that we do not know. What comes again comes through the front door."""
    provider = context.plugins.providers.get(message.provider)
    if provider is None or not provider.capabilities.redelivers:
        with context.finish():
            return
    context.asked.add(f"{message.provider}:{message.instance}")
    configuration = context.places.configurations.of(message.provider, message.instance)
    mark = f"reconciled/{message.provider}/{message.instance}"
    began = datetime.now(UTC)
    known = context.memory.get(mark)
    since = began - WINDOW if known is None else max(began - WINDOW, datetime.fromtimestamp(float(known), UTC) - OVERLAP)
    asked = 0
    for missed in provider.missed(configuration, context.memory, since):
        if _is_known(context, message, missed.delivery) or not _first(context, f"{mark}/{missed.delivery}"):
            continue
        context.fence()
        provider.redeliver(configuration, context.memory, missed)
        asked += 1
        if asked >= AT_ONCE:
            break
    else:
        context.memory.put(mark, f"{began.timestamp():.0f}".encode(), WINDOW.total_seconds())
    if asked:
        TALLY.add("fixwright_reconciled_total", float(asked), what="deliveries")
    told = {"provider": message.provider, "what": "deliveries", "asked": asked, "since": since.isoformat(timespec="seconds")}
    log.info("reconcile.done", extra=told)
    with context.finish():
        return


def _is_known(context: Context, message: Reconcile, delivery: str) -> bool:
    with context.database.read() as work:
        return work.deliveries.seen(message.provider, message.instance, delivery)


def _first(context: Context, key: str) -> bool:
    """True once in AGAIN_SECONDS."""
    return context.memory.compare_and_set(key, None, f"{time.time():.0f}".encode(), AGAIN_SECONDS)
