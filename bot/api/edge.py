"""What every answer of the API has, whatever route it is: an id, a bound on what is sent to us, and a mark by which it is known again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.access import credential
from bot.api.errors import body_of
from bot.api.ratelimit import Left, RateLimits

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body. The longest that is documented has a few thousand."""

BODY_SECONDS: Final = 30.0
"""In which a body must be there."""

REQUEST_ID: Final = "X-Request-Id"

COUNTED: Final = ("/api/", "/oauth/", "/device")
"""Paths whose calls are counted."""


log = logging.getLogger(__name__)


class Edge:
    """Wraps the routes: `X-Request-Id` on every answer, 413 and 408 for bodies that are too large or too slow.

    The body is read as a whole before a route begins: none of them holds a thread or a connection for somebody who sends slowly.
    """

    def __init__(self, app: ASGIApp, rates: RateLimits) -> None:
        self._app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = await self._left(scope) if scope["path"].startswith(COUNTED) else None
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if left is not None:
                    left.told(headers)
                headers.setdefault("Cache-Control", "no-store" if scope["method"] != "GET" else "private, no-cache")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        if left is not None and not left.allowed:
            wait = max(1, left.reset - int(time.time()))
            message = f"more than {left.limit} calls in a minute; go on in {wait} s"
            await _answer(marked, 429, "RATE_LIMIT_EXCEEDED", message, {"retry-after": str(wait)})
            return
        try:
            body = await asyncio.wait_for(_read(scope, receive), BODY_SECONDS)
        except TooLarge:
            await _answer(marked, 413, "BODY_TOO_LARGE", f"a body has at most {MAX_BODY} bytes")
            return
        except TimeoutError:
            await _answer(marked, 408, "BODY_TOO_SLOW", f"the body was not there within {BODY_SECONDS:.0f} s")
            return
        if body is None:  # whoever asked is gone
            return
        given = False

        async def once() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        try:
            await self._app(scope, once, marked)
        except Exception:  # the boundary of a request (docs/decisions/0003-boundaries.md); `bot.api.errors` has answered it
            log.exception("api.fault", extra={"path": scope["path"], "request_id": request_id})

    async def _left(self, scope: Scope) -> Left:
        client = scope.get("client")
        return await self._rates.take(credential(Headers(scope=scope)), client[0] if client else "")


class TooLarge(Exception):
    """More than MAX_BODY."""


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    length = Headers(scope=scope).get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise TooLarge
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(pieces)


async def _answer(send: Send, status: int, code: str, message: str, more: Mapping[str, str] | None = None) -> None:
    body = json.dumps(body_of(code, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    headers += [(name.encode(), value.encode()) for name, value in (more or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


HELD: Final = 1024 * 1024
"""Bytes of an answer that are held to make its `ETag`. A longer one (results with 100,000 findings) goes out piece by piece, without."""


class Tagged:
    """Wraps the routes, inside of what packs answers: `ETag` and 304 on reading, the same however an answer is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        conditional = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(("/docs", "/redoc"))
        await self._app(scope, receive, _Tagging(send, Headers(scope=scope).get("if-none-match", "")) if conditional else send)


class _Tagging:
    """Sends an answer with its `ETag`; 304 without it when the caller has the same (RFC 9110, 13.1.2)."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = [tag.strip().removeprefix("W/") for tag in known.split(",")] if known else []
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._size = 0

    async def __call__(self, message: Message) -> None:
        """See `starlette.types.Send`."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body.append(message.get("body", b""))
        self._size += len(self._body[-1])
        if message.get("more_body"):
            if self._size > HELD:
                start, self._start = self._start, None
                await self._send(start)
                await self._send({"type": "http.response.body", "body": b"".join(self._body), "more_body": True})
                self._body.clear()
            return
        body, start = b"".join(self._body), self._start
        if start["status"] == 200:
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers = MutableHeaders(scope=start)
            headers["ETag"] = f"W/{tag}"
            if tag in self._known or "*" in self._known:
                start["status"], body = 304, b""
                del headers["content-length"], headers["content-type"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
