"""Bytes of a webhook -> an event of ours. Pure: verify, then parse.

A delivery is proven by the first of these that it has, and nothing stands in for one that does not verify:

1. `webhook-signature` (signing token, Standard Webhooks): over id, time and body.
2. `X-Gitlab-Signature` (external status checks): hex of HMAC-SHA256 over the body, with the shared secret.
3. `X-Gitlab-Token`: the secret token itself.

Whatever is proven and is a JSON object is acknowledged: GitLab switches a hook off that is refused several times in a row (docs
"Auto-disabled webhooks"), and then the next push would be lost with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import BadSignature, MalformedDelivery
from pipeline.model.event import Delivery, Received
from pipeline.payloads import read_object
from pipeline.ports import Configuration
from pipeline.signing import is_signed, sign, verify
from providers.gitlab import account_events, code_events
from providers.gitlab.reading import Reader, Reading
from providers.gitlab.settings import Trust

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_DELIVERY_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_ASK_SECONDS = 60

_HINT = "the webhook in GitLab has another one than Fixwright; run: fixwright gitlab connect"


def receive(delivery: Delivery, configuration: Configuration, *, clock: Callable[[], float] = time.time) -> Received:
    """Verify and understand one delivery.

    Raises:
        NotConfigured: neither a webhook secret nor a signing token is set, or one is malformed.
        BadSignature: it is not proven; nothing else was looked at.
        MalformedDelivery: proven, but no JSON object.
    """
    # One that was kept while the database was away is as old as it was when it came.
    now = clock() if delivery.at is None else delivery.at
    signed = _verify(delivery, Trust.of(configuration), now)
    payload = read_object(delivery.body, delivery.headers.get("content-type", ""))
    name = name_of(payload)
    identity = _once(payload, name) or _identity(delivery, signed, name, now)
    reader = READERS.get(name)
    if reader is None:
        return Received(delivery_id=identity, name=name, event=None)
    try:
        return Received(delivery_id=identity, name=name, event=reader(Reading(delivery, configuration, payload, name)))
    except MalformedDelivery as odd:
        return Received(delivery_id=identity, name=name, event=None, odd=odd.message, hint=odd.hint)


def signed(body: bytes, event: str, delivery: str, configuration: Configuration, *, now: float) -> Mapping[str, str]:
    """Headers of a delivery: with a signature where a signing token is set, else with the secret token. Raises NotConfigured."""
    trust = Trust.of(configuration)
    headers = {"content-type": "application/json", "x-gitlab-event": event, "idempotency-key": delivery}
    if trust.keys:
        stamp = int(now)
        signature = sign(trust.keys[0], delivery, stamp, body)
        return {**headers, "webhook-id": delivery, "webhook-timestamp": str(stamp), "webhook-signature": signature}
    return {**headers, "x-gitlab-token": trust.secrets[0].decode()}


def name_of(payload: Mapping[str, object]) -> str:
    """What a payload is about: `merge_request.open`, `push`, `project_rename`. Members' and projects' events have an `event_name` alone;
    the header does not tell it, as it says "System Hook" for everything that a system hook sends."""
    if "external_approval_rule" in payload:
        return "status_check"
    kind = payload.get("object_kind") or payload.get("event_name")
    if not isinstance(kind, str) or not _NAME.match(kind):
        return "unknown"
    attributes = payload.get("object_attributes")
    action = attributes.get("action") if isinstance(attributes, dict) else None
    return f"{kind}.{action}" if isinstance(action, str) and _NAME.match(action) else kind


def _verify(delivery: Delivery, trust: Trust, now: float) -> str:
    """The id that was signed with the delivery, or nothing where it is proven without one. Raises BadSignature."""
    headers = delivery.headers
    if is_signed(headers):
        if not trust.keys:
            raise BadSignature("the delivery is signed, and no signing token is set", hint="set FIXWRIGHT_GITLAB_SIGNING_TOKEN")
        return verify(headers, delivery.body, trust.keys, now, hint=_HINT)
    if "x-gitlab-signature" in headers:
        given = headers["x-gitlab-signature"].lower()
        digests = [hmac.new(secret, delivery.body, hashlib.sha256).hexdigest().encode() for secret in trust.secrets]
        _compare(given.encode() if _HEX.match(given) else b"", digests, "the signature of this delivery does not match")
        return ""
    token = headers.get("x-gitlab-token", "")
    if not token:
        raise BadSignature("the delivery has neither a signature nor a secret token", hint="run: fixwright gitlab connect")
    _compare(_bytes(token), trust.secrets, "the secret token of this delivery does not match")
    return ""


def _compare(given: bytes, known: Sequence[bytes], problem: str) -> None:
    """Every one is compared, also after a match, so that the time tells nothing. Raises BadSignature."""
    # Digests of both: comparing texts of unequal length would tell the length.
    seen = hashlib.sha256(given).digest()
    matches = [hmac.compare_digest(hashlib.sha256(one).digest(), seen) for one in known]
    if not any(matches):
        raise BadSignature(problem, hint=_HINT)


def _bytes(header: str) -> bytes:
    """A header as it was sent: servers read its bytes as Latin-1 (RFC 9110, 5.5)."""
    try:
        return header.encode("latin-1")
    except UnicodeEncodeError:
        return header.encode("utf-8", "replace")


def _once(payload: Mapping[str, object], name: str) -> str:
    """The id of what happens once in the life of a thing: it is the thing's own. A group and an instance may each have a webhook that tells
    of it under an id of its own. (What happens to code is judged by its head. A note is not known by its number here: whoever made one up
    beforehand would keep us from the true one. A command is done once all the same, see `pipeline.stages.accept.comments`.)"""
    if name != "project_create":
        return ""
    number = payload.get("project_id")
    return f"{name}:{number}" if type(number) is int and 0 < number < 2**63 else ""


def _identity(delivery: Delivery, signed: str, name: str, now: float) -> str:
    """The same for the same delivery, however often it comes.

    What is signed comes first, as nobody can change it; GitLab gives an Idempotency-Key the same value. The id of an event alone is not
    enough: all that one request of somebody leads to has the same (a push of three branches, and hooks that follow from hooks).
    """
    digest = hashlib.sha256(delivery.body).hexdigest()
    if name == "status_check":
        # It has no id, is never repeated by GitLab itself, and is told again in the same words when somebody presses "retry".
        return f"ask:{digest[:32]}:{int(now) // _ASK_SECONDS}"
    for one in (signed,) if signed else (delivery.headers.get("idempotency-key", ""), delivery.headers.get("webhook-id", "")):
        if _DELIVERY_ID.match(one):
            return one
    event = delivery.headers.get("x-gitlab-event-uuid", "")
    return f"{event}:{digest[:16]}" if _DELIVERY_ID.match(event) and len(event) <= 64 else f"body:{digest[:32]}"


READERS: Mapping[str, Reader] = {**code_events.READERS, **account_events.READERS}
"""What concerns us. `docs/reference/webhooks.md` says what follows from each."""
