"""Signed deliveries, as the Standard Webhooks specification has them ("Signature scheme"): base64 HMAC-SHA256 over `id.timestamp.body`.

The specification's own library takes its time from the system's clock; what was kept while the database was away is as old as it was when
it came, so the time is an argument here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from pipeline.errors import BadSignature, MalformedDelivery

TOLERANCE = 300.0
"""Seconds that a timestamp may differ from our clock (the specification's libraries)."""
MAX_ID = 200
"""Characters of an id."""
MAX_SIGNATURES = 10
"""How many signatures of one delivery are looked at: old and new secret, and some more."""


def sign(secret: bytes, identifier: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def is_signed(headers: Mapping[str, str]) -> bool:
    """True when a delivery claims to be signed: then it must verify, and nothing else may stand in for that."""
    return "webhook-signature" in headers


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float, *, hint: str = "") -> str:
    """The id of a delivery that one of `secrets` signed.

    Every secret is compared with every signature, also after a match, so that the time tells nothing.

    Args:
        headers: lower-case names.
        now: seconds since 1970 at which the delivery came.
        hint: what the operator can do about a signature that does not match.

    Raises:
        BadSignature: not signed, by none of these secrets, or at another time.
        MalformedDelivery: signed, with an id that is too long.
    """
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()
    if not identifier or not given or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise BadSignature("the delivery is not signed", hint=hint)
    matches = False
    for secret in secrets:
        expected = sign(secret, identifier, int(timestamp), body).encode()
        for signature in given[:MAX_SIGNATURES]:
            matches |= hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    if not matches:
        raise BadSignature("the signature of this delivery does not match", hint=hint)
    if abs(now - int(timestamp)) > TOLERANCE:
        raise BadSignature("the delivery is too old, or a clock is wrong")
    if len(identifier) > MAX_ID:
        raise MalformedDelivery("the delivery's id is too long")
    return identifier
