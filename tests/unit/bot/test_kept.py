"""Deliveries of a host that does not deliver again: what the database does not take waits in a file, and is worked once when it does."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.cli.status import look
from bot.kept import Kept, folders
from bot.metrics import render
from bot.pressure import Limits, Pressure
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import DeliveryPutOff, StoreUnavailable
from pipeline.model.event import Delivery
from pipeline.ports import Configuration, Configurations
from pipeline.signing import sign
from pipeline.store.intake import Intake
from pipeline.store.spool import Spool
from pipeline.store.tables import deliveries, outbox
from providers.local.record import KEPT
from tests.unit.bot.test_webhooks import EVENT, SECRET, signed
from tests.unit.providers import gitlab_payloads as made
from tests.unit.store.samples import envelope

BODY = json.dumps(EVENT).encode()


def wired(tmp_path: Path, **more: str) -> App:
    settings = {"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": SECRET, "FIXWRIGHT_INTAKE_FREE_MB": "0", **more}
    made = wire(read_settings(settings), f"unix://{tmp_path / 'no-queue.sock'}")
    made.database.migrate()
    return made


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = wired(tmp_path)
    yield made
    made.database.dispose()


@contextmanager
def locked(app: App) -> Iterator[None]:
    """Somebody writes to the SQLite database and does not end."""
    with closing(sqlite3.connect(app.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def post(client: TestClient, identity: str = "one") -> tuple[int, str]:
    answer = client.post("/webhooks/local", content=BODY, headers=signed(BODY, identity=identity))
    return answer.status_code, answer.json().get("status", answer.json().get("error"))


def known(app: App) -> list[str]:
    """Ids of the deliveries in the database, in the order in which they came there."""
    with app.database.read() as work:
        found = work.transaction.execute(select(deliveries.c.delivery_id).order_by(deliveries.c.received_at, deliveries.c.id))
        return [row.delivery_id for row in found]


def wait(look: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def drained(app: App) -> int:
    """What another web process takes at its start."""
    intake = Intake.open(app.settings.database_url)
    intake.start()
    try:
        return kept(app, intake).drain()
    finally:
        intake.stop()


def kept(app: App, intake: Intake) -> Kept:
    own = (app.settings.spool_dir, 1_000_000)
    return Kept(*own, app.plugins.providers, app.places.configurations, intake, app.pressure, app.database.vault)


def old(identity: str, seconds: float = 3600.0, secret: str = SECRET) -> Delivery:
    """A delivery that was verified so long ago."""
    at = int(time.time() - seconds)
    headers = {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": sign(secret.encode(), identity, at, BODY)}
    return Delivery("local", "", headers, BODY, float(at))


def test_with_the_database_locked_a_delivery_waits_in_a_file_and_is_taken_once(app: App) -> None:
    with TestClient(make_asgi(app)) as client:
        with locked(app):
            assert post(client, "first") == (202, "spooled")
        wait(lambda: not list(app.settings.spool_dir.iterdir()))
        assert known(app) == ["first"]
        assert post(client, "first") == (202, "repeated")
        with app.database.read() as work:
            assert work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one() == 1


@pytest.mark.parametrize("proof", [made.with_token, made.with_signature], ids=["secret token", "signature"])
def test_a_delivery_of_gitlab_is_verified_again_when_it_is_taken_from_its_file_however_it_proved_itself(
    tmp_path: Path, proof: made.Proof
) -> None:
    settings = {f"FIXWRIGHT_GITLAB_{name}": value for name, value in made.CONFIGURATION.items()}
    app = wired(tmp_path, **settings)
    body = made.body_of(made.push())
    an_hour_ago = int(time.time()) - 3600
    headers = proof(body, "key-1") if proof is made.with_token else made.with_signature(body, "key-1", at=an_hour_ago)
    lower = {name.lower(): value for name, value in headers.items()}
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(Delivery("gitlab", "", {**lower, "cookie": "a session"}, body, float(an_hour_ago)))
    spool.keep(Delivery("gitlab", "", lower, body.replace(b"main", b"evil"), float(an_hour_ago)))
    spool.close()
    # The signature is of the body, the secret token is not.
    assert drained(app) == (2 if proof is made.with_token else 1)
    assert known(app) == ["key-1"]
    app.database.dispose()


def test_what_gitlab_delivers_while_the_database_is_locked_is_not_lost(tmp_path: Path) -> None:
    settings = {f"FIXWRIGHT_GITLAB_{name}": value for name, value in made.CONFIGURATION.items()}
    app = wired(tmp_path, **settings)
    body = made.body_of(made.merge_request())
    with TestClient(make_asgi(app)) as client:
        with locked(app):
            answer = client.post("/webhooks/gitlab", content=body, headers=made.with_token(body, "key-1"))
            assert (answer.status_code, answer.json()["status"]) == (202, "spooled")
        wait(lambda: known(app) == ["key-1"])
    app.database.dispose()


def test_what_lies_there_after_a_crash_is_taken_in_order_by_the_next_process_however_old_it_is(app: App) -> None:
    spool = Spool(app.settings.spool_dir, 1_000_000)
    for number in range(70):
        spool.keep(old(f"d{number:02}"))
    spool.close()
    assert drained(app) == 70
    assert known(app) == [f"d{number:02}" for number in range(70)]
    with app.database.read() as work:
        assert work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one() == 70
    assert drained(app) == 0


def test_drained_twice_is_once(app: App) -> None:
    """A process that dies between the commit and the removal of the file leaves it to the next one."""
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("one"))
    spool.close()
    (segment,) = app.settings.spool_dir.iterdir()
    content = segment.read_bytes()
    assert drained(app) == 1
    segment.write_bytes(content)
    assert drained(app) == 1
    assert known(app) == ["one"]
    with app.database.read() as work:
        assert work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one() == 1


def test_what_a_hook_kept_is_taken_too_and_a_forged_one_is_set_aside(app: App, caplog: pytest.LogCaptureFixture) -> None:
    (folder,) = folders({"local": app.plugins.providers["local"]}, app.places.configurations)
    assert folder == app.settings.state_dir / "local" / KEPT
    spool = Spool(folder, 1_000_000)
    for one in (old("good"), old("forged", secret="not the " + "secret")):
        spool.keep(one)
    spool.close()
    assert drained(app) == 1
    assert known(app) == ["good"]
    assert spool.lying().damaged == 1
    assert "delivery.kept_refused" in caplog.text


def test_while_the_database_is_away_nothing_of_it_is_lost(app: App) -> None:
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("one"))
    spool.close()
    with pytest.raises(StoreUnavailable):
        kept(app, Intake.open(app.settings.database_url)).drain()
    assert drained(app) == 1


def test_a_damaged_database_costs_nothing_that_was_acknowledged(app: App) -> None:
    app.database.dispose()
    sound = app.database.path.read_bytes()
    app.database.path.write_bytes(b"no database at all " * 500)
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("kept before"))
    spool.close()
    with TestClient(make_asgi(app)) as client:
        assert post(client, "came meanwhile") == (202, "spooled")
        with pytest.raises(StoreUnavailable):
            drained(app)
        assert (spool.lying().segments, spool.lying().damaged) == (2, 0)
        app.database.path.write_bytes(sound)
        wait(lambda: not spool.lying().segments)
    assert sorted(known(app)) == ["came meanwhile", "kept before"]
    assert spool.lying().damaged == 0


def test_one_of_a_host_that_is_not_set_up_any_more_holds_up_no_other(tmp_path: Path) -> None:
    settings = {f"FIXWRIGHT_GITLAB_{name}": value for name, value in made.CONFIGURATION.items()}
    app = wired(tmp_path, **{**settings, "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": ""})
    body = made.body_of(made.push())
    headers = {name.lower(): value for name, value in made.with_token(body, "key-1").items()}
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("local"))
    spool.keep(Delivery("gitlab", "", headers, body, time.time()))
    spool.close()
    assert drained(app) == 1
    assert (known(app), spool.lying().segments, spool.lying().damaged) == (["key-1"], 0, 1)
    app.database.dispose()


class Stumbling:
    """Settings that cannot be told at first, for a reason that nobody thought of."""

    def __init__(self, real: Configurations) -> None:
        self.real, self.stumbled = real, 0

    def of(self, provider: str, instance: str) -> Configuration:
        """As the real ones, from the second time on."""
        if not self.stumbled:
            self.stumbled += 1
            raise KeyError("a bug")
        return self.real.of(provider, instance)

    def at_once(self, provider: str, instance: str) -> Configuration | None:
        """See `Configurations`."""
        return self.real.at_once(provider, instance)

    def instances(self, provider: str) -> Sequence[str]:
        """See `Configurations`."""
        return self.real.instances(provider)


def test_a_fault_of_ours_does_not_end_the_taking(app: App, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("one"))
    spool.close()
    settings = Stumbling(app.places.configurations)
    intake = Intake.open(app.settings.database_url)
    intake.start()
    taking = Kept(app.settings.spool_dir, 1_000_000, app.plugins.providers, settings, intake, app.pressure, app.database.vault)
    taking.start()
    wait(lambda: known(app) == ["one"])
    taking.stop()
    intake.stop()
    assert settings.stumbled == 1
    assert [record.message for record in caplog.records].count("delivery.kept_fault") == 1


def test_with_no_room_for_a_file_it_is_503(tmp_path: Path) -> None:
    app = wired(tmp_path, FIXWRIGHT_SPOOL_MB="0")
    with TestClient(make_asgi(app)) as client:
        with locked(app):
            answer = client.post("/webhooks/local", content=BODY, headers=signed(BODY))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    app.database.dispose()


def full_queue(app: App, count: int = 11) -> None:
    with app.database.work() as work:
        work.outbox.send(*(envelope(f"m{number}") for number in range(count)))


def test_a_full_queue_is_503_to_a_host_that_delivers_again_and_a_file_for_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = wired(tmp_path, FIXWRIGHT_MAX_WAITING="10", FIXWRIGHT_GITHUB_WEBHOOK_SECRET=SECRET)
    full_queue(app)
    with TestClient(make_asgi(app)) as client:
        wait(lambda: app.pressure.reasons)
        refused = [client.post("/webhooks/github", content=b"{}") for _ in range(5)]
        assert {(one.status_code, one.json()["error"], one.headers["retry-after"]) for one in refused} == {(503, "DELIVERY_PUT_OFF", "10")}
        assert post(client) == (202, "spooled")
        assert "FIXWRIGHT_MAX_WAITING" in client.get("/readyz").json()["checks"]["intake"]
        with app.database.work() as work:
            work.transaction.execute(outbox.delete())
        wait(lambda: known(app) == ["one"])
        assert post(client, "two") == (202, "accepted")
    assert [record.message for record in caplog.records].count("intake.refusing") == 1
    assert [record.message for record in caplog.records].count("intake.taking_again") == 1
    app.database.dispose()


def test_too_little_room_on_the_disk_is_503_to_everybody(tmp_path: Path) -> None:
    app = wired(tmp_path, FIXWRIGHT_INTAKE_FREE_MB="1000000")
    with TestClient(make_asgi(app)) as client:
        wait(lambda: app.pressure.reasons)
        assert post(client) == (503, "DELIVERY_PUT_OFF")
        assert client.get("/readyz").status_code == 503
    app.database.dispose()


def test_bodies_are_counted_while_they_are_held_and_too_many_are_503(app: App) -> None:
    app.pressure.limits = Limits(100, 0, held_bytes=len(BODY))
    with TestClient(make_asgi(app)) as client:
        assert post(client, "fits") == (202, "accepted")
        assert app.pressure.held == 0
        app.pressure.hold(1)
        assert post(client, "does not") == (503, "DELIVERY_PUT_OFF")
        assert app.pressure.held == 1
        app.pressure.let_go(1)
        assert post(client, "fits again") == (202, "accepted")


def test_a_limit_is_over_only_below_nine_tenths_of_it(app: App) -> None:
    pressure = Pressure(app.database, app.settings.state_dir, Limits(10, 0, 1000))
    full_queue(app)
    assert "queue" in pressure.look()
    with app.database.work() as work:
        work.transaction.execute(outbox.delete().where(outbox.c.key == "m0"))
    assert "queue" in pressure.look(), "ten are as many as there may be, and eleven there were"
    with pytest.raises(DeliveryPutOff):
        pressure.check()
    with app.database.work() as work:
        work.transaction.execute(outbox.delete().where(outbox.c.key == "m1"))
    assert pressure.look() == {}
    pressure.check()


def test_a_database_that_is_away_changes_nothing_of_what_is_known_of_the_queue(tmp_path: Path) -> None:
    app = wired(tmp_path)
    app.pressure.limits = Limits(10, 0, 1000)
    full_queue(app)
    assert "queue" in app.pressure.look()
    app.database.dispose()
    app.database.path.unlink()
    for beside in app.database.path.parent.glob("fixwright.db-*"):
        beside.unlink()
    assert "queue" in app.pressure.look()
    app.database.dispose()


def test_status_and_metrics_say_what_is_refused_and_what_waits_in_files(tmp_path: Path) -> None:
    app = wired(tmp_path, FIXWRIGHT_MAX_WAITING="10")
    full_queue(app)
    spool = Spool(app.settings.spool_dir, 1_000_000)
    spool.keep(old("one"))
    spool.close()
    (app.settings.spool_dir / "0.damaged").write_bytes(b"what is left")
    report = look(app)
    assert "deliveries are refused: more than 10 messages wait (FIXWRIGHT_MAX_WAITING)" in report.troubles
    assert (report.spool_bytes > 100, report.spool_damaged) == (True, 1)
    shown = render(app).decode()
    assert 'fixwright_intake_refusing{reason="queue"} 1.0' in shown
    assert 'fixwright_intake_refusing{reason="disk"} 0.0' in shown
    assert f"fixwright_spool_bytes {report.spool_bytes}.0" in shown
    assert "fixwright_spool_damaged 1.0" in shown
    app.database.dispose()
