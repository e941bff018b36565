"""The foreign GitHub: it delivers what we understand, and its known gaps are still there. (What it can do, `tests/contract` asks of it.)

A gap that is gone fails here: take it out of `tests/contract/gaps.py`, and let the tests run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest

from bot.alone import Alone
from bot.cli.processes import alone
from bot.settings import engines_dir, read_settings
from pipeline.errors import BadSignature
from pipeline.messages import AcceptEvent, Envelope
from pipeline.model.event import Delivery, PullRequestAction, PullRequestEvent
from pipeline.model.report import Annotation, Check
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef
from providers.github.client import close_line
from tests.behaviour.doors import KEY, with_instant_engines
from tests.contract.gaps import (
    GAPS,
    HEAD_STANDS,
    MISCOUNTS,
    NO_GIT,
    NO_GRAPHQL,
    NO_LINES,
    NO_LIST,
    ODD_ANNOTATIONS,
    ODD_PERMISSION,
)
from tests.contract.world import SECRET
from tests.stages.github import app_key
from tests.worlds.emulate.git_http import git_over_http
from tests.worlds.emulate.install import find
from tests.worlds.emulate.server import Emulate
from tests.worlds.emulate.world import EmulateHost


class Mailbox(ThreadingHTTPServer):
    """Takes webhooks."""

    def __init__(self) -> None:
        self.taken: Queue[Delivery] = Queue()
        taken = self.taken

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                taken.put(Delivery("github", "", {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Take)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def server(mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulate]:
    installed = find()
    if installed is None:
        pytest.skip("emulate is not installed: python -m tests.worlds.emulate.install")
    url = f"http://127.0.0.1:{mailbox.server_address[1]}/webhooks/github"
    made = Emulate(installed, tmp_path_factory.mktemp("emulate"), app_key(), url, SECRET)
    yield made
    close_line()
    made.stop()


@pytest.fixture(scope="module")
def foreign(server: Emulate, tmp_path_factory: pytest.TempPathFactory) -> EmulateHost:
    return EmulateHost(server, app_key(), tmp_path_factory.mktemp("world"), 1)


def delivered(mailbox: Mailbox, event: str, action: str) -> Delivery:
    """The next delivery of that kind."""
    while True:
        taken = mailbox.taken.get(timeout=20)
        if taken.headers["x-github-event"] == event and f'"action":"{action}"'.encode() in taken.body.replace(b": ", b":"):
            return taken


def test_what_it_delivers_is_verified_and_understood(foreign: EmulateHost, mailbox: Mailbox) -> None:
    opened = delivered(mailbox, "pull_request", "opened")
    event = foreign.provider.receive(opened, foreign.configuration).event
    assert isinstance(event, PullRequestEvent)
    assert (event.action, event.pull_request.number) == (PullRequestAction.OPENED, foreign.ref.number)
    assert event.head == foreign.tip("feature")
    assert (event.installation.external_id, event.pull_request.repository.external_id) == ("100", foreign.source.external_id)
    foreign.comment("/fix")
    said = foreign.provider.receive(delivered(mailbox, "issue_comment", "created"), foreign.configuration)
    # A gap: it does not say that the issue is a pull request, so that the comment does not concern us.
    assert (said.name, said.event) == ("issue_comment.created", None)
    foreign.close_pull_request()
    closed = foreign.provider.receive(delivered(mailbox, "pull_request", "closed"), foreign.configuration).event
    assert isinstance(closed, PullRequestEvent)
    assert closed.action is PullRequestAction.CLOSED


def test_what_it_delivers_is_refused_when_one_byte_is_another(foreign: EmulateHost, mailbox: Mailbox) -> None:
    foreign.comment("hello")
    real = delivered(mailbox, "issue_comment", "created")
    forged = Delivery(real.provider, real.instance, real.headers, real.body.replace(b"hello", b"jello"))
    with pytest.raises(BadSignature):
        foreign.provider.receive(forged, foreign.configuration)


def test_from_its_delivery_to_the_check_and_the_comment(server: Emulate, mailbox: Mailbox, tmp_path: Path) -> None:
    abroad = EmulateHost(server, app_key(), tmp_path / "world", 2, {"c.txt": "fine\nBAD new\n"})
    received = abroad.provider.receive(_opened(mailbox, abroad), abroad.configuration)
    assert isinstance(received.event, PullRequestEvent)
    settings = {f"FIXWRIGHT_GITHUB_{name}": value for name, value in abroad.configuration.items()}
    settings |= {"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_SECRET_KEY": KEY, "FIXWRIGHT_ENGINES_DIR": str(engines_dir())}
    with git_over_http(tmp_path / "world") as git, alone(read_settings(settings)) as app:
        with_instant_engines(app)
        app.plugins = replace(app.plugins, fixers=())  # a thread on a line is what it cannot do
        # Its own address of the repository leads nowhere; this is the repository that its objects came from.
        repository = replace(received.event.pull_request.repository, clone_url=f"{git}/shop")
        event = replace(received.event, pull_request=replace(received.event.pull_request, repository=repository))
        key = f"accept:{received.delivery_id}"
        for _ in range(2):  # a delivery that comes twice is one
            with app.database.work() as work:
                work.outbox.send(Envelope(AcceptEvent(received.delivery_id, event), key, group=key))
            Alone(app).work_off(threading.Event())
        with app.database.read() as work:
            assert work.outbox.dead(10) == []
        close_line()
    (check,) = abroad.checks(abroad.tip("feature"))
    assert (check.status, check.conclusion) == ("completed", "failure")
    assert check.title.startswith("1 blocks")
    assert "c.txt:2" in check.summary
    (comment,) = abroad.comments()
    assert "1 blocks" in comment
    assert abroad.notifications() == 1


def _opened(mailbox: Mailbox, abroad: EmulateHost) -> Delivery:
    """The delivery of its pull request, whatever others left in the mailbox."""
    while True:
        taken = delivered(mailbox, "pull_request", "opened")
        if abroad.name.encode() in taken.body:
            return taken


# --- its gaps -------------------------------------------------------------------------------------------------------------------------


def _git(server: Emulate, name: str, head: str, number: int) -> bool:
    return server.ask("GET", f"/{name}.git/info/refs?service=git-upload-pack").status_code == 404


def _list(server: Emulate, name: str, head: str, number: int) -> bool:
    return server.ask("GET", f"/repos/{name}/issues/comments").status_code == 404


def _graphql(server: Emulate, name: str, head: str, number: int) -> bool:
    return server.ask("POST", "/graphql", {"query": "{ viewer { login } }"}).status_code == 404


def _lines(server: Emulate, name: str, head: str, number: int) -> bool:
    comment = {"path": "app.py", "line": 10, "side": "RIGHT", "body": "x"}
    body = {"commit_id": head, "event": "COMMENT", "body": "x", "comments": [comment]}
    return server.ask("POST", f"/repos/{name}/pulls/{number}/reviews", body).status_code == 422


def _permission(server: Emulate, name: str, head: str, number: int) -> bool:
    return bool(server.call("GET", f"/repos/{name}/collaborators/walter/permission")["permission"] == "push")


def _commits(server: Emulate, name: str, head: str, number: int) -> bool:
    return bool(server.call("GET", f"/repos/{name}/pulls/{number}")["commits"] == 2)


PROBES: Mapping[str, Callable[[Emulate, str, str, int], bool]] = {
    NO_GIT: _git,
    NO_LIST: _list,
    NO_GRAPHQL: _graphql,
    NO_LINES: _lines,
    ODD_PERMISSION: _permission,
    MISCOUNTS: _commits,
}


@pytest.mark.parametrize("gap", PROBES)
def test_a_known_gap_is_still_one(server: Emulate, foreign: EmulateHost, gap: str) -> None:
    assert PROBES[gap](server, foreign.name, foreign.tip("feature"), foreign.ref.number)


def test_the_head_of_its_pull_requests_still_stands(server: Emulate, foreign: EmulateHost) -> None:
    before = server.call("GET", f"/repos/{foreign.name}/pulls/{foreign.ref.number}")["head"]["sha"]
    assert foreign.commit({"more.txt": "z\n"}) != before
    assert server.call("GET", f"/repos/{foreign.name}/pulls/{foreign.ref.number}")["head"]["sha"] == before


def test_its_annotations_still_come_in_an_object(server: Emulate, foreign: EmulateHost) -> None:
    check = Check("k", "t", "s", Conclusion.FAILURE, annotations=(Annotation("app.py", 1, 1, "notice", "t", "m"),))
    made = foreign.host().ensure_check(CommitRef(foreign.source, foreign.tip("main")), check)
    assert isinstance(server.call("GET", f"/repos/{foreign.name}/check-runs/{made.id}/annotations"), dict)


def test_every_gap_has_a_probe() -> None:
    probed = {*PROBES, HEAD_STANDS, ODD_ANNOTATIONS}
    assert set(GAPS["github: emulate"].values()) == probed
