"""Bodies of deliveries: one JSON object of bounded depth, and the fields of it that we use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from pipeline.errors import MalformedDelivery

MAX_DEPTH = 64
"""Nesting that we accept; the hosts' deepest payloads have less than ten levels."""

_Model = TypeVar("_Model", bound=BaseModel)


def read_object(body: bytes, content_type: str = "") -> Mapping[str, object]:
    """The body as a JSON object. The parser has a recursion limit of its own and refuses lone surrogates. Raises MalformedDelivery."""
    try:
        value: object = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError:
        form = content_type.startswith("application/x-www-form-urlencoded")
        raise MalformedDelivery(
            "the body is not JSON", hint="set the webhook's content type to application/json" if form else ""
        ) from None  # the parser's message quotes the body
    if not isinstance(value, dict):
        raise MalformedDelivery("the body is not a JSON object")
    if _deeper_than(value, MAX_DEPTH):
        raise MalformedDelivery(f"the body is nested deeper than {MAX_DEPTH} levels")
    return value


def read_fields(model: type[_Model], payload: Mapping[str, object], name: str, host: str) -> _Model:
    """The used fields of a payload. Raises MalformedDelivery with the first wrong place, never with its value.

    Args:
        name: of the event, for people.
        host: word of the host whose documentation is meant.
    """
    try:
        return model.model_validate(payload)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MalformedDelivery(f"{name}: {place} is missing or not what {host} documents ({first['type']})") from None


def _deeper_than(value: object, limit: int) -> bool:
    """True when containers lie in each other more than `limit` deep. Level by level, so that nothing recurses."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
