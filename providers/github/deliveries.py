"""Deliveries that GitHub could not hand over: it keeps them for three days and delivers none again by itself.

Sources: docs "Handling failed webhook deliveries", "Redelivering webhooks" (three days), REST "List deliveries for an app webhook"
(newest first; every attempt is an entry of its own, all with one GUID), "Redeliver a delivery for an app webhook".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from pipeline.errors import HostNotFound
from pipeline.model.event import MissedDelivery
from pipeline.ports import HostMemory
from providers.github.auth import AppKey, as_app
from providers.github.client import Answer, Client, Nothing, path
from providers.github.limits import Limits

LISTED = 1_000
"""Entries that are looked at in one go: ten requests, far below a fifth of an App's 5,000 an hour."""

REFUSED_FOR_GOOD = frozenset({400, 413})
"""How we refuse a delivery for what it is (see `bot.webhooks`). One is asked for again once: it may have been sent too slowly."""


class DeliveryAnswer(Answer):
    """An attempt to deliver."""

    id: int
    guid: str
    delivered_at: datetime
    redelivery: bool = False
    status: str = ""
    status_code: int = 0


def missed(client: Client, key: AppKey, limits: Limits, clock: Callable[[], float], since: datetime) -> Iterator[MissedDelivery]:
    """The newest attempt of each GUID that was not handed over, oldest first; as far as the list tells, which an old enterprise server does
    not shorten to the failed ones."""
    address = path("app", "hook", "deliveries", status="failure", per_page=100)
    listed = limits.guarded(
        lambda: as_app(client, key, clock, lambda signed: client.pages(address, DeliveryAnswer, jwt=signed, most=LISTED)), client.headers
    )
    recent = [attempt for attempt in listed if attempt.delivered_at >= since]
    arrived = {attempt.guid for attempt in recent if 200 <= attempt.status_code < 300}
    newest: dict[str, DeliveryAnswer] = {}
    for attempt in recent:
        if attempt.guid not in arrived:
            newest.setdefault(attempt.guid, attempt)
    for attempt in sorted(newest.values(), key=lambda attempt: attempt.delivered_at):
        if attempt.redelivery and attempt.status_code in REFUSED_FOR_GOOD:
            continue
        yield MissedDelivery(str(attempt.id), attempt.guid, attempt.delivered_at)


def redeliver(client: Client, key: AppKey, limits: Limits, clock: Callable[[], float], delivery: MissedDelivery) -> None:
    """Ask for one more attempt. One that GitHub has forgotten meanwhile is no error."""
    address = path("app", "hook", "deliveries", delivery.id, "attempts")
    try:
        limits.guarded(
            lambda: as_app(client, key, clock, lambda signed: client.send("POST", address, {}, Nothing, jwt=signed)), client.headers
        )
    except HostNotFound:
        return


def limits_of_app(memory: HostMemory, site: str, app_id: str, clock: Callable[[], float], open_seconds: float) -> Limits:
    """What an App may ask as itself is counted apart from its installations."""
    return Limits(memory, site, f"app-{app_id}", clock=clock, patient=True, open_seconds=open_seconds)
