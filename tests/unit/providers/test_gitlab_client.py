"""The way to GitLab over a real socket: one origin, bounded answers, connections that belong to a thread and a process."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import HostError, HostGarbage, HostUnavailable, NotConfigured
from pipeline.model.target import SourceRepository
from pipeline.sandbox.hops import first_cause
from pipeline.sandbox.net import MAX_BODY
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Client, close_lines, guarded
from providers.gitlab.settings import Site
from providers.gitlab.transport import MAX_REDIRECTS, Line, open_line
from tests.proxies import Proxy, connect_proxy, make_authority, tls_before
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import REPOSITORY, TOKEN

ROOT = Path(__file__).parents[3]


class Server:
    """A loopback server: `answer` gets the handler of each request."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.paths: list[str] = []
        self.tokens: list[str | None] = []
        self.authorizations: list[str | None] = []
        self.ports: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(inner) -> None:  # noqa: N805  # the library's name; `self` is the server
                self.paths.append(inner.path)
                self.tokens.append(inner.headers.get("private-token"))
                self.authorizations.append(inner.headers.get("authorization"))
                self.ports.append(inner.client_address[1])
                answer(inner)

            do_POST = do_GET  # noqa: N815  # the library's name

            def log_message(self, *args: object) -> None:
                """Nothing to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Server]:
    server = Server(answer)
    try:
        yield server
    finally:
        close_lines()
        server.close()


def say(handler: BaseHTTPRequestHandler, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    for name, said in (headers or {}).items():
        handler.send_header(name, said)
    handler.end_headers()
    handler.wfile.write(body)


class Branch(Answer):
    name: str


def api_at(url: str) -> Api:
    return Api(guarded, Site.of({"URL": url}), TOKEN, Memory(), account="acme", instance="x", clock=lambda: 0.0)


def ask(url: str, repository: SourceRepository = REPOSITORY) -> str:
    return api_at(url).get(repository, lambda project: project.branches.get("fix/a b"), Branch, what="a branch").name


def test_the_token_goes_in_its_header_below_the_path_and_names_are_one_step() -> None:
    with serving(lambda handler: say(handler, {"name": "x"})) as server:
        assert ask(f"{server.url}/git") == "x"
        assert server.paths == ["/git/api/v4/projects/42/repository/branches/fix%2Fa%20b"]
        assert server.tokens == [TOKEN]


def test_a_redirect_to_another_server_is_not_followed_and_takes_no_token_along() -> None:
    with serving(lambda handler: say(handler, {"name": "stolen"})) as other:

        def away(handler: BaseHTTPRequestHandler) -> None:
            say(handler, {}, 302, {"location": f"{other.url}{handler.path}"})

        with serving(away) as server, pytest.raises(HostGarbage) as told:
            ask(server.url)
        assert other.paths == []
    assert "sent us to another server" in told.value.message
    assert "FIXWRIGHT_GITLAB_URL" in told.value.hint
    assert TOKEN not in str(told.value)


def test_a_next_page_on_another_server_is_not_asked_for() -> None:
    """GitLab may call itself otherwise than the operator does: the page is then asked for where he said."""
    with serving(lambda handler: say(handler, [{"name": "stolen"}])) as other:

        def pages(handler: BaseHTTPRequestHandler) -> None:
            more = "page=2" not in handler.path
            link = {"link": f'<{other.url}/api/v4/projects/42/repository/branches?page=2>; rel="next"'} if more else {}
            say(handler, [{"name": "one" if more else "two"}], headers=link)

        with serving(pages) as server:
            found = api_at(server.url).pages(REPOSITORY, lambda project: project.branches.list(iterator=True), Branch, what="branches")
            assert [branch.name for branch in found] == ["one", "two"]
        assert other.paths == []


def test_a_moved_project_is_followed_on_the_same_server() -> None:
    def moved(handler: BaseHTTPRequestHandler) -> None:
        if "acme%2Fold" in handler.path:
            say(handler, {}, 302, {"location": "/api/v4/projects/42"})
        else:
            say(handler, {"name": "shop"})

    with serving(moved) as server:
        assert api_at(server.url).ask(lambda gl: gl.projects.get("acme/old"), Branch, what="a project").name == "shop"
        assert server.paths == ["/api/v4/projects/acme%2Fold", "/api/v4/projects/42"]


def test_a_write_that_is_sent_elsewhere_is_not_turned_into_a_read() -> None:
    def moved(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("content-length", 0)))
        say(handler, {"name": "x"}, 200 if handler.path.endswith("/branches/") else 301, {"location": f"{handler.path}/"})

    with serving(moved) as server, pytest.raises(HostGarbage) as told:
        api_at(server.url).send(REPOSITORY, lambda p: p.branches.create({"branch": "x", "ref": "main"}), Branch, what="a branch")
    assert "FIXWRIGHT_GITLAB_URL" in told.value.hint


def test_redirects_end() -> None:
    with serving(lambda handler: say(handler, {}, 302, {"location": handler.path})) as server:
        with pytest.raises(HostGarbage):
            ask(server.url)
        assert len(server.paths) == 1 + MAX_REDIRECTS


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_an_answer_that_is_too_large_is_not_taken(packed: bool) -> None:
    body = b'{"name": "' + b"x" * MAX_BODY + b'"}'
    sent = gzip.compress(body, 1) if packed else body

    def large(handler: BaseHTTPRequestHandler) -> None:
        try:
            say(handler, sent, headers={"content-encoding": "gzip"} if packed else {})
        except OSError:
            handler.close_connection = True  # the reader has gone

    with serving(large) as server, pytest.raises(HostGarbage) as told:
        ask(server.url)
    assert "too large" in told.value.message


@pytest.mark.parametrize(
    "odd", [b"", b"HTTP/1.1 200", b"\x00" * 100, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", b"HTTP/1.1 abc OK\r\n\r\n{}"]
)
def test_whatever_a_socket_says_is_no_answer(odd: bytes) -> None:
    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(odd)
        handler.close_connection = True

    with serving(break_off) as server, pytest.raises(HostError) as told:
        ask(server.url)
    assert isinstance(told.value, HostUnavailable | HostGarbage)


@pytest.mark.parametrize("slow", ["head", "body"])
def test_an_answer_that_drips_is_not_waited_for_without_end(slow: str) -> None:
    """Every byte comes well within the time for one."""
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        if slow == "head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                handler.wfile.write(b"x")
        handler.close_connection = True

    def hurried(web_url: str, origin: str, token: str) -> Line:
        return open_line(web_url, origin, token, total=0.4)

    with serving(drip) as server:
        client = Client(hurried, Site.of({"URL": server.url}), TOKEN)
        began = time.monotonic()
        with pytest.raises(HostUnavailable):
            client.one(lambda gl: gl.projects.get(42), Branch, "a project")
        assert 0.3 < time.monotonic() - began < 5
        ended.set()


def test_nobody_there_is_unavailable_and_says_nothing_of_the_token() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(HostUnavailable) as told:
            ask(f"http://127.0.0.1:{taken.getsockname()[1]}")
    close_lines()
    assert "ConnectionError" in told.value.message
    assert TOKEN not in first_cause(told.value)


def test_one_thread_keeps_its_connection_and_another_has_its_own() -> None:
    with serving(lambda handler: say(handler, {"name": "x"})) as server:
        ask(server.url)
        ask(server.url)
        thread = threading.Thread(target=ask, args=(server.url,))
        thread.start()
        thread.join()
        ask(server.url)
        first, again, other, third = server.ports
        assert first == again == third != other


def test_a_forked_child_does_not_use_the_connection_of_its_parent() -> None:
    with serving(lambda handler: say(handler, {"name": "x"})) as server:
        ask(server.url)
        with warnings.catch_warnings():
            # From Python 3.12 on, for what a thread may hold at that moment: the server's thread holds nothing that the child needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            good = False
            try:
                good = ask(server.url) == "x"
            finally:
                os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        ask(server.url)
        parent, forked, after = server.ports
        assert parent == after != forked


def test_cookies_are_not_kept() -> None:
    cookies: list[str | None] = []

    def baking(handler: BaseHTTPRequestHandler) -> None:
        cookies.append(handler.headers.get("cookie"))
        say(handler, {"name": "x"}, headers={"set-cookie": "_session=1; path=/"})

    with serving(baking) as server:
        ask(server.url)
        ask(server.url)
    assert cookies == [None, None]


@contextmanager
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Proxy]]:
    """A GitLab behind a certificate of a private authority, to which only a proxy knows the way."""
    authority = make_authority(tmp_path, "git.corp.test")
    with serving(lambda handler: say(handler, {"name": "x"})) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with tls_before(address, authority) as tls, connect_proxy({"git.corp.test": tls}) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            yield server, proxy
            close_lines()


def test_the_way_leads_through_the_operators_proxy_and_is_trusted_by_his_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine git.corp.test login somebody password other\n")
    monkeypatch.setenv("HOME", str(home))
    with company(tmp_path, monkeypatch) as (server, proxy):
        monkeypatch.setenv("FIXWRIGHT_CA_BUNDLE", str(tmp_path / "ca.pem"))
        assert ask("https://git.corp.test/scm") == "x"
        assert proxy.asked == ["git.corp.test:443"]
        assert server.tokens == [TOKEN]
        assert server.authorizations == [None], "what .netrc says is not sent"


def test_a_certificate_of_a_strange_authority_is_refused_before_the_token_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with company(tmp_path, monkeypatch) as (server, _):
        with pytest.raises(HostUnavailable) as told:
            ask("https://git.corp.test")
        assert server.tokens == []
    assert "certificate is not trusted" in first_cause(told.value)


def test_a_proxy_that_cannot_be_used_is_a_setting_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(NotConfigured):
        Client(guarded, Site("http://gitlab.test"), TOKEN).one(lambda gl: gl.projects.get(42), Branch, "a project")


def test_authorities_are_those_of_the_operator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing\n")
    monkeypatch.setenv("FIXWRIGHT_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(NotConfigured) as told:
        Client(guarded, Site("https://127.0.0.1:9"), TOKEN).one(lambda gl: gl.projects.get(42), Branch, "a project")
    assert "FIXWRIGHT_CA_BUNDLE" in told.value.message


def test_loading_the_plug_in_does_not_load_the_library() -> None:
    """A tenth of a second, which the web process would pay at each start and never use."""
    code = "import sys, providers.gitlab; print(sorted({'gitlab', 'requests'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_a_worker_loads_it_before_it_forks_with_all_models_made_ready() -> None:
    code = (
        "import sys; from providers.gitlab import PROVIDER; from providers.gitlab.pulls import MergeRequestAnswer as Model;"
        "before = Model.__pydantic_complete__; PROVIDER.load(); print(before, Model.__pydantic_complete__, 'gitlab' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "False True True"
