"""Answers that are asked for again and again, with their ETags: "not changed" costs none of the budget.

Source: docs "Best practices for using the REST API" (an authorized request that is answered 304 does not count). ETags differ by token, so
that a new token fetches anew once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.ports import HostMemory

LARGEST = 512 * 1024
"""Bytes of what we read of an answer; a larger one is not remembered. A page of 100 pull requests has 20 kB."""
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

    def of(self, shape: TypeAdapter[Any]) -> MemoOf:
        """The answers of which this is read. A version that reads more asks anew."""
        schema = json.dumps(shape.json_schema(), sort_keys=True).encode()
        return MemoOf(self._memory, f"{self._prefix}{hashlib.sha256(schema).hexdigest()[:8]}/", shape)


class MemoOf:
    """Remembered answers of one shape: of a list of pull requests, each of which has 20 kB, only what we read."""

    def __init__(self, memory: HostMemory, prefix: str, shape: TypeAdapter[Any]) -> None:
        self._memory, self._prefix, self._shape = memory, prefix, shape

    def recall(self, url: str) -> Remembered | None:
        """The last answer of this address."""
        packed = self._memory.get(self._key(url))
        if packed is None:
            return None
        head, _, body = zlib.decompress(packed).partition(b"\n")
        headers: dict[str, str] = json.loads(head)
        return Remembered(headers.pop("etag"), headers, body)

    def remember(self, url: str, answer: Remembered) -> None:
        """Keep what is read of it, unless that is too large or cannot be read."""
        try:
            body = self._shape.dump_json(self._shape.validate_json(answer.body), exclude_unset=True)
        except ValidationError:
            return
        if len(body) > LARGEST:
            return
        head = json.dumps({"etag": answer.etag, **answer.headers}).encode()
        self._memory.put(self._key(url), zlib.compress(head + b"\n" + body, 1), KEPT)

    def _key(self, url: str) -> str:
        return self._prefix + hashlib.sha256(url.encode()).hexdigest()[:32]
