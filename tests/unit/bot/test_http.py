"""The head of a request is bounded in size and in time, and only the head."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.http import MAX_HEAD, MAX_HEADERS, BoundedProtocol


class Hasty(BoundedProtocol):
    head_seconds = 0.3


async def _size(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/", _size, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def _answers(port: int, *pieces: bytes) -> str:
    """What comes back until the connection ends."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65_536):
                said += more
    return said.decode()


def _head(body: bytes, *more: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more, "", ""]).encode()


def test_large_bodies_one_after_the_other_on_a_connection_are_no_heads(port: int) -> None:
    body = b"x" * 1_000_000
    said = _answers(port, *[_head(body) + body] * 2, _head(body, "Connection: close") + body)
    assert said.count("HTTP/1.1 200 ") == 3, said
    assert said.count("\r\n\r\n1000000") == 3


def test_as_many_headers_as_may_be_are_taken(port: int) -> None:
    assert " 200 " in _answers(port, _head(b"", "Connection: close", *(f"X-{n}: {n}" for n in range(MAX_HEADERS - 3))))


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([_head(b"", *(f"X-{n}: {n}" for n in range(MAX_HEADERS)))], id="too many headers"),
        pytest.param([_head(b"", f"X: {'y' * MAX_HEAD}")], id="one long header"),
        pytest.param([b"POST / HTTP/1.1\r\nX: ", *[b"y" * 65_536] * 40], id="a header without end"),
        pytest.param([b"POST /", *[b"y" * 65_536] * 40], id="an address without end"),
        pytest.param([b"POST / HTTP/1.1\r\n", *[b"X: y\r\n" * 1_000] * 100], id="headers without end"),
    ],
)
def test_a_head_that_is_too_long_is_refused(port: int, pieces: list[bytes]) -> None:
    said = _answers(port, *pieces)
    assert said.startswith("HTTP/1.1 400 ") or not said, said
    assert " 200 " in _answers(port, _head(b"", "Connection: close")), "others are served"


@pytest.mark.parametrize("beginning", [b"", b"POST / HTTP/1.1\r\nX-Slow: y", _head(b"1") + b"1POST / HTTP/1.1\r\nHo"])
def test_who_does_not_send_a_head_is_not_waited_for(port: int, beginning: bytes) -> None:
    assert _answers(port, beginning).rpartition("HTTP/1.1 ")[2].startswith("408 ")


def test_a_body_may_take_longer_than_a_head(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(_head(b"12"))
        for byte in (b"1", b"2"):
            threading.Event().wait(0.4)
            connection.sendall(byte)
        assert b" 200 " in connection.recv(65_536)
