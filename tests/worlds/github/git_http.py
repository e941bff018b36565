"""git over HTTP: `git http-backend` behind Basic authentication, streamed both ways.

Source: git-http-backend(1); GitHub, "Authenticating as a GitHub App installation" (user name x-access-token).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from tests.worlds.github import faults
from tests.worlds.github.bare import ENVIRONMENT
from tests.worlds.github.record import Asked, Effect
from tests.worlds.github.tokens import BadCredentials, Caller

if TYPE_CHECKING:
    from tests.worlds.github.core import Github
    from tests.worlds.github.model import Repository

Scope = Any
Receive = Any
Send = Any
_PATH = re.compile(r"/(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class _Request:
    owner: str
    name: str
    service: str
    writes: bool


def recognize(path: str, query: bytes) -> _Request | None:
    """The git request behind a path, or nothing."""
    found = _PATH.fullmatch(unquote(path))
    if found is None:
        return None
    asked = parse_qs(query.decode()).get("service", [""])[0]
    return _Request(found["owner"], found["name"], found["service"], "git-receive-pack" in (found["service"], asked))


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
    """Serves the bare repositories of the world."""

    def __init__(self, github: Github) -> None:
        self._github = github

    def _admit(self, request: _Request, authorization: str) -> tuple[int, str, Repository | None, Caller]:
        """(status, text, repository, caller); 200 lets it in."""
        nobody = Caller("anonymous")
        with self._github.state.lock:
            repository = self._github.state.repository(request.owner, request.name)
            if not authorization:
                public = repository is not None and not repository.private and not request.writes
                return (200, "", repository, nobody) if public else (401, "No anonymous write access.\n", None, nobody)
            if not authorization.lower().startswith("basic "):
                return 401, "Basic authentication only.\n", None, nobody
            try:
                caller = self._github.tokens.recognize(authorization)
            except BadCredentials:
                return 401, "Invalid username or token.\n", None, nobody
            if repository is None or not caller.sees(repository):
                return 404, "Repository not found.\n", None, caller
            if not caller.may(repository, ("contents:write" if request.writes else "contents:read",)):
                return 403, f"Permission to {repository.full_name}.git denied to {caller.login}.\n", None, caller
            return 200, "", repository, caller

    async def serve(self, request: _Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one git request."""
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status, text, repository, caller = await asyncio.to_thread(self._admit, request, headers.get("authorization", ""))
        if repository is None:
            self._asked(scope, status, caller)
            challenge = [(b"www-authenticate", b'Basic realm="GitHub"')] if status == 401 else []
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain"), *challenge]})
            await send({"type": "http.response.body", "body": text.encode()})
            return
        await self._run(request, repository, scope, headers, receive, send)
        self._asked(scope, 200, caller)
        if request.service == "git-receive-pack":
            await asyncio.to_thread(self._pushed, repository, caller, scope["path"])
        # Only now is the answer whole: who waits for `git push` finds the world changed.
        await send({"type": "http.response.body", "body": b""})

    def _asked(self, scope: Scope, status: int, caller: Caller) -> None:
        query, at = scope.get("query_string", b"").decode(), self._github.state.seconds()
        who = (caller.login or caller.kind, at, query, caller.rights, caller.repositories)
        self._github.record.asked.append(Asked(scope["method"], scope["path"], status, *who))

    def _pushed(self, repository: Repository, caller: Caller, path: str) -> None:
        with self._github.state.lock:
            actor = caller.account
            if actor is not None and repository.git.refs() != repository.refs:
                self._github.record.effects.append(Effect("POST", path, "git push", None, actor.login, self._github.state.seconds()))
                self._github.actions.look_at_refs(repository, actor)

    async def _run(
        self, request: _Request, repository: Repository, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(repository.git.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.git.path.name}/{request.service}",
            "QUERY_STRING": scope.get("query_string", b"").decode(),
            "REQUEST_METHOD": scope["method"],
            "CONTENT_TYPE": headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_USER": "x-access-token",  # lets http-backend receive packs
            "REMOTE_ADDR": "127.0.0.1",
            "HOME": os.devnull,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
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
