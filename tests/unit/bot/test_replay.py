"""`fixwright replay`: a saved delivery, signed with what is in force for the instance that it is for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.cli import main
from bot.configurations import SettingsOfHosts
from bot.settings import read_settings
from bot.wiring import wire
from pipeline.errors import BadSignature
from pipeline.model.event import Delivery
from providers.gitlab.provider import PROVIDER

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="
SECRETS = {name: f"secret of {name or 'the default'} " + "in this test" for name in ("", "own", "other")}


class Web(ThreadingHTTPServer):
    """The web process as far as a replay meets it: keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        self.came: list[tuple[str, Delivery]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        """202 for everything."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.came.append((self.path, Delivery("gitlab", "", headers, body)))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest shows what matters."""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    made = Web()
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("DATABASE_URL", "REDIS_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"STATE_DIR": str(tmp_path / "state"), "SECRET_KEY": KEY, "URL": f"http://127.0.0.1:{made.server_port}"}.items():
        monkeypatch.setenv(f"FIXWRIGHT_{name}", value)
    (tmp_path / "body.json").write_text('{"object_kind": "doctor"}')
    yield made
    made.shutdown()
    made.server_close()


def store(*names: str) -> None:
    """What `fixwright gitlab setup` leaves."""
    app = wire(read_settings(), "")
    app.database.migrate()
    known: SettingsOfHosts = app.configurations
    for name in names:
        known.save("gitlab", name, {"TOKEN": "a token of this " + "test", "WEBHOOK_SECRET": SECRETS[name]})
    app.database.dispose()


def replay(tmp_path: Path, *words: str) -> int:
    return main(["replay", str(tmp_path / "body.json"), "--event", "Push Hook", *words])


@pytest.mark.parametrize(
    ("names", "words", "meant"),
    [
        (["", "own"], [], ""),
        (["", "own"], ["--instance", "own"], "own"),
        (["own"], [], "own"),
        (["own", ""], ["--instance", "default"], ""),
    ],
)
def test_it_is_signed_for_the_stored_instance_and_goes_to_its_address(
    web: Web, tmp_path: Path, names: list[str], words: list[str], meant: str
) -> None:
    store(*names)
    assert replay(tmp_path, "--host", "gitlab", *words) == 0
    ((path, delivery),) = web.came
    assert path == "/webhooks/gitlab" + (f"/{meant}" if meant else "")
    PROVIDER.receive(delivery, {"WEBHOOK_SECRET": SECRETS[meant]})
    with pytest.raises(BadSignature):
        PROVIDER.receive(delivery, {"WEBHOOK_SECRET": SECRETS["other"]})


def test_the_environment_is_enough_where_there_is_no_database(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_GITLAB_WEBHOOK_SECRET", SECRETS["other"])
    assert replay(tmp_path) == 0
    PROVIDER.receive(web.came[0][1], {"WEBHOOK_SECRET": SECRETS["other"]})
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("names", "words", "said"),
    [
        ([], [], "no host is set up here"),
        ([], ["--host", "gitlab"], "GitLab is not set up\n  run: fixwright gitlab setup, or set FIXWRIGHT_GITLAB_WEBHOOK_SECRET"),
        (["own"], ["--instance", "other"], "the instance 'other' of GitLab is not set up"),
        (["own", "other"], [], "say which: --instance other, own"),
    ],
)
def test_what_cannot_be_signed_is_said_with_the_command_that_sets_it_up(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], words: list[str], said: str
) -> None:
    store(*names)
    assert replay(tmp_path, *words) == 2
    assert said in capsys.readouterr().err
    assert web.came == []


def test_what_was_sealed_with_another_key_is_said_to_be(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store("own")
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "AQ" + KEY[2:])
    assert replay(tmp_path) == 2
    assert "the instance own cannot be opened with this FIXWRIGHT_SECRET_KEY\n  put the key back" in capsys.readouterr().err
