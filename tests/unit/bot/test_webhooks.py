"""POST /webhooks: what is accepted is durable, what is not leaves nothing behind."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.settings import read_settings
from bot.webhooks import MAX_BODY
from bot.wiring import App, wire
from pipeline.store.tables import outbox
from providers.local.receive import sign

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
    return {"webhook-id": identity, "webhook-timestamp": str(when), "webhook-signature": sign(secret, identity, when, body)}


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


def test_without_any_secret_it_starts_and_is_not_ready(tmp_path: Path) -> None:
    app = wire(read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path)}), f"unix://{tmp_path / 'none.sock'}")
    app.database.migrate()
    with TestClient(make_asgi(app)) as client:
        answer = client.get("/readyz")
    app.database.dispose()
    assert answer.status_code == 503
    assert answer.json()["checks"]["provider local"] == "needs FIXWRIGHT_LOCAL_WEBHOOK_SECRET"
