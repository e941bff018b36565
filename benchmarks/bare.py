"""The floor of the intake benchmark: an endpoint that reads a body, verifies its signature, and forgets it."""

from __future__ import annotations

import hashlib
import hmac
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.intake import SECRET


async def receive(request: Request) -> Response:
    """202 for a good signature."""
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    good = hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", ""))
    return JSONResponse({"status": "accepted"}, 202 if good else 401)


async def healthz(_: Request) -> Response:
    """Alive."""
    return JSONResponse({})


if __name__ == "__main__":
    routes = [Route("/", receive, methods=["POST"]), Route("/healthz", healthz)]
    uvicorn.run(Starlette(routes=routes), port=int(os.environ["PORT"]), log_level="error", access_log=False, http="httptools")
