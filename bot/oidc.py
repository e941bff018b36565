"""Tokens of an OpenID Connect issuer: people of web and mobile clients, whom the issuer vouches for.

Only tokens that the issuer signed for our audience with an asymmetric key count (RFC 9068, 4; RFC 8725, 3). What the issuer publishes is
asked for with a guarded client, and remembered.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import jwt
from jwt import PyJWK

from pipeline.model.account import Scope
from pipeline.sandbox import net

log = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SKEW_SECONDS: Final = 60.0
"""How far its clock and ours may be apart."""
KEYS_SECONDS: Final = 600.0
"""For which published keys are remembered."""
KEPT_SECONDS: Final = 3_600.0
"""For which they count while the issuer does not answer: a key that it withdrew ends within this time."""
WAIT_SECONDS: Final = 15.0
"""How long the first tokens of all wait for whoever asks the issuer."""
AGAIN_SECONDS: Final = 30.0
"""Between two questions to the issuer, whatever tokens come: one that names an unknown key is no reason to ask for each."""
LARGEST: Final = 256 * 1024
"""Bytes of what an issuer publishes."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    subject: str
    name: str
    """For people. Hostile text."""
    organization: str
    """Slug; empty when it says none."""
    scopes: frozenset[Scope]


class Issuer:
    """One issuer.

    Args:
        address: its `iss`, an https address (http on this machine).
        audience: what its tokens must be for.
        claim: of its tokens, which has the slug of an organization.
        clock: seconds, monotonic.
    """

    def __init__(self, address: str, audience: str, claim: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address.rstrip("/")
        self._iss, self._audience, self._claim, self._clock = address, audience, claim, clock
        self._keys: dict[str, PyJWK] = {}
        self._asked = self._known = float("-inf")
        self._lock, self._asking = threading.Lock(), threading.Lock()

    def claims(self, token: str) -> Claims | None:
        """What a token says; None when it is none of this issuer's, or does not hold."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(str(header.get("kid", "")))
            if key is None or header.get("alg") not in ALGORITHMS:
                return None
            read: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(header["alg"])],
                audience=self._audience,
                issuer=[self._iss, self.address, f"{self.address}/"],
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, RecursionError):  # ten thousand brackets are no token
            return None
        name = next((value for claim in ("name", "preferred_username", "email") if isinstance(value := read.get(claim), str)), "")
        organization = read.get(self._claim)
        return Claims(str(read["sub"]), name[:200], organization if isinstance(organization, str) else "", _scopes(read))

    def _key(self, name: str) -> PyJWK | None:
        key, due, any_known = self._remembered(name)
        # Nobody waits for the issuer who can go on without; a token with an unknown key is refused while somebody else asks for it.
        if not due or not self._asking.acquire(blocking=not any_known, timeout=-1 if any_known else WAIT_SECONDS):
            return key
        try:
            if self._remembered(name)[1]:
                with self._lock:
                    self._asked = self._clock()
                found = self._ask()
                with self._lock:
                    if found is not None:
                        self._keys, self._known = found, self._clock()
        finally:
            self._asking.release()
        return self._remembered(name)[0]

    def _remembered(self, name: str) -> tuple[PyJWK | None, bool, bool]:
        """A key, whether the issuer is to be asked, and whether any key is known."""
        now = self._clock()
        with self._lock:
            if now - self._known > KEPT_SECONDS:
                self._keys = {}
            key = self._keys.get(name)
            due = (key is None or now - self._known > KEYS_SECONDS) and now - self._asked > AGAIN_SECONDS
            return key, due, bool(self._keys)

    def _ask(self) -> dict[str, PyJWK] | None:
        """What the issuer publishes now; None when it does not answer, or not in a way that can be read."""
        try:
            with net.client(allow=[self.address], max_body=LARGEST, total=10.0) as client:
                about = _document(client, f"{self.address}/.well-known/openid-configuration")
                listed = _document(client, str(about.get("jwks_uri", ""))).get("keys")
                if not isinstance(listed, list):
                    raise ValueError("no list of keys")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            log.warning("oidc.not_answered", extra={"error": type(error).__name__})
            return None
        found: dict[str, PyJWK] = {}
        for one in listed:
            try:
                found[str(one.get("kid", ""))] = PyJWK(one)
            except (jwt.PyJWTError, AttributeError):
                continue
        return found


def _document(client: httpx.Client, address: str) -> Mapping[str, Any]:
    answer = client.get(address)
    answer.raise_for_status()
    read = json.loads(answer.content)
    if not isinstance(read, dict):
        raise ValueError("no object")
    return read


def _scopes(read: Mapping[str, Any]) -> frozenset[Scope]:
    """Our words among its scopes, as they are or behind `fixwright:`."""
    said: list[object] = []
    for claim in ("scope", "scp", "permissions"):
        value = read.get(claim)
        said += value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    words = {str(word).removeprefix("fixwright:") for word in said}
    return frozenset(scope for scope in Scope if scope in words)
