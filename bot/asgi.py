"""The web application: webhooks, setup, health and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot import __version__
from bot.metrics import Metrics
from bot.pages.setup import SetupPages
from bot.pulse import Pulse, tell
from bot.settings import variable_of
from bot.webhooks import Webhooks
from bot.wiring import App
from pipeline.errors import QueueUnavailable, StoreError
from pipeline.ports import Provider
from pipeline.store.intake import Intake
from pipeline.store.processes import HEARTBEAT_SECONDS

log = logging.getLogger(__name__)


def make_asgi(app: App) -> Starlette:
    """The ASGI application of a wired process."""
    intake = Intake.open(app.settings.database_url, on_commit=app.jobs.wake)
    webhooks = Webhooks(app.plugins.providers, app.places.configurations, intake)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        intake.start()
        pulse = asyncio.create_task(_live(Pulse(app.database, "web"), app))
        try:
            yield
        finally:
            pulse.cancel()
            await asyncio.to_thread(intake.stop)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "version": __version__})

    async def readyz(_: Request) -> Response:
        checks, ready = await asyncio.to_thread(readiness, app)
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", Metrics(app).show), *webhooks.routes()]
    routes += SetupPages(app.settings, app.plugins.providers, app.configurations, app.memory).routes()
    return Starlette(routes=routes, lifespan=lifespan)


async def _live(pulse: Pulse, app: App) -> None:
    """Say every few seconds that this process lives, and tell what it counted."""
    while True:
        await asyncio.to_thread(pulse.beat)
        await asyncio.to_thread(tell, app.database)
        await asyncio.sleep(HEARTBEAT_SECONDS)


def readiness(app: App) -> tuple[dict[str, str], bool]:
    """What is needed to take deliveries, each "ok" or what is wrong, and whether all that is needed is there.

    A queue that is down does not make us unready: deliveries are kept in the outbox. Without any provider's secret nothing can be
    received.
    """
    checks = {"database": "ok", "queue": "ok"}
    ready = True
    try:
        app.database.healthy()
    except StoreError as error:
        checks["database"], ready = error.message, False
    try:
        app.jobs.wake()
    except QueueUnavailable as error:
        checks["queue"] = f"{error.message}; deliveries are kept"
    able = False
    for name, provider in app.plugins.providers.items():
        checks[f"provider {name}"] = said = _receives(app, name, provider)
        able = able or said == "ok"
    return checks, ready and able


def _receives(app: App, name: str, provider: Provider) -> str:
    """Whether deliveries of a provider can be verified, for one of its instances at least: "ok", or what is missing."""
    needed = [setting.name for setting in provider.settings if setting.needed == "receive"]
    try:
        instances = app.configurations.instances(name)
        if any(all(app.configurations.of(name, instance).get(setting) for setting in needed) for instance in instances):
            return "ok"
    except StoreError as error:
        return error.message
    setup = f"fixwright {name} setup-link, or " if provider.setup else ""
    return f"needs {setup}{variable_of(provider, needed[0])}"
