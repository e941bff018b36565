"""Sealing: what must not be read from a copy of the database is encrypted before it is written."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
"""NIST SP 800-38D, 5.2.1.1: 96 bits, random; far below its limit of 2^32 values a key."""


class Seal:
    """AES-256-GCM with one key.

    Args:
        key: 32 bytes, for one purpose only.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, name: str, value: bytes) -> bytes:
        """`value` as it may be stored. `name` is its associated data: under another name it does not open."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, _name(name))

    def unseal(self, name: str, sealed: bytes) -> bytes | None:
        """The value; None when it was sealed with another key or under another name, or is damaged."""
        if len(sealed) < _NONCE_BYTES:
            return None
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _name(name))
        except InvalidTag:
            return None


class Vault:
    """Documents that only we read and that hold what others wrote (deliveries, what engines said): sealed where there is a key for it.

    Args:
        seal: None: documents are kept as they are, and sealed ones cannot be read.
    """

    def __init__(self, seal: Seal | None = None) -> None:
        self._seal = seal

    def close(self, kind: str, document: bytes) -> bytes:
        """The document as it may be stored. `kind` is what table it is for."""
        return document if self._seal is None else _SEALED + self._seal.seal(kind, document)

    def open(self, kind: str, stored: bytes) -> bytes | None:
        """The document, also one from before there was a seal; None when this key does not open it."""
        if not stored.startswith(_SEALED):
            return stored
        return None if self._seal is None else self._seal.unseal(kind, stored[len(_SEALED) :])

    def close_text(self, kind: str, text: str) -> str:
        """As `close`, for a text."""
        return text if self._seal is None else _TEXT + base64.b64encode(self._seal.seal(kind, _name(text))).decode("ascii")

    def open_text(self, kind: str, stored: str) -> str:
        """As `open`. What this key does not open is taken for what it is: somebody's text that begins like ours."""
        if self._seal is None or not stored.startswith(_TEXT):
            return stored
        try:
            found = self._seal.unseal(kind, base64.b64decode(stored[len(_TEXT) :], validate=True))
        except binascii.Error:
            found = None
        return stored if found is None else found.decode("utf-8", "surrogatepass")


_TEXT = "fxs1:"
_SEALED = b"fxs\x01"
"""No document of ours begins so: they are JSON or zlib (RFC 1950, 2.2: the first byte of our compression is 0x78)."""


def _name(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
