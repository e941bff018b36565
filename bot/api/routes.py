"""The public API as one ASGI application: routes, their OpenAPI document, and the pages that show it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bot import __version__
from bot.access import key_secret
from bot.api import oauth
from bot.api.context import Api
from bot.api.edge import Edge, Tagged
from bot.api.errors import add_handlers
from bot.api.idempotency import Idempotent
from bot.api.ratelimit import RateLimits, SharedCounts
from bot.api.v1 import events, findings, fixes, keys, me, metrics, quotas, repositories, scans
from bot.oidc import Issuer
from bot.wiring import App

ASSETS: Final = "/docs/assets"

V1: Final = (
    me.router,
    repositories.router,
    scans.router,
    findings.router,
    events.router,
    quotas.router,
    keys.router,
    fixes.router,
    metrics.router,
)
"""Every resource."""

_ABOUT: Final = """\
REST API for automation around the repositories, scans, findings and fixes of one organization.

Send an API key as `Authorization: Bearer fxw_live_...` or `X-API-Key`; make one with `fixwright keys create --name NAME`.

Typical flow: list repositories, start a scan, poll its progress, read its results, review findings, create a fix, poll its progress, and
open its pull request.
"""


def make_api(app: App) -> ASGIApp:
    """The application for everything that no other part of the web process answers.

    Raises:
        NotConfigured: there is no key of this installation.
    """
    api = FastAPI(
        title="Fixwright",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation,
        # The document is of this server, wherever it is mounted.
        root_path_in_servers=False,
        redirect_slashes=False,
    )
    plans = app.settings.plans
    settings = app.settings
    issuer = Issuer(settings.oidc_issuer, settings.oidc_audience, settings.oidc_claim) if settings.oidc_issuer else None
    rates = RateLimits(plans.of("").calls_per_minute, SharedCounts(app.jobs.url))
    shared = Api(app, key_secret(settings), plans, rates, issuer)
    api.state.api = shared
    # Each by itself: FastAPI works out the routes of a router within a router at once, those of one alone when the first request comes.
    for router in V1:
        api.include_router(router, prefix="/api/v1")
    api.include_router(oauth.router)
    _pages(api)
    add_handlers(api)
    wrapped: ASGIApp = Idempotent(api, shared)
    if origins := app.settings.cors_origins:
        exposed = ["ETag", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id"]
        headers = ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-API-Key"]
        methods = ["GET", "POST", "PATCH"]
        wrapped = CORSMiddleware(wrapped, allow_origins=origins, allow_methods=methods, allow_headers=headers, expose_headers=exposed)
    return Edge(GZipMiddleware(Tagged(wrapped), minimum_size=1024), shared.rates)


def _operation(route: Any) -> str:  # FastAPI's own type is generic in a way that no caller needs
    return str(route.name)


def _pages(api: FastAPI) -> None:
    """Swagger UI and ReDoc, with everything that they load from here: no address of others is asked for anything."""
    folder = files("fastapi_offline") / "static"
    api.router.routes.append(Mount(ASSETS, StaticFiles(directory=str(folder)), name="assets"))
    icon = f"{ASSETS}/favicon.png"

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Fixwright API",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=icon,
        )

    @api.get("/redoc", include_in_schema=False)
    def redoc() -> HTMLResponse:
        return get_redoc_html(
            openapi_url="/openapi.json",
            title="Fixwright API",
            redoc_js_url=f"{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=icon,
            with_google_fonts=False,
        )
