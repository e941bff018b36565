"""The web application: webhooks, the public API, setup, health and metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot import __version__
from bot.access import key_secret
from bot.api.routes import make_api
from bot.kept import Kept
from bot.metrics import Metrics
from bot.pages.device import DevicePage
from bot.pages.setup import SetupPages
from bot.pressure import LOOK_SECONDS, Pressure
from bot.pulse import Pulse, tell
from bot.settings import variable_of
from bot.webhooks import Webhooks
from bot.wiring import App
from pipeline.errors import FixwrightError, QueueUnavailable, StoreError
from pipeline.lacking import missing
from pipeline.leaks import clean
from pipeline.ports import Provider
from pipeline.store.intake import Intake
from pipeline.store.processes import HEARTBEAT_SECONDS

log = logging.getLogger(__name__)

READY_SECONDS = 1.0
"""For which a look at our own readiness counts, however often it is asked for."""
API_THREADS = 12
"""Requests of the API that are worked at once: less than there are connections to the database."""
PAGE_THREADS = 4
"""Pages that are made at once; the threads that deliveries wait for are others."""


def make_asgi(app: App) -> Starlette:
    """The ASGI application of a wired process."""
    intake = Intake.open(app.settings.database_url, on_commit=app.jobs.wake, vault=app.database.vault)
    spool_bytes = int(app.settings.spool_mb * 1e6)
    hosts = (app.plugins.providers, app.places.configurations)
    kept = Kept(app.settings.spool_dir, spool_bytes, *hosts, intake, app.pressure, app.database.vault)
    webhooks = Webhooks(app.plugins.providers, app.places.configurations, intake, app.pressure, kept)
    # Nothing that a person looks at may wait for deliveries, or they for it; and whether we are ready is told whatever pages wait for.
    own, pages = ThreadPoolExecutor(3, "own"), ThreadPoolExecutor(PAGE_THREADS, "pages")
    ready = Readiness(app, own)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = API_THREADS
        intake.start()
        kept.start()
        looking = asyncio.create_task(look(app.pressure, own))
        pulse = asyncio.create_task(live(Pulse(app.database, "web", app.settings.state_dir), app, own))
        try:
            yield
        finally:
            pulse.cancel()
            looking.cancel()
            await asyncio.to_thread(kept.stop)
            await asyncio.to_thread(intake.stop)
            for threads in (own, pages):
                threads.shutdown(wait=False, cancel_futures=True)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "version": __version__})

    async def readyz(_: Request) -> Response:
        checks, able = await ready.now()
        return JSONResponse({"status": "ready" if able else "not ready", "checks": checks}, 200 if able else 503)

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", Metrics(app, pages).show)]
    routes += webhooks.routes()
    routes += SetupPages(app.settings, app.plugins.providers, app.configurations, app.memory, pages).routes()
    routes += DevicePage(app.database, key_secret(app.settings), pages).routes()
    whole = Starlette(routes=routes, lifespan=lifespan)
    # Not mounted: a mount does not match every path, and would answer the others in its own words.
    whole.router.default = make_api(app)
    return whole


async def live(pulse: Pulse, app: App, threads: Executor, seconds: float = HEARTBEAT_SECONDS) -> None:
    """Say every few `seconds` that this process lives, and tell what it counted."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.run_in_executor(threads, pulse.beat)
            await loop.run_in_executor(threads, tell, app.database)
        except Exception:  # the boundary of the heartbeat (docs/decisions/0003-boundaries.md): without it the process is taken for dead
            log.exception("pulse.fault")
        await asyncio.sleep(seconds)


async def look(pressure: Pressure, threads: Executor, seconds: float = LOOK_SECONDS) -> None:
    """See every few `seconds` whether too much comes."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.run_in_executor(threads, pressure.look)
        except FixwrightError as error:
            log.warning("pressure.not_looked", extra={"code": error.code})
        await asyncio.sleep(seconds)


class Readiness:
    """What `readiness` found a moment ago: whoever asks may not keep the database busy with it."""

    def __init__(self, app: App, threads: Executor, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._threads, self._clock = app, threads, clock
        self._looked: tuple[float, tuple[dict[str, str], bool]] | None = None
        self._one = asyncio.Lock()

    async def now(self) -> tuple[dict[str, str], bool]:
        """See `readiness`; at most READY_SECONDS old, and one look at a time."""
        async with self._one:
            if self._looked is None or self._clock() - self._looked[0] >= READY_SECONDS:
                found = await asyncio.get_running_loop().run_in_executor(self._threads, readiness, self._app)
                self._looked = (self._clock(), found)
            return self._looked[1]


def readiness(app: App) -> tuple[dict[str, str], bool]:
    """What is needed to take deliveries, each "ok" or what is wrong, and whether all that is needed is there.

    A queue that is down does not make us unready: deliveries are kept in the outbox. Without any provider's secret nothing can be
    received.
    """
    checks = {"database": "ok", "queue": "ok", "intake": "ok"}
    ready = True
    if reasons := app.pressure.reasons:
        checks["intake"], ready = f"refuses deliveries: {'; '.join(reasons.values())}", False
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
    return {name: clean(said, machine=True) for name, said in checks.items()}, ready and able


def _receives(app: App, name: str, provider: Provider) -> str:
    """Whether deliveries of a provider can be verified, for one of its instances at least: "ok", or what is missing."""
    try:
        instances = app.configurations.instances(name)
        if any(not missing(provider.settings, app.configurations.of(name, instance), "receive") for instance in instances):
            return "ok"
    except StoreError as error:
        return error.message
    setup = f"{provider.setup_command}, or " if provider.setup_command else ""
    return f"needs {setup}{variable_of(provider, missing(provider.settings, {}, 'receive')[0])}"
