"""Bytes of a webhook -> an event of ours. Pure: verify, then parse.

Source: docs "Validating webhook deliveries" (HMAC-SHA256 over the raw body, compared in constant time) and "Webhook events and payloads".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from pipeline.errors import BadSignature, MalformedDelivery, UsageError
from pipeline.model.event import Delivery, Received
from pipeline.payloads import read_fields, read_object
from pipeline.ports import Configuration
from providers.github import account_events, code_events, payloads
from providers.github.reading import Reader, Reading
from providers.github.settings import webhook_secrets

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})\Z")
_EVENT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}\Z")


def receive(delivery: Delivery, configuration: Configuration) -> Received:
    """Verify and understand one delivery.

    Raises:
        NotConfigured: no webhook secret is set.
        BadSignature: the SHA-256 signature is missing, malformed or of another secret; nothing else was looked at.
        MalformedDelivery: signed, but not what GitHub documents.
    """
    _verify(delivery, webhook_secrets(configuration))
    name = delivery.headers.get("x-github-event", "")
    identity = delivery.headers.get("x-github-delivery", "")
    if not _EVENT_NAME.match(name):
        raise MalformedDelivery("the header X-GitHub-Event is missing or is no event name")
    if not _DELIVERY_ID.match(identity):
        raise MalformedDelivery("the header X-GitHub-Delivery is missing or is no delivery id")
    payload = read_object(delivery.body, delivery.headers.get("content-type", ""))
    envelope = read_fields(payloads.Envelope, payload, name, "GitHub")
    full_name = f"{name}.{envelope.action}" if _EVENT_NAME.match(envelope.action) else name
    reader = READERS.get(full_name)
    if reader is None or envelope.installation is None:
        return Received(delivery_id=identity, name=full_name, event=None)
    return Received(delivery_id=identity, name=full_name, event=reader(Reading(delivery, configuration, payload, full_name)))


def signed(body: bytes, event: str, delivery: str, configuration: Configuration) -> Mapping[str, str]:
    """Headers of a delivery. Raises NotConfigured, UsageError without an event: GitHub says it in a header alone."""
    if not event:
        raise UsageError("GitHub names the event in a header, not in the body", hint="as in: --event pull_request")
    secret = webhook_secrets(configuration)[0]
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}",
    }


def _verify(delivery: Delivery, secrets: Sequence[bytes]) -> None:
    """Compare against every active secret, also after a match, so that the time tells nothing."""
    match = _SIGNATURE.match(delivery.headers.get("x-hub-signature-256", ""))
    given = match.group(1) if match else ""
    matches = [hmac.compare_digest(hmac.new(secret, delivery.body, hashlib.sha256).hexdigest(), given) for secret in secrets]
    if match is None:
        raise BadSignature(
            "the delivery has no SHA-256 signature",
            hint="give the webhook in the App's settings the secret of FIXWRIGHT_GITHUB_WEBHOOK_SECRET",
        )
    if not any(matches):
        raise BadSignature(
            "the signature of this delivery does not match",
            hint="the webhook secret in the App's settings and FIXWRIGHT_GITHUB_WEBHOOK_SECRET differ; run: fixwright doctor",
        )


READERS: Mapping[str, Reader] = {**code_events.READERS, **account_events.READERS}
"""What concerns us, by `event.action`. `docs/reference/webhooks.md` says what follows from each."""

UNASKED = frozenset({"installation", "installation_repositories"})
"""Every App is told of these. A manifest that names them is refused (docs "Registering a GitHub App from a manifest")."""

EXTRA = frozenset({"installation_target", "member", "membership", "organization"})
"""Understood when an operator subscribes the App to them, and never needed. The last three would need the permission to read an
organization's members, which `app.yml` does not ask for: what a person may do is asked from GitHub right before each effect anyway.
A new name of an account is seen with its next event."""

EVENTS = frozenset(name.partition(".")[0] for name in READERS) - UNASKED - EXTRA
"""The webhook events that `app.yml` asks for, by their names there."""
