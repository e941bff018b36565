"""POST /webhooks/{provider}[/{instance}]: bytes -> verified event -> one durable row -> 202. No commit, no ack.

When there is too much (`bot.pressure`) or the database is away, the answer is 503 and the host delivers again. For a host that does not
(`Capabilities.redelivers`) the verified delivery is kept in a file (`bot.kept`) and answered 202 `spooled`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.kept import Kept, entry
from bot.pressure import Pressure
from pipeline.errors import (
    BadSignature,
    DeliveryPutOff,
    DeliveryTooLarge,
    FixwrightError,
    MalformedDelivery,
    NotConfigured,
    StoreUnavailable,
)
from pipeline.leaks import clean
from pipeline.model.event import Delivery, Received
from pipeline.ports import Configurations, Provider
from pipeline.store.intake import PATIENCE_SECONDS, Intake

log = logging.getLogger(__name__)

MAX_BODY = 26 * 1024 * 1024
"""Bytes. GitHub sends nothing larger than 25 MB (docs "Webhook events and payloads")."""

INLINE = 256 * 1024
"""A larger body is verified and parsed in a thread, so that it does not hold up the others."""

BODY_SECONDS = 30.0
"""In which a body must be there."""

LARGE_AT_ONCE = 8
"""Bodies above INLINE that are held at once: who sends them is known only when all of it is there, and each may take MAX_BODY."""

LARGE_SECONDS = 10.0
"""In which the rest of such a body must be there, so that nobody keeps its place by sending slowly. GitHub itself gives up after 10 s
(docs "Best practices for using webhooks")."""

ROOM_SECONDS = 2.0
"""How long a large body waits for its place."""

HASTE_SECONDS = 2.0
"""How long a delivery waits for the database that is kept in a file otherwise: who delivers once waits no longer than a person would."""

STATUS: Mapping[type[FixwrightError], int] = {
    BadSignature: 401,
    MalformedDelivery: 400,
    DeliveryTooLarge: 413,
    DeliveryPutOff: 503,
    NotConfigured: 503,
    StoreUnavailable: 503,
}


class Webhooks:
    """The routes of all providers.

    Args:
        kept: where deliveries go that nobody delivers again; it is drained by whoever starts it.
        large_at_once: see LARGE_AT_ONCE.
        room_seconds: see ROOM_SECONDS.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        configurations: Configurations,
        intake: Intake,
        pressure: Pressure,
        kept: Kept,
        *,
        large_at_once: int = LARGE_AT_ONCE,
        room_seconds: float = ROOM_SECONDS,
    ) -> None:
        self._providers = providers
        self._configurations = configurations
        self._intake = intake
        self._pressure, self._kept = pressure, kept
        self._places, self._room_seconds = asyncio.Semaphore(large_at_once), room_seconds

    def routes(self) -> list[Route]:
        """Both forms of the address."""
        return [
            Route("/webhooks/{provider}", self.receive, methods=["POST"]),
            Route("/webhooks/{provider}/{instance}", self.receive, methods=["POST"]),
        ]

    async def receive(self, request: Request) -> Response:
        """One delivery. 202 only after the row is on the disk."""
        name = request.path_params["provider"]
        provider = self._providers.get(name)
        if provider is None:
            return JSONResponse({"error": "NOT_FOUND", "detail": "there is no such provider"}, 404)
        try:
            if not await self._is_known(name, request.path_params.get("instance", "")):
                return JSONResponse({"error": "NOT_FOUND", "detail": "there is no such instance"}, 404)
            async with AsyncExitStack() as held:
                outcome, received = await self._accept(provider, request, held)
        except FixwrightError as error:
            log.info("delivery.refused", extra={"provider": name, "code": error.code, "error": error.message})
            return problem(error)
        except ClientDisconnect:
            return Response(status_code=400)
        if received.odd:
            about = {"provider": name, "delivery_id": received.delivery_id, "name_of_event": received.name}
            log.warning("delivery.odd", extra={**about, "error": received.odd, "hint": received.hint})
        log.info(
            "delivery.received",
            extra={"provider": name, "delivery_id": received.delivery_id, "name_of_event": received.name, "outcome": outcome},
        )
        return JSONResponse({"delivery": received.delivery_id, "status": outcome}, 202)

    async def _is_known(self, provider: str, instance: str) -> bool:
        """False for a name that nobody set up. The default's secret must not open it: a delivery that was seen once could be sent again
        under any number of names, and each would be another one."""
        return not instance or instance in await asyncio.to_thread(self._configurations.instances, provider)

    async def _room(self, held: AsyncExitStack) -> None:
        """A place for a large body, until `held` ends. Raises DeliveryPutOff."""
        try:
            async with asyncio.timeout(self._room_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise DeliveryPutOff("too many large bodies are being read; send it again") from None
        held.callback(self._places.release)

    async def _accept(self, provider: Provider, request: Request, held: AsyncExitStack) -> tuple[str, Received]:
        """Stored, and what it was. `held` keeps the place of a large body, and its bytes counted."""
        again = provider.capabilities.redelivers
        self._pressure.check(("disk", "queue") if again else ("disk",))
        body = await _body(request, lambda: self._room(held), lambda number: self._hold(held, number))
        instance = request.path_params.get("instance", "")
        delivery = Delivery(provider.name, instance, {k.lower(): v for k, v in request.headers.items()}, body)
        configuration = self._configurations.at_once(provider.name, instance)
        if configuration is None:
            configuration = await asyncio.to_thread(self._configurations.of, provider.name, instance)
        if len(body) > INLINE:
            received = await asyncio.to_thread(provider.receive, delivery, configuration)
        else:
            received = provider.receive(delivery, configuration)
        return await self._store(delivery, received, again=again), received

    async def _store(self, delivery: Delivery, received: Received, *, again: bool) -> str:
        """Into the database, or into a file when it does not take it and nobody delivers it `again`; what became of it.

        Raises:
            StoreUnavailable: neither of them; DeliveryPutOff.
        """
        row, envelopes = entry(delivery, received)
        try:
            if not again:
                self._pressure.check(("queue",))
            new = await self._intake.accept(row, envelopes, PATIENCE_SECONDS if again else HASTE_SECONDS)
        except (StoreUnavailable, DeliveryPutOff) as error:
            if again:
                raise
            await asyncio.to_thread(self._kept.keep, delivery)
            log.warning("delivery.kept", extra={"provider": delivery.provider, "delivery_id": received.delivery_id, "code": error.code})
            return "spooled"
        if received.event is None:
            return "ignored"
        return "accepted" if new else "repeated"

    def _hold(self, held: AsyncExitStack, number: int) -> None:
        """Count bytes until `held` ends. Raises DeliveryPutOff."""
        self._pressure.hold(number)
        held.callback(self._pressure.let_go, number)


async def _body(request: Request, room: Callable[[], Awaitable[None]], hold: Callable[[int], None]) -> bytes:
    """The raw body, read in bounded memory and time.

    Args:
        room: waits for a place for more than INLINE bytes.
        hold: is told of the bytes that came.

    Raises:
        DeliveryTooLarge, MalformedDelivery: too large, compressed, or sent too slowly; and what `room` and `hold` raise.
    """
    too_large = DeliveryTooLarge(f"the body is larger than {MAX_BODY // 1024 // 1024} MB")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedDelivery("a compressed body is not accepted")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise too_large
    parts: list[bytes] = []
    size, roomy = 0, False
    try:
        async with asyncio.timeout(BODY_SECONDS) as limit:
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise too_large
                hold(len(part))
                parts.append(part)
                if size > INLINE and not roomy:
                    await room()
                    roomy = True
                    limit.reschedule(asyncio.get_running_loop().time() + LARGE_SECONDS)
    except TimeoutError:
        raise MalformedDelivery(f"the body did not arrive within {LARGE_SECONDS if roomy else BODY_SECONDS:.0f} s") from None
    return b"".join(parts)


def problem(error: FixwrightError) -> JSONResponse:
    """An error as JSON: what, and what to do."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    content = {"error": error.code, "detail": clean(error.message, machine=True)}
    if error.hint:
        content["hint"] = clean(error.hint, machine=True)
    headers = {"Retry-After": "10"} if status == 503 else {}
    return JSONResponse(content, status, headers=headers)
