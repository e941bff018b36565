"""What an operator asks and decides beside the running processes: status, repositories, organizations."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select, update

from bot import pulse
from bot.cli import main
from bot.cli.queue import MOST
from bot.cli.status import look, text
from bot.jobs import take_back
from bot.pulse import Pulse, silent_here
from bot.settings import read_settings
from bot.wiring import wire
from pipeline.messages import Envelope, PurgeRepository, SettleReview
from pipeline.model.event import PullRequestAction
from pipeline.model.ids import ReviewId
from pipeline.model.scan import ScanType
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.processes import ALIVE_SECONDS
from pipeline.store.tables import outbox, processes, repositories
from tests.fakes import LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.use(scanners=[LineScanner(ScanType.SEMGREP)], fixers=[])
    for name, value in {"STATE_DIR": str(made.state), "ENGINES_DIR": str(tmp_path / "no-engines"), "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"FIXWRIGHT_{name}", value)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


@pytest.fixture
def repo(tmp_path: Path) -> LocalRepo:
    made = LocalRepo(tmp_path / "work" / "shop")
    made.commit({"a.txt": "fine\n", ".fixwright.yml": "engines:\n  required: [semgrep_scan]\n"})
    made.commit({"b.txt": "BAD\n"}, branch="feature")
    return made


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out + said.err


def _status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    _, said = _run(capsys, "status", "--json")
    found: dict[str, Any] = json.loads(said)
    return found


def test_status_says_the_cause_first_and_fits_a_screen(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "status")
    assert code == 3
    assert said.splitlines()[0].startswith("!! no web process lives")
    assert len(said.splitlines()) <= 24


def test_of_a_database_that_cannot_be_used_status_says_the_cause_and_no_zeros(tmp_path: Path) -> None:
    app = wire(read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path)}), f"unix://{tmp_path / 'no-queue.sock'}")
    said = text(look(app))
    app.database.dispose()
    assert said.startswith("!! the database has schema none")
    assert "database    sqlite, cannot be used" in said
    assert not [word for word in ("processes", "waiting", "given up", "installed", "delivery") if f"\n{word}" in said]


def test_a_process_that_falls_silent_is_not_taken_for_alive(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    database = bench.app.database
    for kind in ("web", "relay", "worker"):
        with database.work() as work:
            work.processes.beat(f"host:{kind}", kind)
    assert not [trouble for trouble in _status(capsys)["troubles"] if "process lives" in trouble]
    with database.work() as work:
        work.transaction.execute(update(processes).where(processes.c.kind == "relay").values(seen_at=database_now() - 60))
    assert [trouble for trouble in _status(capsys)["troubles"] if "no relay process lives" in trouble]


def test_two_processes_with_one_host_name_and_number_are_two() -> None:
    """As in two containers: each counts its processes from 1, and a host name can be given to both."""
    first, second = (_once_more(pulse).process_name() for _ in range(2))
    place = f"{socket.gethostname()}:{os.getpid()}-"
    assert first.startswith(place)
    assert second.startswith(place)
    assert first != second


def _once_more(module: ModuleType) -> ModuleType:
    """As another process has it that begins now."""
    spec = module.__spec__
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_worker_takes_back_what_it_held_and_not_what_its_namesake_holds(bench: Bench) -> None:
    with bench.app.database.work() as work:
        for key in ("mine", "theirs"):
            work.outbox.send(Envelope(SettleReview(ReviewId(key)), key))
    owners = {key: _once_more(pulse).process_name() for key in ("mine", "theirs")}
    with bench.app.database.work() as work:
        for message in work.outbox.publishable(10):
            found = work.transaction.execute(select(outbox.c.key).where(outbox.c.id == message.message_id)).scalar_one()
            assert work.outbox.claim(message.message_id, owners[found]) is not None
        take_back(work, owners["mine"])
        held = work.transaction.execute(select(outbox.c.key, outbox.c.status, outbox.c.crashes)).all()
    assert sorted(tuple(row) for row in held) == [("mine", "pending", 1), ("theirs", "running", 0)]


def test_a_container_is_not_taken_for_alive_as_its_namesake_lives(tmp_path: Path) -> None:
    """They share the state folder."""
    (tmp_path / "alive").mkdir()
    (tmp_path / "alive" / f"worker.{socket.gethostname()}-4000000000.{os.getpid()}").touch()
    assert silent_here(tmp_path, "worker") is None


def test_a_process_takes_its_word_back_when_it_ends(bench: Bench) -> None:
    def kinds() -> list[str]:
        with bench.app.database.read() as work:
            return [process.kind for process in work.processes.all()]

    with Pulse(bench.app.database, "relay", bench.app.settings.state_dir):
        assert kinds() == ["relay"]
    assert kinds() == []


def test_a_process_whose_database_is_away_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A health check that restarted it would help nobody."""
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:9/none")
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", KEY)
    database = Database.open(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    assert _run(capsys, "status", "--process", "relay")[0] == 3
    with Pulse(database, "relay", tmp_path):
        code, said = _run(capsys, "status", "--process", "relay")
        assert (code, said.split(" on ")[0]) == (0, "relay lives")
        assert _run(capsys, "status", "--process", "worker")[0] == 3, "another kind says nothing of it"
        (file,) = (tmp_path / "alive").iterdir()
        hung = time.time() - ALIVE_SECONDS - 5
        os.utime(file, (hung, hung))
        code, said = _run(capsys, "status", "--process", "relay")
        assert code == 3
        assert "heard of 35 s ago" in said
    assert list((tmp_path / "alive").iterdir()) == [], "it takes its word back"
    database.dispose()


def test_what_was_given_up_is_named_with_its_cause_and_its_delivery(
    bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = bench.pull_request(repo, "feature")
    bench.changed(ref, delivery="72d3162e")
    with bench.app.database.work() as work:
        work.transaction.execute(update(outbox).values(status="dead", error_code="HOST_FORBIDDEN", attempts=6, finished_at=database_now()))
    (letter,) = _status(capsys)["dead_letters"]
    assert (letter["kind"], letter["code"], letter["delivery_id"]) == ("accept_event", "HOST_FORBIDDEN", "72d3162e")
    code, said = _run(capsys, "status")
    assert code == 3
    assert "accept_event: HOST_FORBIDDEN after 6 attempts, delivery 72d3162e" in said


def test_what_was_given_up_can_be_tried_again_or_dropped(bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    for delivery in ("one", "two"):
        bench.changed(bench.pull_request(repo, "feature"), delivery=delivery)
    with bench.app.database.work() as work:
        work.transaction.execute(update(outbox).values(status="dead", error_code="HOST_FORBIDDEN", attempts=6, finished_at=database_now()))
    first, second = (letter["id"] for letter in json.loads(_run(capsys, "queue", "list", "--json")[1])["dead"])
    assert _run(capsys, "queue", "retry", "nothing")[0] == 2
    assert _run(capsys, "queue", "drop", first)[0] == 0
    assert _run(capsys, "queue", "retry", "all")[0] == 0
    with bench.app.database.read() as work:
        (row,) = work.transaction.execute(outbox.select())
        assert (row.id, row.status, row.attempts) == (second, "pending", 0)
    assert "nothing was given up" in _run(capsys, "queue", "list")[1]


def test_all_means_all_however_many_were_given_up(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    many = [Envelope(SettleReview(ReviewId("gone"), again=True), f"dead{n}", group="") for n in range(MOST + 2)]
    with bench.app.database.work() as work:
        work.outbox.send(*many)
        work.transaction.execute(update(outbox).values(status="dead", error_code="STORE_UNAVAILABLE", finished_at=database_now()))
        work.transaction.execute(update(outbox).where(outbox.c.key == "dead7").values(finished_at=database_now() - 86_400))
        oldest = work.outbox.dead_ids()[0]
    assert _run(capsys, "queue", "drop", oldest) == (0, "1 message is forgotten\n")
    assert _run(capsys, "queue", "retry", "all") == (0, f"{MOST + 1} messages are due again\n")
    with bench.app.database.read() as work:
        assert work.outbox.dead_ids() == []
        assert work.outbox.backlog().waiting == MOST + 1


def test_the_queue_shows_what_waits_what_is_worked_and_what_was_given_up(
    bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]
) -> None:
    for delivery in ("one", "two", "three"):
        bench.changed(bench.pull_request(repo, "feature"), delivery=delivery)
    with bench.app.database.work() as work:
        first, second, _ = (row.id for row in work.transaction.execute(outbox.select().order_by(outbox.c.id)))
        assert work.outbox.claim(first, "host:1") is not None
        claimed = work.outbox.claim(second, "host:1")
        assert claimed is not None
        work.outbox.fail(second, claimed.epoch, error_code="HOST_FORBIDDEN", retry_in=None)
    code, said = _run(capsys, "queue", "list")
    lines = said.splitlines()
    assert code == 0
    assert [line.split(",")[0] for line in lines[:4]] == [
        "command     0 waiting",
        "interactive 0 waiting",
        "normal      1 waiting",
        "batch       0 waiting",
    ]
    assert lines[4] == "running     1"
    assert lines[5].startswith("  accept_event on host:1, 0 s old; its lease ends in ")
    assert lines[6:] == ["given up    1", f"  accept_event: HOST_FORBIDDEN after 1 attempts, delivery two ({second})"]
    told = json.loads(_run(capsys, "queue", "list", "--json")[1])
    assert [one["priority"] for one in told["waiting"]] == ["command", "interactive", "normal", "batch"]
    assert [(one["id"], one["owner"]) for one in told["running"]] == [(first, "host:1")]
    assert [(one["id"], one["code"], one["delivery_id"]) for one in told["dead"]] == [(second, "HOST_FORBIDDEN", "two")]
    said = _run(capsys, "doctor")[1]
    assert "1 messages wait, the oldest due for" in said
    assert f"accept_event: HOST_FORBIDDEN after 1 attempts, delivery two ({second})" in said
    assert "see all, try again or drop: fixwright queue list" in said


def test_a_disk_that_is_nearly_full_is_the_first_thing_said_and_scans_wait(
    bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.app.settings = replace(bench.app.settings, min_free_mb=1e9)
    bench.review(repo, "feature")
    with bench.app.database.read() as work:
        waiting = {row.kind: row.status for row in work.transaction.execute(outbox.select()) if row.kind == "run_scan"}
        attempts = work.transaction.execute(outbox.select().where(outbox.c.kind == "run_scan")).one().attempts
    assert (waiting, attempts) == ({"run_scan": "pending"}, 0)
    monkeypatch.setenv("FIXWRIGHT_MIN_FREE_MB", "1000000")
    _, said = _run(capsys, "status")
    assert said.startswith("!! scans wait: ")


def test_one_id_follows_a_delivery_through_everything_that_it_caused(bench: Bench, repo: LocalRepo) -> None:
    ref = bench.pull_request(repo, "feature")
    bench.changed(ref, delivery="72d3162e")
    bench.work()
    with bench.app.database.read() as work:
        rows = work.transaction.execute(outbox.select()).all()
    assert {row.kind for row in rows} >= {"accept_event", "start_review", "run_scan", "settle_review", "publish_check"}
    assert {row.delivery_id for row in rows} == {"72d3162e"}
    assert len({row.begun_at for row in rows}) == 1


def test_a_disabled_repository_is_acknowledged_and_left_alone(bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    ref = bench.review(repo, "feature")
    code, said = _run(capsys, "repositories", "disable", repo.source.full_name)
    assert (code, "is disabled" in said) == (0, True)
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature")
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert bench.checks(repo, head) == []
    assert _run(capsys, "repositories", "enable", repo.source.full_name)[0] == 0
    bench.changed(ref, PullRequestAction.UPDATED)
    bench.work()
    assert [check.status for check in bench.checks(repo, head)] == ["completed"]


def test_disabling_ends_a_check_that_is_in_progress_and_says_why(bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    bench.app.settings = replace(bench.app.settings, min_free_mb=1e9)  # the scan waits
    bench.review(repo, "feature")
    _, said = _run(capsys, "repositories", "disable", repo.source.full_name)
    assert "1 checks in progress are withdrawn" in said
    bench.work()
    with bench.app.database.read() as work:
        (shown,) = list(work.transaction.execute(outbox.select().where(outbox.c.kind == "withdraw_review")))
    assert shown.status == "done"
    assert "Disabled by the operator" in shown.body


def test_a_purge_asks_first_and_then_leaves_nothing(bench: Bench, repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    bench.review(repo, "feature")
    name = repo.source.full_name
    code, said = _run(capsys, "repositories", "purge", name)
    assert (code, "--yes" in said) == (2, True)
    assert _run(capsys, "repositories", "purge", name, "--yes")[0] == 0
    assert _run(capsys, "repositories", "purge", name, "--yes")[0] == 2
    _, said = _run(capsys, "repositories", "list", "--json")
    assert json.loads(said) == {"repositories": [], "groups": []}
    left = [path for path in bench.state.rglob("*") if path.is_file() and "local" not in path.relative_to(bench.state).parts]
    assert left
    assert [path.name for path in left if name.encode() in path.read_bytes()] == []


def test_what_is_gone_is_purged_by_a_worker_unless_it_came_back(bench: Bench, repo: LocalRepo) -> None:
    bench.review(repo, "feature")

    def known() -> list[str]:
        with bench.app.database.read() as work:
            return [one.name for one in work.repositories.all()]

    for state, left in (("active", [repo.source.full_name]), ("gone", [])):
        with bench.app.database.work() as work:
            (one,) = work.repositories.all()
            work.transaction.execute(update(repositories).values(state=state))
            work.outbox.send(Envelope(PurgeRepository(one.id), f"purge:{state}"))
        bench.work()
        assert known() == left
    with bench.app.database.read() as work:
        assert {(row.kind, row.status) for row in work.transaction.execute(outbox.select())} == {("purge_repository", "done")}
    assert list((bench.state / "mirrors").glob("*.git*")) == []


def test_an_unknown_repository_is_a_mistake_of_the_call(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _run(capsys, "repositories", "disable", "nobody/nothing")
    assert code == 2
    assert "no repository nobody/nothing is known here" in said


def test_installations_join_the_default_organization_and_can_be_moved(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with bench.app.database.work() as work:
        work.installations.upsert(INSTALLATION)
    assert json.loads(_run(capsys, "organizations", "list", "--json")[1])["installations"][0]["organization"] == "default"
    assert _run(capsys, "organizations", "create", "blue-team", "--name", "Blue")[0] == 0
    assert _run(capsys, "organizations", "create", "blue-team")[0] == 2
    assert _run(capsys, "organizations", "create", "Not a slug")[0] == 2
    assert _run(capsys, "organizations", "move", INSTALLATION.account, "nowhere")[0] == 2
    assert _run(capsys, "organizations", "move", INSTALLATION.account, "blue-team")[0] == 0
    assert json.loads(_run(capsys, "organizations", "list", "--json")[1])["installations"][0]["organization"] == "blue-team"


def test_an_installation_can_get_an_organization_of_its_own(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIXWRIGHT_ORGANIZATION_PER_INSTALLATION", "1")
    with bench.app.database.work() as work:
        for account, number in (("Acme Inc.", "1"), ("acme-inc", "2")):
            work.installations.upsert(replace(INSTALLATION, account=account, external_id=number))
    inside = json.loads(_run(capsys, "organizations", "list", "--json")[1])["installations"]
    assert len({one["organization"] for one in inside}) == 2
    assert all(one["organization"].startswith("acme-inc-") for one in inside)
