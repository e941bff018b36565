"""At three in the morning: each cause stands in one line of `fixwright status` or `fixwright doctor` (docs/operations.md has the table)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import insert, text

from bot.cli import main
from bot.embedded import Queue, open_queue
from bot.jobs import Jobs
from bot.settings import read_settings
from pipeline.errors import QueueUnavailable
from pipeline.messages import NORMAL
from pipeline.store.columns import database_now
from pipeline.store.tables import outbox
from tests.harness import Bench

KEY = "A" * 43 + "="


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path)
    for name, value in {"STATE_DIR": str(made.state), "ENGINES_DIR": str(tmp_path / "no-engines"), "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"FIXWRIGHT_{name}", value)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "queue")})
    settings.state_dir.mkdir()
    made = open_queue(settings)
    yield made
    if made.service is not None:
        made.service.stop()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    main(arguments)
    return capsys.readouterr().out


def unwell(queue: Queue, how: str) -> None:
    """Make the queue full, or a replica that takes no writes."""
    with redis.Redis.from_url(queue.url) as client:
        if how == "full":
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
        else:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")


@pytest.mark.parametrize(("how", "word"), [("full", "maxmemory"), ("a replica", "replica")])
def test_a_queue_that_takes_no_work_is_told_from_one_that_does_not_answer(
    how: str, word: str, queue: Queue, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", queue.url)
    assert "the queue does not answer" not in said(capsys, "status")
    unwell(queue, how)
    (line,) = [line for line in said(capsys, "status").splitlines() if "the queue does not answer" in line]
    assert "Redis takes no work" in line
    assert word in line
    (line,) = [line for line in said(capsys, "doctor").splitlines() if line.startswith("!! queue")]
    assert word in line
    assert bench.work() == 0


def test_a_queue_that_is_away_says_so(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable, match="Redis does not answer"):
        Jobs(f"unix://{tmp_path}/nobody.sock").wake()


def test_a_host_that_does_not_answer_and_what_is_tried_again_are_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "kind": "speak",
        "body": "{}",
        "priority": NORMAL,
        "status": "pending",
        "created_at": database_now(),
        "publish_at": database_now(),
    }
    row |= {"due_at": database_now() + 600}
    causes = [("HOST_UNAVAILABLE", "github:github.com"), ("HOST_UNAVAILABLE", "github:github.com"), ("ENGINE_CRASHED", "")]
    with bench.app.database.work() as work:
        for number, (code, host) in enumerate(causes):
            named = {"id": f"m{number}", "key": f"k{number}", "error_code": code, "waits_for": host}
            work.transaction.execute(insert(outbox).values(**row, **named))
    troubles = json.loads(said(capsys, "status", "--json"))["troubles"]
    assert "github:github.com does not answer: 2 messages wait for it, and go on when it does" in troubles
    shown = said(capsys, "status")
    assert "tried again 2 HOST_UNAVAILABLE (github:github.com), 1 ENGINE_CRASHED" in shown


def test_a_database_that_is_none_is_named_by_its_code(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.app.database.dispose()
    for part in bench.state.glob("fixwright.db*"):
        part.write_bytes(b"this is no database, and was one" * 400)
    assert "SQLITE_NOTADB" in said(capsys, "status").splitlines()[0]


def test_a_database_of_a_newer_version_is_not_offered_a_migration(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with bench.app.database.work() as work:
        work.transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    first = said(capsys, "status").splitlines()[0]
    assert "has schema 9999, which this version of Fixwright does not know: a newer Fixwright has used this database" in first
    assert "migrate" not in first
