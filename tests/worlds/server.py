"""A double as a server: an ASGI application under uvicorn, in a thread or in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import uvicorn

from tests.worlds import faults
from tests.worlds.exchange import Request, Response
from tests.worlds.git_http import Gate, GitServer, altered, asks_for_files, cut, recognize
from tests.worlds.record import Asked, Record

LARGEST_BODY = 50_000_000
"""Bytes of a request that the double takes."""

Scope = Any
Receive = Any
Send = Any


class Host(Protocol):
    """What the server asks of a double."""

    record: Record
    faults: faults.Faults
    name: str
    """The `Server` header."""
    root: str
    """The path below which the host lives: empty, or `/gitlab`."""

    def handle(self, request: Request) -> Response:
        """Answer a request of the API."""

    def seconds(self) -> float:
        """Now by the world's clock."""


class Application:
    """ASGI: git, then the API; faults before either."""

    def __init__(self, host: Host, gate: Gate) -> None:
        self._host = host
        self._git = GitServer(gate)
        self.page: Callable[[Request], Response | None] | None = None
        """What answers what is a page for a person, if anything."""
        self.control: Callable[[str, bytes], Response] | None = None
        """What answers below `/_world/`, if anything."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode("ascii") if scope.get("raw_path") else scope["path"]
        if self.control is not None and path.startswith("/_world/"):
            await self._send(send, await asyncio.to_thread(self.control, path, await _body(receive)), whole=True)
            return
        action = self._host.faults.take(scope["method"], path)
        if isinstance(action, faults.Delay):
            await asyncio.sleep(action.seconds)
        git = recognize(path.removeprefix(self._host.root), scope.get("query_string", b""))
        if git is not None and not isinstance(action, faults.Status | faults.Abort):
            await self._git.serve(git, scope, *altered(action, receive, send))
            return
        try:
            body = await _body(receive)
        except ConnectionResetError:
            return  # whoever asked is gone before all was said: it asked nothing
        request = Request(scope["method"], path, scope.get("query_string", b"").decode(), _headers(scope), body)
        if action is None and asks_for_files(request.method, path.removeprefix(self._host.root)):
            self._note(request, 404)
            await self._send(send, Response(404, b"Not Found", {"content-type": "text/plain"}), whole=True)
            return
        page = await asyncio.to_thread(self.page, request) if self.page is not None and action is None else None
        if page is not None:
            await self._send(send, page, whole=True)
            return
        await self._answer(request, action, send)

    async def _answer(self, request: Request, action: faults.Action | None, send: Send) -> None:
        instead = isinstance(action, faults.Status | faults.Abort) and not action.after_work
        response = Response(0, b"") if instead else await asyncio.to_thread(self._host.handle, request)
        if isinstance(action, faults.Abort):
            self._note(request, 0) if instead else None
            cut(send)
            return
        if isinstance(action, faults.Status):
            self._note(request, action.code) if instead else None
            response = Response(action.code, action.body, {"content-type": "application/json; charset=utf-8"} | dict(action.headers))
        await self._send(send, response, whole=not isinstance(action, faults.Truncate))

    def _note(self, request: Request, status: int) -> None:
        self._host.record.asked.append(Asked(request.method, request.path, status, "", self._host.seconds(), request.query))

    async def _send(self, send: Send, response: Response, *, whole: bool) -> None:
        headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        if response.status not in (204, 304):
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": [*headers, (b"server", self._host.name.encode())]})
        if whole:
            await send({"type": "http.response.body", "body": response.body})
            return
        await send({"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True})
        cut(send)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(receive: Receive) -> bytes:
    parts, more, size = [], True, 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False) and size < LARGEST_BODY
    return b"".join(parts)


class Server:
    """uvicorn in a thread of this process, on a free port of the loopback unless told otherwise."""

    def __init__(self, host: Host, gate: Gate, address: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted inherits it. asyncio sets it only on sockets made with IPPROTO_TCP; without it every answer waits 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.bind((address, port))
        self.url = f"http://{address}:{self._socket.getsockname()[1]}"
        self.application = Application(host, gate)
        quiet: dict[str, Any] = {"log_level": "critical", "server_header": False}
        config = uvicorn.Config(self.application, lifespan="off", loop="asyncio", http="h11", ws="none", **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="world", daemon=True)

    def start(self) -> None:
        """Serve; returns when connections are accepted. Raises TimeoutError."""
        self._thread.start()
        until = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise TimeoutError("the double did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving. Open connections get two seconds."""
        self._server.force_exit = False
        self._server.should_exit = True
        self._thread.join(2)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(10)
        self._socket.close()

    def join(self) -> None:
        """Wait until it is stopped from elsewhere."""
        self._thread.join()
