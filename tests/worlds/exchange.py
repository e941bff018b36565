"""One HTTP exchange with a double, whole on both sides, and what a handler of its API gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request. `path` is raw, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Given:
    """What a handler gives back. `items`: a list to be cut into pages."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    items: Sequence[Any] | None = None
    show: Callable[[Any], dict[str, Any]] | None = None
    """Makes the JSON of an item: only the page's items are shown."""
    raw: bytes | None = None
    """Bytes of another media type, in place of JSON."""
