"""Webhook deliveries: signed, sent in order by a thread, remembered with every attempt.

Source: GitHub, "Validating webhook deliveries", "Best practices for using webhooks" (10 seconds, no automatic redelivery).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import queue
import ssl
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache

import httpx

from tests.worlds.github.model import App, Json
from tests.worlds.github.spec import WebhookSpec
from tests.worlds.github.state import State
from tests.worlds.record import Record, Violation

PATIENCE = 10.0
"""Seconds that GitHub waits for an answer."""


def sign(secret: str, body: bytes) -> str:
    """`X-Hub-Signature-256` of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` 0: nobody answered in time."""

    at: float
    status: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to the app. Every attempt carries the same id."""

    id: str
    """UUID, the header X-GitHub-Delivery."""
    number: int
    """The number that `GET /app/hook/deliveries` knows."""
    event: str
    action: str | None
    installation: int
    repository: int | None
    headers: dict[str, str]
    body: bytes
    attempts: list[Attempt] = field(default_factory=list)
    url: str = ""
    """Where it goes; empty: where `Hooks.url` says at that moment."""

    @property
    def payload(self) -> Json:
        """The body as JSON."""
        parsed: Json = json.loads(self.body)
        return parsed


class Hooks:
    """The way out of the double. Without `url` events are kept but not sent."""

    def __init__(self, state: State, record: Record) -> None:
        self._state = state
        self._record = record
        self.url: str | None = None
        self.paused = False
        """True: events are kept until somebody redelivers them, as when the app's machine is down."""
        self.deliveries: list[Delivery] = []
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._client = httpx.Client(timeout=PATIENCE, trust_env=False, verify=_certificates())
        self._thread = threading.Thread(target=self._run, name="github-world-hooks", daemon=True)
        self._thread.start()

    def emit(self, app: App, event: str, payload: Json, *, installation: int, repository: int | None) -> Delivery:
        """Queue an event. A payload that departs from GitHub's schema is recorded as a violation of ours."""
        for problem in WebhookSpec.load().check(event, payload):
            self._record.violations.append(Violation("webhook", event, str(payload.get("action", "")), problem))
        body = json.dumps(payload, separators=(",", ":")).encode()
        number, action = 180_000_000_000 + len(self.deliveries), payload.get("action")
        delivery = Delivery(str(uuid.uuid4()), number, event, action, installation, repository, {}, body, url=app.hook_url)
        delivery.headers.update(self._headers(app, delivery))
        self.deliveries.append(delivery)
        if (app.hook_url or self.url) and not self.paused:
            self._waiting.put(delivery)
        return delivery

    def _headers(self, app: App, delivery: Delivery) -> dict[str, str]:
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": f"GitHub-Hookshot/{delivery.id[:7]}",
            "X-GitHub-Delivery": delivery.id,
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Hook-ID": str(app.id + 400_000_000),
            "X-GitHub-Hook-Installation-Target-ID": str(app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-Hub-Signature": "sha1=" + hmac.new(app.webhook_secret.encode(), delivery.body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": sign(app.webhook_secret, delivery.body),
        }

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            try:
                self._send(delivery)
            finally:
                self._waiting.task_done()
        self._waiting.task_done()

    def _send(self, delivery: Delivery) -> int:
        status = 0
        if url := delivery.url or self.url:
            with contextlib.suppress(httpx.HTTPError):
                status = self._client.post(url, content=delivery.body, headers=delivery.headers).status_code
        delivery.attempts.append(Attempt(self._state.seconds(), status))
        return status

    def find(self, identity: str) -> Delivery:
        """A delivery by its UUID. Raises KeyError."""
        return next((delivery for delivery in self.deliveries if delivery.id == identity), None) or _unknown(identity)

    def of(self, event: str, action: str | None = None) -> Sequence[Delivery]:
        """All deliveries of an event so far, oldest first."""
        return [delivery for delivery in self.deliveries if delivery.event == event and action in (None, delivery.action)]

    def redeliver(self, identity: str) -> int:
        """Send it once more under the same id, now; returns the status."""
        return self._send(self.find(identity))

    def again(self, delivery: Delivery) -> None:
        """Queue it once more under the same id."""
        self._waiting.put(delivery)

    def deliver_copies(self, identity: str, count: int, *, at_once: int = 16) -> list[int]:
        """Send `count` copies under the same id, `at_once` of them in parallel; returns the statuses."""
        delivery = self.find(identity)
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda _: self._send(delivery), range(count)))

    def forged(self, identity: str, secret: str) -> Delivery:
        """A copy signed with another secret, for tests of refusals. It is not sent."""
        delivery = self.find(identity)
        return replace(delivery, headers=delivery.headers | {"X-Hub-Signature-256": sign(secret, delivery.body)})

    def wait(self) -> None:
        """Until everything that was queued so far has been tried once."""
        self._waiting.join()

    def close(self) -> None:
        """Stop sending; what still waits is dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
                self._waiting.task_done()
        self._waiting.put(None)
        self._thread.join(PATIENCE + 5)
        self._client.close()


@cache
def _certificates() -> ssl.SSLContext:
    """For all worlds of a process: reading the certificates takes longer than starting a world."""
    return httpx.create_ssl_context(trust_env=False)


def _unknown(identity: str) -> Delivery:
    raise KeyError(identity)
