"""Outgoing requests reach the hosts that they may reach, and no answer is larger or slower than allowed."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from pipeline.sandbox.net import AddressRefused, BodyTooLarge, TookTooLong, async_client, client, is_public

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """An HTTP server on loopback; yields `127.0.0.1:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def plain(body: bytes, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            return

    return answer


def get(url: str, *, allow: tuple[str, ...] = (), asynchronous: bool = False, **options: float) -> httpx.Response:
    """One request with either client."""
    total, max_body = options.get("total", 30.0), int(options.get("max_body", 10_000_000))
    if not asynchronous:
        with client(allow=allow, total=total, max_body=max_body) as http:
            return http.get(url)

    async def fetch() -> httpx.Response:
        async with async_client(allow=allow, total=total, max_body=max_body) as http:
            return await http.get(url)

    return asyncio.run(fetch())


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::",
        "not an address",
        "",
    ],
)
def test_an_address_that_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["140.82.121.4", "1.1.1.1", "2606:4700::1111", "64:ff9b::8c52:7904", "::ffff:1.1.1.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@both
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:PORT/",
        "https://localhost:PORT/",
        "https://[::1]:PORT/",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001:PORT/",
        "https://2130706433:PORT/",
        "http://127.0.0.1:PORT/",
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
    ],
)
def test_nothing_inside_is_reached(url: str, asynchronous: bool) -> None:
    asked = []
    with answering(lambda handler: asked.append(handler.path)) as host, pytest.raises((httpx.TransportError, httpx.UnsupportedProtocol)):
        get(url.replace("PORT", host.partition(":")[2]), asynchronous=asynchronous)
    assert asked == []


@both
@pytest.mark.parametrize("allow", ["127.0.0.1", "{host}", "http://{host}/api/v3", "localhost,127.0.0.1"])
def test_a_host_that_the_operator_configured_is_reached(allow: str, asynchronous: bool) -> None:
    with answering(plain(b"hello")) as host:
        answer = get(f"http://{host}/x", allow=tuple(allow.format(host=host).split(",")), asynchronous=asynchronous)
    assert (answer.status_code, answer.content) == (200, b"hello")


def test_another_port_of_a_configured_host_is_not_reached() -> None:
    with answering(plain(b"hello")) as host, pytest.raises(AddressRefused):
        get(f"http://{host}/", allow=("127.0.0.1:1",))


@both
def test_the_host_s_own_name_is_sent(asynchronous: bool) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Host"])
        plain(b"")(handler)

    with answering(answer) as host:
        port = host.partition(":")[2]
        get(f"http://localhost:{port}/", allow=("localhost",), asynchronous=asynchronous)
    assert seen == [f"localhost:{port}"]


def test_a_name_that_answers_otherwise_the_second_time_does_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the first answer is public, every later one is loopback. The system's resolver is what is replaced."""
    answers = iter(["198.51.100.7"])
    asked: list[str] = []

    def lookup(host: str, *rest: object, **more: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), 443))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(AddressRefused):  # a documentation address is not public either: nothing is connected to
        get("https://rebind.example/")
    with pytest.raises(AddressRefused):
        get("https://rebind.example/")
    assert asked == ["rebind.example", "rebind.example"]


@both
def test_a_redirect_is_answered_to_the_caller_and_not_followed(asynchronous: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://169.254.169.254/")
        handler.end_headers()

    with answering(answer) as host:
        assert get(f"http://{host}/", allow=(host,), asynchronous=asynchronous).status_code == 302


@both
@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_that_is_too_large_is_refused(declared: bool, asynchronous: bool) -> None:
    headers = {"Content_Length": "5000"} if declared else {}
    with answering(plain(b"x" * 5000, **headers)) as host, pytest.raises(BodyTooLarge):
        get(f"http://{host}/", allow=(host,), asynchronous=asynchronous, max_body=4999)


@both
def test_a_packed_answer_is_unpacked_within_the_limit(asynchronous: bool) -> None:
    packed = gzip.compress(b"y" * 5000)
    with answering(plain(packed, Content_Encoding="gzip", Content_Length=str(len(packed)))) as host:
        answer = get(f"http://{host}/", allow=(host,), asynchronous=asynchronous, max_body=5000)
        assert answer.content == b"y" * 5000
        assert "content-encoding" not in answer.headers
        with pytest.raises(BodyTooLarge):
            get(f"http://{host}/", allow=(host,), asynchronous=asynchronous, max_body=4999)


@both
def test_a_small_answer_that_unpacks_to_a_bomb_is_refused_without_unpacking_it(asynchronous: bool) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with answering(plain(bomb, Content_Encoding="gzip")) as host, pytest.raises(BodyTooLarge):
        get(f"http://{host}/", allow=(host,), asynchronous=asynchronous)


@both
def test_a_packing_that_was_not_asked_for_is_refused(asynchronous: bool) -> None:
    with answering(plain(b"x", Content_Encoding="br")) as host, pytest.raises(httpx.DecodingError):
        get(f"http://{host}/", allow=(host,), asynchronous=asynchronous)


@both
def test_an_answer_that_trickles_is_ended(asynchronous: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    started = time.monotonic()
    with answering(answer) as host, pytest.raises(TookTooLong):
        get(f"http://{host}/", allow=(host,), asynchronous=asynchronous, total=0.5)
    assert time.monotonic() - started < 10


def test_a_head_that_trickles_is_ended() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(100):
                handler.wfile.write(b"X-%d: x\r\n" % number)
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    with answering(answer) as host, pytest.raises(TookTooLong):
        get(f"http://{host}/", allow=(host,), asynchronous=True, total=0.5)


def test_an_unknown_name_is_a_failed_connection() -> None:
    with pytest.raises(httpx.ConnectError):
        get("https://no-such-host.invalid/")


def test_proxies_of_the_environment_do_not_lead_around_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(plain(b"from the proxy")) as host:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
        monkeypatch.setenv("ALL_PROXY", f"http://{host}")
        with pytest.raises(AddressRefused):
            get("https://127.0.0.1/")
