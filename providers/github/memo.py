"""Answers that are asked for again and again, with their ETags: "not changed" costs none of the budget.

Source: docs "Best practices for using the REST API" (an authorized request that is answered 304 does not count). ETags differ by token, so
that a new token fetches anew once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass

from pipeline.ports import HostMemory

LARGEST = 512 * 1024
"""Bytes of an answer; a larger one is not remembered."""
KEPT = 6 * 3_600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer as it came."""

    etag: str
    headers: dict[str, str]
    """Of its headers what a reader needs: the type, and the links to other pages."""
    body: bytes


class Memo:
    """Remembered answers of one installation."""

    def __init__(self, memory: HostMemory, site: str, installation: str) -> None:
        self._memory, self._prefix = memory, f"github/{site}/etag/{installation}/"

    def recall(self, url: str) -> Remembered | None:
        """The last answer of this address."""
        packed = self._memory.get(self._key(url))
        if packed is None:
            return None
        head, _, body = zlib.decompress(packed).partition(b"\n")
        headers: dict[str, str] = json.loads(head)
        return Remembered(headers.pop("etag"), headers, body)

    def remember(self, url: str, answer: Remembered) -> None:
        """Keep it, unless it is too large."""
        if len(answer.body) > LARGEST:
            return
        head = json.dumps({"etag": answer.etag, **answer.headers}).encode()
        self._memory.put(self._key(url), zlib.compress(head + b"\n" + answer.body, 1), KEPT)

    def _key(self, url: str) -> str:
        return self._prefix + hashlib.sha256(url.encode()).hexdigest()[:32]
