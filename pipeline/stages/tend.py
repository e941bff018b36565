"""Tend: our own standing at a host. Hooks that it switched off are switched on again, and a credential that ends is told of in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.errors import HostError, NotConfigured
from pipeline.messages import Tend
from pipeline.model.setup import Upkeep
from pipeline.stages.context import Context
from pipeline.tally import TALLY

log = logging.getLogger(__name__)

WARN: Final = timedelta(days=14)
"""So long before its end a credential is warned of: time for somebody who is away for a week."""

EXPIRES: Final = "fixwright_credential_expires_at"
"""Under this name the end of each credential is told to the store: seconds since 1970, by provider and instance."""

TROUBLES: Final = "fixwright_host_troubles"
"""Under this name is told, likewise, how much the last look found that a person has to see to; a look that failed counts as one."""


def days_left(at: datetime, now: datetime) -> int:
    """Until a credential ends, by the calendar (UTC), as every place counts that tells of it: 1 on the day before."""
    return (at.astimezone(UTC).date() - now.astimezone(UTC).date()).days


def tend(context: Context, message: Tend) -> None:
    """Let the provider look, and tell what it found. A look that fails is not repeated before the next hour's: nothing waits for it."""
    provider = context.plugins.providers.get(message.provider)
    if provider is not None:
        context.fence()
        told = {"provider": message.provider, "instance": message.instance}
        try:
            configuration = context.places.configurations.of(message.provider, message.instance)
            upkeep = provider.tend(configuration, context.memory, message.hook_url)
        except (HostError, NotConfigured) as error:
            log.warning("host.not_tended", extra={**told, "code": error.code, "error": error.message})
            TALLY.latest(TROUBLES, 1.0, **told)
        else:
            _tell(upkeep, told)
    with context.finish():
        return


def _tell(upkeep: Upkeep, told: Mapping[str, str]) -> None:
    TALLY.latest(TROUBLES, float(sum(one.ok is False for one in upkeep.found)), **told)
    for one in upkeep.found:
        fields = {**told, "topic": one.topic, "what": one.said, "hint": one.hint}
        if one.ok is False:
            log.warning("host.trouble", extra=fields)
        else:
            log.info("host.mended", extra=fields)
    if upkeep.expires is None:
        return
    TALLY.latest(EXPIRES, upkeep.expires.timestamp(), **told)
    left = days_left(upkeep.expires, datetime.now(UTC))
    if left <= WARN.days:
        log.warning("credential.expires", extra={**told, "at": upkeep.expires.isoformat(timespec="seconds"), "days": max(0, left)})
