"""Deliveries of the local provider: sign, verify, then parse. Pure.

Source: Standard Webhooks specification, "Signature scheme": base64 HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import BadSignature, MalformedDelivery, NotConfigured
from pipeline.model.event import CommentEvent, CommentRef, Delivery, Event, PullRequestAction, PullRequestEvent, PushEvent, Received
from pipeline.model.ids import CommitId, InstallationId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef
from pipeline.ports import Configuration

TOLERANCE = 300.0
"""Seconds that a timestamp may differ from our clock (Standard Webhooks)."""

MAX_DEPTH = 64

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Repository(_Part):
    """A connected repository."""

    id: Text
    name: Text
    path: Text
    default_branch: Text


class Sender(_Part):
    """Who pushed or wrote: an account of this machine."""

    id: Text
    login: Text


class Payload(_Part):
    """Body of a delivery; which of the optional parts are needed depends on `event`."""

    event: Literal["push", "pull_request", "comment", "ping"]
    repository: Repository
    sender: Sender
    ref: str = ""
    before: Hex | None = None
    after: Hex | None = None
    number: int = 0
    action: PullRequestAction | None = Field(default=None, strict=False)
    head: Hex | None = None
    comment: str = ""
    thread: str = ""
    fingerprint: str = ""
    body: Annotated[str, Field(max_length=65_536)] = ""


def sign(secret: str, identifier: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def receive(delivery: Delivery, configuration: Configuration, *, clock: Callable[[], float] = time.time) -> Received:
    """Verify, then parse. See `pipeline.ports.Provider.receive`."""
    # One that was kept while the database was away is as old as it was when it came.
    identifier = _verify(delivery, configuration, clock() if delivery.at is None else delivery.at)
    payload = _parse(delivery.body)
    name = f"{payload.event}.{payload.action}" if payload.action else payload.event
    return Received(identifier, name, _event(payload))


def _verify(delivery: Delivery, configuration: Configuration, now: float) -> str:
    secrets = [configuration[name] for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS") if configuration.get(name)]
    if not configuration.get("WEBHOOK_SECRET"):
        raise NotConfigured("the local provider has no webhook secret", hint="set FIXWRIGHT_LOCAL_WEBHOOK_SECRET")
    headers: Mapping[str, str] = delivery.headers
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()
    if not identifier or not given or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise BadSignature("the delivery is not signed")
    matches = False
    for secret in secrets:
        expected = sign(secret, identifier, int(timestamp), delivery.body).encode()
        for signature in given[:10]:
            matches |= hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    if not matches:
        raise BadSignature("the signature of this delivery does not match", hint="run: fixwright local connect REPOSITORY")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise BadSignature("the delivery is too old, or a clock is wrong")
    if len(identifier) > 200:
        raise MalformedDelivery("the delivery's id is too long")
    return identifier


def _parse(body: bytes) -> Payload:
    try:
        loaded: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedDelivery("the body is not JSON") from None
    if not isinstance(loaded, dict):
        raise MalformedDelivery("the body is not a JSON object")
    if _deeper(loaded, MAX_DEPTH):
        raise MalformedDelivery("the body is nested too deep")
    try:
        return Payload.model_validate(loaded)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MalformedDelivery(f"{where}: {first['msg']}") from None


def _deeper(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _event(payload: Payload) -> Event | None:
    given = payload.repository
    if not PurePosixPath(given.path).is_absolute():
        raise MalformedDelivery("repository.path is not absolute")
    repository = SourceRepository(
        provider="local",
        instance="",
        external_id=given.id,
        full_name=given.name,
        default_branch=given.default_branch,
        clone_url=given.path,
        installation="local",
    )
    installation = Installation(InstallationId("local"), "local", "", "local", "local")
    sender = UserRef(payload.sender.id, payload.sender.login)
    if payload.event == "push":
        if payload.before is None or payload.after is None or not payload.ref:
            raise MalformedDelivery("a push needs ref, before and after")
        return PushEvent(installation, repository, sender, payload.ref, CommitId(payload.before), CommitId(payload.after))
    if payload.event == "pull_request":
        if payload.action is None or payload.head is None or payload.number < 1:
            raise MalformedDelivery("a pull_request needs number, action and head")
        ref = PullRequestRef(repository, payload.number)
        return PullRequestEvent(installation, ref, sender, payload.action, CommitId(payload.head))
    if payload.event == "comment":
        if not payload.comment or payload.number < 1:
            raise MalformedDelivery("a comment needs number and comment")
        ref = PullRequestRef(repository, payload.number)
        comment = CommentRef(ref, payload.comment, bool(payload.thread), payload.thread)
        return CommentEvent(installation, comment, sender, payload.body, payload.fingerprint)
    return None
