"""POST /webhooks: what is accepted is durable, what is not leaves nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bot.asgi import READY_SECONDS, Readiness, live, make_asgi
from bot.jobs import NoQueue
from bot.kept import Kept
from bot.pulse import Pulse
from bot.settings import read_settings
from bot.webhooks import INLINE, MAX_BODY, Webhooks
from bot.wiring import App, wire
from pipeline.signing import sign
from pipeline.store.intake import Intake
from pipeline.store.tables import outbox

SECRET = "a secret of this " + "test"
REPOSITORY = {"id": "r1", "name": "shop", "path": "/srv/shop.git", "default_branch": "main"}
EVENT = {
    "event": "pull_request",
    "action": "opened",
    "number": 1,
    "head": "1" * 40,
    "repository": REPOSITORY,
    "sender": {"id": "a", "login": "a"},
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": SECRET})
    made = wire(settings, f"unix://{tmp_path / 'no-queue.sock'}")
    made.database.migrate()
    yield made
    made.database.dispose()


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(make_asgi(app), raise_server_exceptions=True) as made:
        yield made


def signed(body: bytes, *, secret: str = SECRET, identity: str = "", at: float | None = None) -> dict[str, str]:
    identity = identity or uuid.uuid4().hex
    when = int(time.time() if at is None else at)
    return {"webhook-id": identity, "webhook-timestamp": str(when), "webhook-signature": sign(secret.encode(), identity, when, body)}


def kept_by(app: App, intake: Intake) -> Kept:
    return Kept(app.settings.spool_dir, 1_000_000, app.plugins.providers, app.places.configurations, intake, app.pressure)


def stored(app: App) -> int:
    with app.database.read() as work:
        return int(work.transaction.execute(select(func.count()).select_from(outbox)).scalar_one())


def test_a_signed_delivery_is_accepted_and_stored(client: TestClient, app: App) -> None:
    body = json.dumps(EVENT).encode()
    answer = client.post("/webhooks/local", content=body, headers=signed(body))
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    assert stored(app) == 1


def test_the_same_delivery_again_is_a_no_op(client: TestClient, app: App) -> None:
    body = json.dumps(EVENT).encode()
    headers = signed(body, identity="one")
    statuses = [client.post("/webhooks/local", content=body, headers=headers).json()["status"] for _ in range(5)]
    assert statuses == ["accepted", *["repeated"] * 4]
    assert stored(app) == 1


@pytest.mark.parametrize(
    "headers",
    [
        lambda body: {},
        lambda body: signed(body, secret="another secret"),
        lambda body: signed(body + b" "),
        lambda body: signed(body, at=time.time() - 3600),
        lambda body: signed(body) | {"webhook-timestamp": "yesterday"},
        lambda body: signed(body) | {"webhook-signature": "v1,\u00fc"},
    ],
    ids=["none", "other secret", "other body", "old", "no time", "not ASCII"],
)
def test_a_delivery_that_is_not_signed_well_is_refused_and_not_stored(client: TestClient, app: App, headers: object) -> None:
    body = json.dumps(EVENT).encode()
    assert callable(headers)
    given = {name: value.encode("utf-8") for name, value in headers(body).items()}
    answer = client.post("/webhooks/local", content=body, headers=given)
    assert answer.status_code == 401
    assert stored(app) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        json.dumps({"event": "push", "deep": json.loads("[" * 80 + "]" * 80)}).encode(),
        json.dumps(EVENT | {"repository": None}).encode(),
        json.dumps(EVENT | {"number": "one"}).encode(),
        json.dumps({k: v for k, v in EVENT.items() if k != "event"}).encode(),
        b'{"event": "\xff"}',
    ],
    ids=["empty", "text", "array", "string", "null", "brackets", "nested", "too deep", "null part", "wrong type", "no event", "not UTF-8"],
)
def test_a_signed_body_that_is_not_what_we_know_is_400(client: TestClient, app: App, body: bytes) -> None:
    answer = client.post("/webhooks/local", content=body, headers=signed(body))
    assert answer.status_code == 400
    assert answer.json()["error"] == "MALFORMED_DELIVERY"
    assert stored(app) == 0


def test_a_body_that_is_too_large_is_413_before_it_is_read(client: TestClient, app: App) -> None:
    answer = client.post("/webhooks/local", content=b"x", headers={"content-length": str(MAX_BODY + 1)})
    assert answer.status_code == 413
    assert stored(app) == 0


def test_an_endless_body_is_413(client: TestClient, app: App) -> None:
    chunk = b"x" * (1 << 20)
    answer = client.post("/webhooks/local", content=(chunk for _ in range(MAX_BODY // len(chunk) + 2)))
    assert answer.status_code == 413
    assert stored(app) == 0


def test_only_so_many_large_bodies_are_held_at_once_and_small_ones_need_no_place(app: App) -> None:
    """Who sends them is known only at the end: without a bound strangers could fill the memory."""
    intake = Intake.open(app.settings.database_url)
    intake.start()
    kept = kept_by(app, intake)
    hooks = Webhooks(app.plugins.providers, app.places.configurations, intake, app.pressure, kept, large_at_once=2, room_seconds=0.1)
    small = json.dumps(EVENT).encode()

    async def visits() -> None:
        transport = httpx.ASGITransport(Starlette(routes=list(hooks.routes())))
        async with httpx.AsyncClient(transport=transport, base_url="http://fixwright.test") as http:
            end, started = asyncio.Event(), [asyncio.Event(), asyncio.Event()]

            async def slow(one: asyncio.Event) -> AsyncIterator[bytes]:
                yield b" " * (INLINE + 1)
                one.set()
                await end.wait()

            under_way = [asyncio.create_task(http.post("/webhooks/local", content=slow(one))) for one in started]
            await asyncio.gather(*(one.wait() for one in started))
            refused = await http.post("/webhooks/local", content=b" " * (INLINE + 1))
            assert (refused.status_code, refused.json()["error"]) == (503, "DELIVERY_PUT_OFF")
            assert int(refused.headers["retry-after"]) > 0
            assert (await http.post("/webhooks/local", content=small, headers=signed(small))).status_code == 202
            end.set()
            assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {401}
            large = small[:-1] + b" " * INLINE + b"}"
            for _ in range(3):
                assert (await http.post("/webhooks/local", content=large, headers=signed(large))).status_code == 202, (
                    "places are free again"
                )

    try:
        asyncio.run(visits())
    finally:
        intake.stop()


def test_an_event_that_concerns_nobody_is_acknowledged_and_ignored(client: TestClient, app: App) -> None:
    body = json.dumps(EVENT | {"event": "ping"}).encode()
    answer = client.post("/webhooks/local", content=body, headers=signed(body))
    assert answer.status_code == 202
    assert answer.json()["status"] == "ignored"
    assert stored(app) == 0


def test_a_provider_without_its_secret_says_which_one_it_needs(client: TestClient) -> None:
    answer = client.post("/webhooks/github", content=b"{}")
    assert answer.status_code == 503
    assert "FIXWRIGHT_GITHUB_WEBHOOK_SECRET" in answer.json()["hint"]


def test_an_unknown_provider_is_404(client: TestClient) -> None:
    assert client.post("/webhooks/nowhere", content=b"{}").status_code == 404


def test_health_is_told_apart_from_readiness(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"]["provider local"] == "ok"
    assert "kept" in ready.json()["checks"]["queue"]


def test_pages_and_readiness_do_not_wait_for_what_deliveries_wait_for(app: App) -> None:
    """Reading large deliveries may take every thread of the loop."""
    end = threading.Event()

    async def visits() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        held = loop.run_in_executor(None, end.wait, 30)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_asgi(app)), base_url="http://127.0.0.1") as http:
            try:
                async with asyncio.timeout(10):
                    return [(await http.get(address)).status_code for address in ("/readyz", "/setup", "/metrics")]
            finally:
                end.set()
                await held

    assert asyncio.run(visits()) == [200, 403, 200]


def test_readiness_is_looked_at_once_a_second_however_many_ask(app: App) -> None:
    now, wakes = [100.0], CountedWakes()
    watched = dataclasses.replace(app, jobs=wakes)

    async def visits() -> None:
        with ThreadPoolExecutor(1) as threads:
            ready = Readiness(watched, threads, lambda: now[0])
            found = await asyncio.gather(*(ready.now() for _ in range(50)))
            assert all(able for _, able in found)
            assert wakes.count == 1
            now[0] += READY_SECONDS
            await ready.now()
            assert wakes.count == 2

    asyncio.run(visits())


class CountedWakes(NoQueue):
    """How often somebody asked whether it answers."""

    count = 0

    def wake(self) -> None:
        """Count it."""
        self.count += 1


class FaultyPulse(Pulse):
    """A heartbeat with a bug."""

    beats = 0

    def beat(self) -> None:
        """The first one fails in a way that nobody foresaw."""
        self.beats += 1
        if self.beats == 1:
            raise ZeroDivisionError


def test_a_fault_in_the_heartbeat_is_logged_and_does_not_end_it(app: App, caplog: pytest.LogCaptureFixture) -> None:
    pulse = FaultyPulse(app.database, "web", app.settings.state_dir)

    async def while_it_lives() -> None:
        with ThreadPoolExecutor(1) as threads:
            task = asyncio.create_task(live(pulse, app, threads, seconds=0.01))
            async with asyncio.timeout(10):
                while pulse.beats < 3:  # noqa: ASYNC110  # another thread counts
                    await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(while_it_lives())
    assert [record.message for record in caplog.records if record.name == "bot.asgi"] == ["pulse.fault"]


def test_without_any_secret_it_starts_and_is_not_ready(tmp_path: Path) -> None:
    app = wire(read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path)}), f"unix://{tmp_path / 'none.sock'}")
    app.database.migrate()
    with TestClient(make_asgi(app)) as client:
        answer = client.get("/readyz")
    app.database.dispose()
    assert answer.status_code == 503
    assert answer.json()["checks"]["provider local"] == "needs FIXWRIGHT_LOCAL_WEBHOOK_SECRET"
