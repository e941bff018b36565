"""git over HTTP: `git http-backend` behind a gate of the host's, streamed both ways.

Source: git-http-backend(1).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from tests.worlds import faults
from tests.worlds.bare import ENVIRONMENT, BareRepository

Scope = Any
Receive = Any
Send = Any
_PATH = re.compile(r"/(?P<path>[^/]+(?:/[^/]+)*/[^/]+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_OLD = re.compile(r"/[^/]+(?:/[^/]+)+\.git/(?:HEAD|objects/.+)")
"""Files that git asks for when an answer was none of git's: it takes the server for one without a program (gitprotocol-http(5), "dumb")."""
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class GitRequest:
    """A request of git. `path` names the repository, without `.git`."""

    path: str
    service: str
    writes: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the gate says. `repository` None: refused with `status` and `text`."""

    status: int
    text: str
    repository: BareRepository | None
    actor: str
    visitor: Any = None
    """What the gate itself knows about the caller."""
    hidden: tuple[str, ...] = ()
    """Refs that this caller may not push."""


class Gate(Protocol):
    """The host's part: who may come in, and what follows from a push."""

    realm: str

    def admit(self, request: GitRequest, authorization: str) -> Admitted:
        """Let it in or refuse it."""

    def asked(self, method: str, path: str, query: str, status: int, admitted: Admitted) -> None:
        """Note one request."""

    def pushed(self, admitted: Admitted, path: str) -> None:
        """Look what a push changed."""


def recognize(path: str, query: bytes) -> GitRequest | None:
    """The git request behind a path, or nothing."""
    found = _PATH.fullmatch(unquote(path))
    if found is None:
        return None
    asked = parse_qs(query.decode()).get("service", [""])[0]
    return GitRequest(found["path"], found["service"], "git-receive-pack" in (found["service"], asked))


def asks_for_files(method: str, path: str) -> bool:
    """True for a request of git's old protocol, which neither host has served for years: it is not found."""
    return method == "GET" and _OLD.fullmatch(unquote(path)) is not None


def cut(send: Send) -> None:
    """Close the connection without a word.

    ASGI has no way to ask for it: uvicorn's `send` is a method of the exchange, which holds the transport.
    """
    send.__self__.transport.abort()
    send.__self__.disconnected = True


def altered(action: faults.Action | None, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Both directions of a git request, with what `Pack` and `Instead` order."""
    if isinstance(action, faults.Instead):
        return _Rewritten(receive, action.commit), send
    if isinstance(action, faults.Pack):
        return receive, _Stopped(send, action)
    return receive, send


class _Rewritten:
    """A request in which another commit is wanted."""

    def __init__(self, receive: Receive, commit: str) -> None:
        self._receive, self._commit = receive, commit

    async def __call__(self) -> Any:
        message, body = {"type": "http.request", "more_body": True}, b""
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await self._receive()
            body += message.get("body", b"")
        if message["type"] != "http.request":
            return message
        packed = body.startswith(b"\x1f\x8b")  # git compresses what is longer than a kilobyte
        plain = gzip.decompress(body) if packed else body
        plain = re.sub(rb"(?<=want )[0-9a-f]{40}", self._commit.encode(), plain)
        return {**message, "body": gzip.compress(plain) if packed else plain, "more_body": False}


class _Stopped:
    """An answer that ends, or falls silent, in the middle."""

    def __init__(self, send: Send, order: faults.Pack) -> None:
        self._send, self._left, self._order = send, order.after, order

    async def __call__(self, message: Any) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) <= self._left:
            self._left -= len(body)
            await self._send(message)
            return
        await self._send({**message, "body": body[: self._left], "more_body": True})
        await asyncio.sleep(self._order.seconds)
        cut(self._send)
        raise ConnectionAbortedError("as ordered")


class GitServer:
    """Serves the bare repositories of a world."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def serve(self, request: GitRequest, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one git request."""
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        admitted = await asyncio.to_thread(self._gate.admit, request, headers.get("authorization", ""))
        line = (scope["method"], scope["path"], scope.get("query_string", b"").decode())
        if admitted.repository is None:
            self._gate.asked(*line, admitted.status, admitted)
            challenge = [(b"www-authenticate", f'Basic realm="{self._gate.realm}"'.encode())] if admitted.status == 401 else []
            answer = {"status": admitted.status, "headers": [(b"content-type", b"text/plain"), *challenge]}
            await send({"type": "http.response.start", **answer})
            await send({"type": "http.response.body", "body": admitted.text.encode()})
            return
        await self._run(request.service, admitted, scope, headers, receive, send)
        self._gate.asked(*line, 200, admitted)
        if request.service == "git-receive-pack":
            await asyncio.to_thread(self._gate.pushed, admitted, scope["path"])
        # Only now is the answer whole: who waits for `git push` finds the world changed.
        await send({"type": "http.response.body", "body": b""})

    async def _run(self, service: str, admitted: Admitted, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        repository = admitted.repository
        assert repository is not None
        settings = [("safe.directory", "*"), *(("receive.hideRefs", ref) for ref in admitted.hidden)]
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(repository.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.path.name}/{service}",
            "QUERY_STRING": scope.get("query_string", b"").decode(),
            "REQUEST_METHOD": scope["method"],
            "CONTENT_TYPE": headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_USER": "somebody",  # lets http-backend receive packs
            "REMOTE_ADDR": "127.0.0.1",
            "HOME": os.devnull,
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if "content-length" in headers:
            environment["CONTENT_LENGTH"] = headers["content-length"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environment
        )
        feeding = asyncio.create_task(self._feed(process, receive))
        drained = False
        try:
            await self._drain(process, send)
            drained = True
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
            if not drained:  # killing one that ends by itself reaps it before asyncio does, which then warns
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            elif process.stdin is not None:
                process.stdin.close()
            await process.wait()

    async def _feed(self, process: asyncio.subprocess.Process, receive: Receive) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    break
                process.stdin.write(message.get("body", b""))
                await process.stdin.drain()
                more = message.get("more_body", False)
            process.stdin.close()

    async def _drain(self, process: asyncio.subprocess.Process, send: Send) -> None:
        assert process.stdout is not None
        head: list[tuple[bytes, bytes]] = []
        status = 200
        async for line in process.stdout:
            name, colon, value = line.strip().partition(b":")
            if not colon:
                break
            if name.lower() == b"status":
                status = int(value.split()[0])
            else:
                head.append((name.lower(), value.strip()))
        await send({"type": "http.response.start", "status": status, "headers": head})
        async for chunk in _chunks(process.stdout):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _chunks(stream: asyncio.StreamReader) -> Any:
    for chunk in iter(partial(stream.read, _CHUNK), None):
        content = await chunk
        if not content:
            return
        yield content
