"""`Idempotency-Key`: a POST that is sent twice is done once, and answered the same way for a day."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.api.context import Api
from bot.api.errors import body_of
from pipeline.errors import FixwrightError, StaleWrite
from pipeline.store.engine import Database
from pipeline.store.repeated import Begun, Repeated
from pipeline.store.work import Work

M = TypeVar("M", bound=BaseModel)

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 255
"""Characters of a key."""


@dataclass(frozen=True)
class Once:
    """A request that may have a key, as a route sees it. `begun` None: it has none, and nothing is kept."""

    begun: Begun | None

    def keep(self, work: Work, status: int, answer: M) -> M:
        """Keep an answer in the transaction of what it tells of: whatever happens then, the same request does nothing again.

        Raises:
            StaleWrite: the same request was begun anew meanwhile; this one may not be committed.
        """
        if self.begun is not None:
            work.repeated.keep(self.begun, status, answer.model_dump_json().encode())
        return answer


def _once(
    request: Request,
    chosen: Annotated[  # noqa: ARG001  for the document: `Idempotent` has read it
        str | None,
        Header(
            alias=HEADER,
            max_length=LONGEST,
            description="Not in the original contract: a word of yours. It is done once with it, and answered alike for a day.",
        ),
    ] = None,
) -> Once:
    found = getattr(request.state, "once", None)
    return found if isinstance(found, Once) else Once(None)


Repeatable = Annotated[Once, Depends(_once)]
"""For a route whose answer is kept with what it did."""


class Idempotent:
    """Wraps the routes. Only an answer of success is kept: what was refused may be asked again with the same key."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; its body is there as a whole (`bot.api.edge`)."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        chosen = headers.get(HEADER, "") if scope.get("method") == "POST" and scope.get("path", "").startswith("/api/") else ""
        principal = await asyncio.to_thread(self._api.who, headers) if chosen else None
        if principal is None:  # who shows no key is refused by the route
            await self._app(scope, receive, send)
            return
        if len(chosen) > LONGEST:
            said = [{"loc": ["header", HEADER], "msg": f"a key has at most {LONGEST} characters", "type": "value_error"}]
            await JSONResponse({"detail": said}, 422)(scope, receive, send)
            return
        body = (await receive()).get("body", b"")
        request = b"\0".join([scope["path"].encode(), scope.get("query_string", b""), body])
        key = hashlib.sha256(chosen.encode("utf-8", "surrogatepass")).hexdigest()
        parts = scope["path"].split("/")
        repository = parts[4] if len(parts) > 4 and parts[3] == "repositories" else ""
        try:
            found = await asyncio.to_thread(_begin, self._api.database, principal.id, key, hashlib.sha256(request).hexdigest(), repository)
        except FixwrightError as error:
            await JSONResponse(body_of(error.code, "the database does not answer; try again"), 503)(scope, receive, send)
            return
        if isinstance(found, Repeated):
            said_before = {"Idempotent-Replayed": "true"}
            await Response(found.body, found.status, said_before, "application/json")(scope, receive, send)
            return
        if not isinstance(found, Begun):
            await _refusal(found)(scope, receive, send)
            return
        scope.setdefault("state", {})["once"] = Once(found)
        await self._answer(scope, body, receive, send, found)

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send, begun: Begun) -> None:
        given, status, pieces = False, 0, list[bytes]()

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def kept(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
                if not message.get("more_body"):
                    await asyncio.to_thread(_end, self._api.database, begun, status, b"".join(pieces))
            await send(message)

        try:
            await self._app(scope, again, kept)
        except BaseException:
            await asyncio.to_thread(_end, self._api.database, begun, 500, b"")
            raise


def _begin(database: Database, caller: str, key: str, request: str, repository: str) -> Begun | Literal["busy", "other", "lost"] | Repeated:
    with database.work() as work:
        return work.repeated.begin(caller, key, request, repository)


def _end(database: Database, begun: Begun, status: int, body: bytes) -> None:
    with database.work() as work:
        if 200 <= status < 300:
            with suppress(StaleWrite):  # a route that keeps nothing by itself did nothing that may not be done twice
                work.repeated.keep(begun, status, body)
        else:
            work.repeated.let_go(begun)


def _refusal(found: Literal["busy", "other", "lost"]) -> JSONResponse:
    if found == "lost":
        message = "this was done before, and its answer cannot be read any more: see what there is, and use a new Idempotency-Key"
        return JSONResponse(body_of("ANSWER_LOST", message), 409)
    if found == "busy":
        message = "a request with this Idempotency-Key is being answered; ask again in a moment"
        return JSONResponse(body_of("REQUEST_IN_FLIGHT", message), 409, {"Retry-After": "1"})
    said = [{"loc": ["header", HEADER], "msg": "this key was used for another request", "type": "value_error"}]
    return JSONResponse({"detail": said}, 422)
