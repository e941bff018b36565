"""The hook of a plain git repository: a push while nobody listens is kept, and taken when somebody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli.local import Connection
from bot.demo.local import free_port
from bot.kept import Kept
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import HostUnavailable
from pipeline.model.event import PullRequestAction, PullRequestEvent
from pipeline.store.intake import Intake
from pipeline.store.spool import SUFFIX
from pipeline.store.tables import outbox
from providers.local.record import KEPT
from providers.local.repository import describe
from tests.harness import LocalRepo, git

SECRET = "a secret of this " + "test"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of an operator whose web process does not run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    mine = {"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_PORT": str(free_port()), "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": SECRET}
    return {**kept, **mine, "FIXWRIGHT_INTAKE_FREE_MB": "0"}


@pytest.fixture
def app(environment: dict[str, str]) -> Iterator[App]:
    made = wire(read_settings(environment), "")
    made.database.migrate()
    yield made
    made.database.dispose()


def take(app: App) -> int:
    intake = Intake.open(app.settings.database_url)
    intake.start()
    own = (app.settings.spool_dir, 1_000_000)
    try:
        return Kept(*own, app.plugins.providers, app.places.configurations, intake, app.pressure).drain()
    finally:
        intake.stop()


def test_a_push_while_the_web_process_is_down_is_taken_when_it_starts(tmp_path: Path, environment: dict[str, str], app: App) -> None:
    server, repo = tmp_path / "shop.git", LocalRepo(tmp_path / "clone")
    server.mkdir()
    git(server, "init", "--quiet", "--bare", "--initial-branch=main")
    git(repo.folder, "remote", "add", "origin", str(server))
    repo.commit({"a.txt": "one\n"})
    command = [sys.executable, "-m", "bot.cli", "local", "connect", str(server)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    head = repo.commit({"a.txt": "two\n"}, branch="feature")
    push = ["git", "push", "--quiet", "origin", "feature"]
    said = subprocess.run(push, cwd=repo.folder, env=environment, check=True, capture_output=True, text=True, timeout=60).stderr
    assert "kept, and taken when `fixwright up` runs" in said
    assert "not delivered" not in said
    folder = app.settings.state_dir / "local" / KEPT
    assert (folder.stat().st_mode & 0o777, len(list(folder.glob(f"*{SUFFIX}")))) == (0o700, 1)
    assert take(app) == 1
    with app.database.work() as work:
        claimed = work.outbox.claim(work.outbox.publishable(1)[0].message_id, "me")
    event = getattr(claimed and claimed.message, "event", None)
    assert isinstance(event, PullRequestEvent)
    assert (event.action, event.head, event.pull_request.number) == (PullRequestAction.OPENED, head, 1)
    assert take(app) == 0


def test_a_push_that_can_be_kept_nowhere_is_said_and_fails(tmp_path: Path) -> None:
    (tmp_path / "record").touch()
    repo = LocalRepo(tmp_path / "clone")
    repo.commit({"a.txt": "one\n"})
    connection = Connection(f"http://127.0.0.1:{free_port()}", SECRET, tmp_path / "record")
    with pytest.raises(HostUnavailable, match=r"does not answer.*cannot be written"):
        connection.send(describe(repo.folder), "push", ref="main", before="0" * 40, after="1" * 40)


def test_what_was_kept_by_two_pushes_comes_in_their_order(tmp_path: Path, app: App) -> None:
    repo = LocalRepo(tmp_path / "clone")
    repo.commit({"a.txt": "one\n"})
    connection = Connection(f"http://127.0.0.1:{free_port()}", SECRET, app.settings.state_dir / "local")
    for number in "123":
        assert not connection.send(describe(repo.folder), "push", ref="main", before="0" * 40, after=number * 40)
    assert take(app) == 3
    with app.database.read() as work:
        bodies = [json.loads(row.body) for row in work.transaction.execute(outbox.select().order_by(outbox.c.id))]
    assert [body["event"]["after"][0] for body in bodies] == ["1", "2", "3"]
