"""Model objects as JSON text, and back.

JSON is plain ASCII: what a repository controls may hold NUL characters and undecodable bytes (as surrogate escapes), which PostgreSQL
refuses in text; escaped they survive both databases unchanged.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import PurePath
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import StoreError
from pipeline.leaks import clean_document

T = TypeVar("T")

_BYTES = "$bytes"


class Unreadable(StoreError):
    """A stored document is not what this version expects: written by another version, or damaged."""

    code = "STORED_UNREADABLE"


class Codec(Generic[T]):
    """Reads and writes one type of stored document."""

    def __init__(self, adapter: TypeAdapter[T]) -> None:
        self._adapter = adapter

    def dump(self, value: T) -> str:
        """The value as ASCII JSON, without what must not leave the process (`pipeline.leaks`)."""
        return clean_document(json.dumps(self._adapter.dump_python(value), separators=(",", ":"), default=_encode))

    def load(self, text: str) -> T:
        """The value in a JSON text. Raises Unreadable."""
        try:
            return self._adapter.validate_python(_READER.decode(text))
        except (ValueError, RecursionError) as exc:  # ValidationError, JSONDecodeError and binascii.Error are ValueErrors
            what = f"{exc.error_count()} wrong fields" if isinstance(exc, ValidationError) else type(exc).__name__
            # The text itself may hold code of a repository: it is neither quoted nor chained.
            raise Unreadable(f"a stored document cannot be read: {what}") from None

    def pack(self, value: T) -> bytes:
        """The value as compressed JSON, for large documents."""
        return zlib.compress(self.dump(value).encode("ascii"), 1)

    def unpack(self, packed: bytes) -> T:
        """The value in compressed JSON. Raises Unreadable."""
        try:
            text = zlib.decompress(packed).decode("ascii")
        except (zlib.error, UnicodeDecodeError):
            raise Unreadable("a stored document cannot be decompressed") from None
        return self.load(text)


def _encode(value: object) -> object:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no stored type")


def _decode(found: dict[str, object]) -> object:
    encoded = found.get(_BYTES)
    if len(found) == 1 and isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
    return found


_READER = json.JSONDecoder(object_hook=_decode)
"""Made once: `json.loads` makes one for each document, which takes longer than to read a small one."""
