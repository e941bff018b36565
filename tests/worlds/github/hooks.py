"""Webhook deliveries: signed, sent in order by a thread, remembered with every attempt.

Source: GitHub, "Validating webhook deliveries", "Webhook events and payloads" (delivery headers).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.worlds.github.model import App, Json
from tests.worlds.github.spec import WebhookSpec
from tests.worlds.github.state import State
from tests.worlds.record import Record, Violation
from tests.worlds.sending import Attempt, Sending


def sign(secret: str, body: bytes) -> str:
    """`X-Hub-Signature-256` of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


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


class Hooks(Sending[Delivery]):
    """The way out of the double. Without `url` events are kept but not sent."""

    def __init__(self, state: State, record: Record) -> None:
        self._state = state
        self._record = record
        self.url: str | None = None
        super().__init__()

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

    def attempt(self, delivery: Delivery) -> int:
        """Send it now; returns the status, 0 when nobody answered."""
        status = self.post(delivery.url or self.url or "", delivery.body, delivery.headers)
        delivery.attempts.append(Attempt(self._state.seconds(), status))
        return status

    def of(self, event: str, action: str | None = None) -> Sequence[Delivery]:
        """All deliveries of an event so far, oldest first."""
        return [delivery for delivery in self.deliveries if delivery.event == event and action in (None, delivery.action)]

    def forged(self, identity: str, secret: str) -> Delivery:
        """A copy signed with another secret, for tests of refusals. It is not sent."""
        delivery = self.find(identity)
        return replace(delivery, headers=delivery.headers | {"X-Hub-Signature-256": sign(secret, delivery.body)})
