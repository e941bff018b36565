"""One HTTP exchange with a double, whole on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
