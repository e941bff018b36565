"""Requests: what leaves, what comes back, and what one thread or process must not do to another."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from types import FrameType

import httpx
import pytest

from pipeline.errors import HostGarbage, HostUnavailable
from pipeline.sandbox.net import async_client
from pipeline.stopping import Stopping, stop
from providers.github.client import Answer, Client, close_line, path
from tests.unit.providers.github_wire import Wire

API = "https://api.github.com"


class Thing(Answer):
    id: int
    name: str = ""


def client(wire: Wire, api: str = API) -> Client:
    return Client(wire.open, api, f"{api}/graphql")


def answering(*replies: httpx.Response | Exception) -> Wire:
    left = list(replies)
    return Wire(lambda seen: left.pop(0))


def test_a_request_says_who_we_are_which_version_we_speak_and_carries_the_token() -> None:
    wire = answering(httpx.Response(200, json={"id": 1}))
    assert client(wire).get(path("repos", "o", "r"), Thing, token="ghs_x.y").id == 1
    seen = wire.seen[0]
    assert (seen.method, seen.path) == ("GET", "/repos/o/r")
    assert seen.headers["x-github-api-version"] == "2022-11-28"
    assert seen.headers["user-agent"] == "fixwright"
    assert seen.headers["accept"] == "application/vnd.github.v3+json"
    assert seen.headers["authorization"].endswith(" ghs_x.y")


def test_names_in_addresses_are_encoded_once() -> None:
    wire = answering(httpx.Response(200, json={"id": 1}))
    client(wire).get(path("repos", "o", "r", "git", "ref", "a/../{b}%2F?c#d é", x="1&2"), Thing, token="t")
    assert wire.seen[0].path == "/repos/o/r/git/ref/a%2F..%2F%7Bb%7D%252F%3Fc%23d%20%C3%A9"
    assert wire.seen[0].query == {"x": "1&2"}


def test_an_enterprise_servers_root_is_kept() -> None:
    wire = answering(httpx.Response(200, json={"id": 1}))
    client(wire, "https://ghe.example.org/api/v3").get(path("app"), Thing, jwt="j")
    assert wire.seen[0].path == "/api/v3/app"


def test_all_pages_are_read_also_when_an_object_is_around_the_list() -> None:
    wire = answering(
        httpx.Response(200, json={"total_count": 3, "things": [{"id": 1}, {"id": 2}]}, headers={"link": f'<{API}/x?page=2>; rel="next"'}),
        httpx.Response(200, json={"total_count": 3, "things": [{"id": 3}]}),
    )
    assert [thing.id for thing in client(wire).pages("/x", Thing, token="t", inside="things")] == [1, 2, 3]
    assert wire.seen[1].query == {"page": "2"}


def test_a_next_page_on_another_server_never_gets_the_token() -> None:
    wire = answering(httpx.Response(200, json=[], headers={"link": '<https://evil.example/x>; rel="next"'}))
    with pytest.raises(HostGarbage):
        client(wire).pages("/x", Thing, token="t")
    assert len(wire.seen) == 1


def test_an_endless_list_ends() -> None:
    page = httpx.Response(200, json=[{"id": n} for n in range(100)], headers={"link": f'<{API}/x>; rel="next"'})
    wire = Wire(lambda seen: page)
    assert len(client(wire).pages("/x", Thing, token="t")) == 3_000


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_renamed_repository_is_followed_with_the_same_method_and_body(status: int) -> None:
    wire = answering(httpx.Response(status, headers={"location": f"{API}/repositories/7/pulls"}), httpx.Response(201, json={"id": 5}))
    assert client(wire).send("POST", "/repos/old/name/pulls", {"title": "x"}, Thing, token="t").id == 5
    assert [(seen.method, seen.path, seen.body) for seen in wire.seen] == [
        ("POST", "/repos/old/name/pulls", {"title": "x"}),
        ("POST", "/repositories/7/pulls", {"title": "x"}),
    ]


@pytest.mark.parametrize("location", ["https://evil.example/", "http://api.github.com/x", "//evil.example/x"])
def test_a_redirect_to_another_server_is_not_followed(location: str) -> None:
    wire = answering(httpx.Response(302, headers={"location": location}))
    with pytest.raises(HostGarbage):
        client(wire).get("/x", Thing, token="t")
    assert len(wire.seen) == 1


def test_a_redirect_in_circles_ends() -> None:
    wire = Wire(lambda seen: httpx.Response(302, headers={"location": "/x"}))
    with pytest.raises(HostGarbage):
        client(wire).get("/x", Thing, token="t")
    assert len(wire.seen) <= 4


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, content=b"<html>", headers={"content-type": "text/html"}),
        httpx.Response(200, content=b"{", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"\xff", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"{}", headers={"content-type": "application/json; charset=nonsense"}),
        httpx.Response(200, content=b"[" * 100_000, headers={"content-type": "application/json"}),
        httpx.Response(200, content=b""),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"id": "one"}),
        httpx.Response(200, json={"id": None}),
        httpx.Response(203, json={"id": 1}),
        httpx.Response(200, json={"id": 1}, headers={"x-ratelimit-limit": "many", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"}),
    ],
    ids=lambda reply: repr(reply.content[:12]),
)
def test_an_answer_that_is_not_what_github_documents_is_garbage(reply: httpx.Response) -> None:
    wire = answering(reply)
    with pytest.raises(HostGarbage):
        client(wire).get("/x", Thing, token="t")


@pytest.mark.parametrize("body", [{"message": "x"}, None, "text", [1], [[{"id": 1}]]])
def test_a_list_that_is_none_is_garbage(body: object) -> None:
    with pytest.raises(HostGarbage):
        client(answering(httpx.Response(200, json=body))).pages("/x", Thing, token="t")


@pytest.mark.parametrize(
    "broken", [httpx.ConnectTimeout("t"), httpx.ReadError("r"), httpx.RemoteProtocolError("p"), httpx.ConnectError("c")]
)
def test_a_broken_connection_is_retryable_and_says_no_secret(broken: Exception) -> None:
    with pytest.raises(HostUnavailable) as caught:
        client(answering(broken)).get("/x?secret=1", Thing, token="ghs_secret")
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_names_that_are_no_unicode_are_sent_as_question_marks() -> None:
    wire = answering(httpx.Response(201, json={"id": 1}))
    client(wire).send("POST", "/x", {"a": ["\udcff", {"b": ("é\udc80",)}]}, Thing, token="t")
    assert wire.seen[0].body == {"a": ["?", {"b": ["é?"]}]}


@pytest.mark.parametrize(
    ("kind", "code"),
    [("NOT_FOUND", "HOST_NOT_FOUND"), ("FORBIDDEN", "HOST_FORBIDDEN"), ("RATE_LIMITED", "RATE_LIMIT_EXCEEDED"), ("OTHER", "HOST_REJECTED")],
)
def test_graphql_says_in_its_errors_what_rest_says_with_a_status(kind: str, code: str) -> None:
    wire = answering(httpx.Response(200, json={"data": None, "errors": [{"type": kind, "message": "no"}]}))
    with pytest.raises(Exception, match="no") as caught:
        client(wire).graphql("query { x }", {}, Thing, token="t")
    assert getattr(caught.value, "code", "") == code
    assert wire.seen[0].path == "/graphql"


def in_thread(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(work).result(60)


def test_each_thread_has_connections_of_its_own_and_leaves_none_behind() -> None:
    made: list[httpx.AsyncClient] = []

    def opened(host: str) -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"id": 1}))))
        return made[-1]

    def work() -> None:
        one = Client(opened, API, f"{API}/graphql")
        assert [one.get("/x", Thing, token="t").id for _ in range(3)] == [1, 1, 1]

    for _ in range(3):
        in_thread(work)
    gc.collect()
    close_line()
    assert len(made) == 3
    assert all(one.is_closed for one in made)


def test_clients_of_many_hosts_do_not_pile_up() -> None:
    made: list[httpx.AsyncClient] = []

    def opened(host: str) -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"id": 1}))))
        return made[-1]

    def work() -> None:
        for number in range(10):
            Client(opened, f"https://ghe{number}.example.org", "").get("/x", Thing, token="t")
        assert sum(not one.is_closed for one in made) == 4

    in_thread(work)


def test_after_closing_the_line_a_call_opens_a_new_one() -> None:
    wire = Wire(lambda seen: httpx.Response(200, json={"id": 1}))

    def work() -> None:
        assert client(wire).get("/x", Thing, token="t").id == 1
        close_line()
        assert client(wire).get("/x", Thing, token="t").id == 1

    in_thread(work)


def _child(wire: Wire, answers: Connection) -> None:
    answers.send((os.getpid(), client(wire).get("/x", Thing, token="t").id))


def test_a_forked_process_makes_its_own_loop_and_the_parents_goes_on() -> None:
    wire = Wire(lambda seen: httpx.Response(200, json={"id": 1}))
    fork = multiprocessing.get_context("fork")

    assert client(wire).get("/x", Thing, token="t").id == 1
    for _ in range(2):
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_child, args=(wire, theirs))
        process.start()
        assert ours.poll(30)
        child, answer = ours.recv()
        process.join(30)
        assert (process.exitcode, answer) == (0, 1)
        assert child != os.getpid()
        ours.close()
        theirs.close()
        assert client(wire).get("/x", Thing, token="t").id == 1


class Stopped(httpx.AsyncBaseTransport):
    """During the first request the process is asked to end, by a signal."""

    def __init__(self, *, stubborn: bool) -> None:
        self.stubborn, self.ended = stubborn, 0
        self.first = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.first:
            self.first = False
            signal.raise_signal(signal.SIGUSR1)
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.ended += 1
                if self.stubborn:
                    await asyncio.sleep(30)
                raise
        return httpx.Response(200, json={"id": 1}, request=request)


@pytest.fixture
def stopped_by_usr1() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: stop())
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("stopped_by_usr1")
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_stop_in_the_middle_of_a_request_is_no_fault_of_the_host_and_ends_the_request(stubborn: bool) -> None:
    transport = Stopped(stubborn=stubborn)
    asking = Client(lambda host: httpx.AsyncClient(transport=transport), API, f"{API}/graphql")
    with pytest.raises(Stopping):
        asking.get("/x", Thing, token="t")
    assert transport.ended == 1
    assert asking.get("/x", Thing, token="t").id == 1
    close_line()
    gc.collect()  # a call that does not let go is left behind, and asyncio says so here and not in a later test


class Slow(BaseHTTPRequestHandler):
    """Answers everything, a little late."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(0.001)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "8")
        self.end_headers()
        self.wfile.write(b'{"id":1}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Deserted(ThreadingHTTPServer):
    """A server whose callers go away in the middle."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing."""


def test_a_stop_at_any_moment_of_a_request_leaves_nothing_to_complain_about(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    told = False

    def end(signum: int, frame: FrameType | None) -> None:  # a signal handler's signature
        nonlocal told
        told = True
        stop()

    server = Deserted(("127.0.0.1", 0), Slow)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    api = f"http://127.0.0.1:{server.server_port}"
    asking = Client(lambda host: async_client(allow=(api,)), api, f"{api}/graphql")
    before = signal.signal(signal.SIGALRM, end)
    moments = random.Random(7)
    try:
        for _ in range(150):
            told = False
            with pytest.raises(Stopping):
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0001, 0.015))
                while not told:
                    asking.send("POST", "/x", {"text": "b" * 70_000}, Thing, token="t")
                    close_line()
            gc.collect(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        server.shutdown()
        server.server_close()
        close_line()
    gc.collect()
    assert complaints == []
    assert caplog.records == []
