"""Git servers that refuse, hang, cut off, lie or flood: told apart, ended in time, and the mirror serves the next honest fetch.

A proxy stands before git's own server and changes one answer. What a lie leaves in the mirror is what matters most: an honest server
afterwards must be believed, and a lie must never be found in the cache.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.errors import CommitMissing, GitError, GitUnavailable, MirrorDamaged, ObjectsRefused
from pipeline.model.ids import CommitId
from pipeline.ports import GitCredentials
from pipeline.sandbox.git import Mirror
from tests.hostile import sampled, whole_only
from tests.unit.sandbox.attacks import FILE, REFUSED
from tests.unit.sandbox.repositories import Repository, Server, served

DEADLINE = 6.0
"""Seconds for one fetch in these tests; the server's 120 s are a setting of the same code."""


@dataclass
class Asked:
    """One request as the proxy sees it, with the honest answer."""

    handler: BaseHTTPRequestHandler
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    pack: bool
    """True for an answer that carries objects."""

    def send(self, status: int, body: bytes, *more: tuple[str, str], length: int | None = None) -> None:
        """Answer otherwise; `length` lies about how much comes."""
        self.handler.send_response(status)
        for name, value in (*more, ("Content-Length", str(len(body) if length is None else length))):
            self.handler.send_header(name, value)
        self.handler.end_headers()
        with contextlib.suppress(OSError):
            self.handler.wfile.write(body)

    def honest(self) -> None:
        """As the server behind said."""
        self.send(self.status, self.body, *self.headers)


Lie = Callable[[Asked], None]


@dataclass
class Liar:
    """The proxy: what it tells, and what it was asked."""

    url: str
    lie: Lie | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, Authorization)."""


@contextlib.contextmanager
def lying(server: Server) -> Iterator[Liar]:
    """A proxy before `server` that answers as `lie` says, honestly when it is None."""
    behind = urlsplit(server.url).netloc

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.asked.append((self.path, self.headers.get("Authorization", "")))
            connection = HTTPConnection(behind, timeout=20)
            try:
                kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
                connection.request(self.command, self.path, content, kept)
                said: HTTPResponse = connection.getresponse()
                body = said.read()
            finally:
                connection.close()
            headers = [(name, value) for name, value in said.getheaders() if name in ("Content-Type", "Cache-Control")]
            asked = Asked(self, said.status, headers, body, b"packfile\n" in body[:200] or b"PACK" in body)
            with contextlib.suppress(OSError):
                (proxy.lie or Asked.honest)(asked)

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    proxy = Liar(f"http://127.0.0.1:{listening.server_address[1]}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


# --- the lies ---------------------------------------------------------------------------------------------------------------------------


def _hang(asked: Asked) -> None:
    """The beginning of an answer, and then nothing."""
    body = asked.body[: len(asked.body) // 2]
    asked.handler.send_response(200)
    for name, value in (*asked.headers, ("Content-Length", str(len(asked.body)))):
        asked.handler.send_header(name, value)
    asked.handler.end_headers()
    asked.handler.wfile.write(body)
    asked.handler.wfile.flush()
    with contextlib.suppress(OSError):
        asked.handler.connection.settimeout(DEADLINE * 3)
        asked.handler.connection.recv(1)  # until the other side goes


def _only_pack(lie: Lie) -> Lie:
    return lambda asked: lie(asked) if asked.pack else asked.honest()


def _without_end(prefix: bytes, line: bytes) -> Lie:
    """A chunked answer that never ends, as quickly as it is read."""

    def tell(asked: Asked) -> None:
        asked.handler.send_response(200)
        for name, value in (*asked.headers, ("Transfer-Encoding", "chunked")):
            asked.handler.send_header(name, value)
        asked.handler.end_headers()
        chunk = line * (65_536 // len(line))
        packed = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        asked.handler.wfile.write(b"%x\r\n%s\r\n" % (len(prefix), prefix))
        until = time.monotonic() + DEADLINE * 3
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                asked.handler.wfile.write(packed)

    return tell


def _drip(asked: Asked) -> None:
    """A byte a second."""
    asked.handler.send_response(200)
    for name, value in (*asked.headers, ("Content-Length", str(len(asked.body)))):
        asked.handler.send_header(name, value)
    asked.handler.end_headers()
    with contextlib.suppress(OSError):
        for place in range(min(60, len(asked.body))):
            asked.handler.wfile.write(asked.body[place : place + 1])
            asked.handler.wfile.flush()
            time.sleep(1)


def _flip(asked: Asked) -> None:
    """One bit of the objects is another."""
    place = asked.body.rindex(b"PACK") + 40
    flipped = bytes([asked.body[place] ^ 1])
    asked.send(asked.status, asked.body[:place] + flipped + asked.body[place + 1 :], *asked.headers)


def _line(text: bytes) -> bytes:
    return b"%04x%s" % (len(text) + 4, text)


def _status(code: int) -> Lie:
    return lambda asked: asked.send(code, b"no")


def _html(asked: Asked) -> None:
    asked.send(200, b"<html>" + b"<p>sign in</p>" * 1_000, ("Content-Type", "text/html"))


def _reset(asked: Asked) -> None:
    asked.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    asked.handler.connection.close()


LIES: dict[str, Lie] = {
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "429": _status(429),
    "503": _status(503),
    "HTML with status 200": _html,
    "nothing with status 200": lambda asked: asked.send(200, b"", *asked.headers),
    "a redirect to another host": lambda asked: asked.send(302, b"", ("Location", "http://127.0.0.2:9/x.git")),
    "a redirect to a file": lambda asked: asked.send(302, b"", ("Location", "file:///etc/passwd")),
    "hangs in the middle of the objects": _only_pack(_hang),
    "hangs in the middle of the refs": _hang,
    "a byte a second": _drip,
    "half of the objects": _only_pack(lambda a: a.send(200, a.body[: len(a.body) // 2], *a.headers)),
    "half of the objects, and the rest promised": _only_pack(
        lambda a: a.send(200, a.body[: len(a.body) // 2], *a.headers, length=len(a.body))
    ),
    "one bit flipped": _only_pack(_flip),
    "a connection that is reset": _only_pack(_reset),
    "an error that looks like ours": lambda a: a.send(200, _line(b"ERR fsck error: object " + b"0" * 40 + b": hasDotgit: x\n"), *a.headers),
    "an error of 60 kB": lambda a: a.send(200, _line(b"ERR " + b"packfile ref " * 5_000), *a.headers),
    "refs without end": _without_end(b"", _line(b"0" * 40 + b" refs/heads/" + b"r" * 200 + b"\n")),
    "progress without end": _only_pack(_without_end(_line(b"packfile\n"), _line(b"\2" + b"p" * 500 + b"\n"))),
    "objects without end": _only_pack(_without_end(_line(b"packfile\n"), _line(b"\1" + b"PACK\0\0\0\2\xff\xff\xff\xff" + b"x" * 500))),
    "terminal sequences": lambda a: a.send(200, _line(b"ERR \x1b[2J\x1b]0;owned\x07 fatal: \xff\n"), *a.headers),
}


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "served" / "origin.git", bare=True)


@pytest.fixture
def liar(origin: Repository) -> Iterator[Liar]:
    with served(origin.path.parent) as server, lying(server) as proxy:
        yield proxy


def _commits(origin: Repository) -> tuple[CommitId, CommitId]:
    trees = [origin.tree([(FILE, b"a.py", origin.blob(content))]) for content in (b"1\n", b"2\n" * 3_000)]
    base = origin.commit_tree(trees[0])
    return base, origin.commit_tree(trees[1], base)


def _ensure_serves(mirror: Mirror, base: CommitId, head: CommitId) -> None:
    """All that a review reads is there and is what it is."""
    mirror.fetch([(base, 1), (head, 2)])
    (changed,), more = mirror.changes(base, head)
    assert (changed.path, more) == ("a.py", False)
    assert mirror.file(head, "a.py") == b"2\n" * 3_000


@pytest.mark.parametrize("name", sampled(LIES, 3, always=["one bit flipped"]))
@pytest.mark.parametrize("known", [True, False], ids=["a mirror that knows the base", "a new mirror"])
def test_a_lie_is_an_error_in_time_and_is_never_believed_later(
    name: str, known: bool, origin: Repository, liar: Liar, tmp_path: Path
) -> None:
    base, head = _commits(origin)
    place = tmp_path / "mirrors" / "m.git"
    secret = "c2VjcmV0" + "OnNlY3JldA=="
    mirror = Mirror.open(place, f"{liar.url}/origin.git", GitCredentials(f"Authorization: Basic {secret}"), deadline=DEADLINE)
    if known:
        mirror.fetch([(base, 1)])
    liar.lie = LIES[name]
    begun = time.monotonic()
    with pytest.raises((GitUnavailable, MirrorDamaged, CommitMissing)) as caught:
        mirror.fetch([(base, 1), (head, 2)])
    assert time.monotonic() - begun < 3 * DEADLINE + 10
    assert not isinstance(caught.value, ObjectsRefused), "a server's words are no verdict of git's checks on this machine"
    said = str(caught.value)
    assert said.isprintable() and len(said) < 600 and secret not in said
    assert sum(path.lstat().st_size for path in place.rglob("*")) < 300 << 20 if place.exists() else True
    liar.lie = None
    _ensure_serves(mirror, base, head)


def test_contents_that_are_cut_off_are_fetched_anew(origin: Repository, liar: Liar, tmp_path: Path) -> None:
    base, head = _commits(origin)
    mirror = Mirror.open(tmp_path / "m.git", f"{liar.url}/origin.git", deadline=DEADLINE)
    mirror.fetch([(base, 1), (head, 2)])
    blob = origin.at(f"{head}:a.py")
    liar.lie = LIES["half of the objects"]
    with pytest.raises(GitError):
        mirror.ensure_blobs([blob])
    assert mirror.sizes([blob]) == {}
    liar.lie = None
    mirror.ensure_blobs([blob])
    assert mirror.sizes([blob]) == {blob: 6_000}


def test_a_server_that_sends_another_commit_is_not_believed(origin: Repository, tmp_path: Path) -> None:
    """What was asked for is looked for by its name, which is its content's hash."""
    base, head = _commits(origin)
    other = Repository.make(tmp_path / "other" / "origin.git", bare=True)
    wrong = other.commit_tree(other.tree([(FILE, b"evil.py", other.blob(b"x\n"))]))
    with served(origin.path.parent) as server, served(other.path.parent) as elsewhere, lying(elsewhere) as liar:
        # It answers as if it had the commit, and sends its own.
        liar.lie = lambda asked: asked.send(asked.status, asked.body.replace(wrong.encode(), head.encode()), *asked.headers)
        place = tmp_path / "m.git"
        with pytest.raises((CommitMissing, GitUnavailable, MirrorDamaged)):
            Mirror.open(place, f"{liar.url}/origin.git", deadline=DEADLINE).fetch([(head, 1)])
        _ensure_serves(Mirror.open(place, f"{server.url}/origin.git"), base, head)


def test_credentials_go_to_the_named_host_only(origin: Repository, liar: Liar, tmp_path: Path) -> None:
    _, head = _commits(origin)
    with served(origin.path.parent) as elsewhere:
        liar.lie = lambda asked: asked.send(302, b"", ("Location", f"{elsewhere.url}{asked.handler.path}"))
        mirror = Mirror.open(tmp_path / "m.git", f"{liar.url}/origin.git", GitCredentials("Authorization: Basic c2VjcmV0"))
        with pytest.raises(GitUnavailable):
            mirror.fetch([(head, 1)])
        assert elsewhere.requests == []


@whole_only
def test_refused_objects_of_a_server_leave_no_mirror_behind(origin: Repository, liar: Liar, tmp_path: Path) -> None:
    base, head = _commits(origin)
    bad = origin.commit_tree(REFUSED[".git"](origin), head, branch="bad")
    mirror = Mirror.open(tmp_path / "mirrors" / "m.git", f"{liar.url}/origin.git")
    mirror.fetch([(base, 1)])
    with pytest.raises(ObjectsRefused):
        mirror.fetch([(bad, 1)])
    assert not (tmp_path / "mirrors" / "m.git").exists()
    _ensure_serves(mirror, base, head)


# --- a mirror that is damaged on disk ----------------------------------------------------------------------------------------------------


def _packs(place: Path) -> list[Path]:
    found = sorted(place.glob("objects/pack/*.pack"))
    for pack in found:
        pack.chmod(0o644)
    return found


def _cut(place: Path) -> None:
    for pack in _packs(place):
        pack.write_bytes(pack.read_bytes()[:-30])


def _gone(place: Path) -> None:
    for pack in _packs(place):
        pack.unlink()


def _empty(place: Path) -> None:
    for ref in place.glob("refs/fixwright/*"):
        ref.write_bytes(b"")


def _index(place: Path) -> None:
    for index in place.glob("objects/pack/*.idx"):
        index.chmod(0o644)
        index.write_bytes(b"\xfftOc\0\0\0\2" + bytes(1_000))


def _locks(place: Path) -> None:
    for name in ("shallow.lock", "config.lock", "HEAD.lock", "objects/pack/tmp_pack_1", "refs/fixwright/x.lock"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"")


def _link(place: Path) -> None:
    (place / "objects").rename(place / "away")
    (place / "objects").symlink_to("/nonexistent")


def _file(place: Path) -> None:
    place.rename(place.with_name("away"))
    place.write_bytes(b"x")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a truncated pack": _cut,
    "a missing pack": _gone,
    "refs of no bytes": _empty,
    "a broken index": _index,
    "leftover locks": _locks,
    "an empty HEAD": lambda place: (place / "HEAD").write_bytes(b""),
    "no HEAD": lambda place: (place / "HEAD").unlink(),
    "a broken configuration": lambda place: (place / "config").write_bytes(b"[core\n\x00"),
    "a broken list of cuts": lambda place: (place / "shallow").write_bytes(b"garbage\n"),
    "objects that are a link to nowhere": _link,
    "a file in its place": _file,
}


@pytest.mark.parametrize("name", sampled(DAMAGES, 4))
def test_a_damaged_mirror_serves_again_after_one_new_copy(name: str, origin: Repository, liar: Liar, tmp_path: Path) -> None:
    base, head = _commits(origin)
    place = tmp_path / "mirrors" / "m.git"
    mirror = Mirror.open(place, f"{liar.url}/origin.git", deadline=30)
    mirror.fetch([(base, 1)])
    DAMAGES[name](place)
    before = len(liar.asked)
    _ensure_serves(mirror, base, head)
    packs = [path for path, _ in liar.asked[before:] if path.endswith("git-upload-pack")]
    assert len(packs) <= 8, "it was copied again and again"


def test_two_jobs_find_the_same_damage_and_one_copies_anew(origin: Repository, liar: Liar, tmp_path: Path) -> None:
    base, head = _commits(origin)
    place = tmp_path / "mirrors" / "m.git"
    Mirror.open(place, f"{liar.url}/origin.git").fetch([(base, 1)])
    _cut(place)
    failed: list[BaseException] = []

    def one() -> None:
        try:
            _ensure_serves(Mirror.open(place, f"{liar.url}/origin.git", deadline=60), base, head)
        except BaseException as error:  # noqa: BLE001  (a thread's error is shown by the test)
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A reader whose mirror is dropped under it says so, and its next attempt reads the new one.
    assert all(isinstance(error, MirrorDamaged | GitError) for error in failed), failed
    assert len(failed) < 2
    _ensure_serves(Mirror.open(place, f"{liar.url}/origin.git"), base, head)
