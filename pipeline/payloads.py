"""Bodies of deliveries: one JSON object of bounded depth, and the fields of it that we use. Also those of refusals.

A provider says with `Payload` and the types below what it uses. It is checked strictly, because it ends in the store, in addresses and in
git; what is not used may be missing or of any type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, TypeVar

import pydantic_core
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pipeline.errors import MalformedDelivery

MAX_DEPTH = 64
"""Nesting that we accept; the hosts' deepest payloads have less than ten levels."""

MAX_REFUSAL = 100_000
"""Bytes of a refusal that are looked at; what it says to people is much shorter."""

_Model = TypeVar("_Model", bound=BaseModel)


class Payload(BaseModel):
    """Base: strict in types (a number is no string, null is no object), blind for everything else."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _without_nul(text: str) -> str:
    """PostgreSQL cannot store NUL, and no name, branch or comment of a host has one."""
    if "\x00" in text:
        raise ValueError("a NUL character")
    return text


def without_dots(name: str) -> str:
    """The name itself. Raises ValueError for `.` and `..`, alone or between slashes: no names of a host, but steps in an address."""
    if any(not part.strip(".") for part in name.split("/")):
        raise ValueError("a step instead of a name")
    return name


Text = Annotated[str, AfterValidator(_without_nul)]
Number = Annotated[int, Field(gt=0, lt=2**63)]
"""A host's id; JSON knows larger numbers, no database does."""
Sha = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\z")]
"""Name of a commit, of SHA-1 or SHA-256."""


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


def read_refusal(body: bytes) -> Mapping[str, object]:
    """The JSON object with which a host says no; empty when it said something else, or too much. It never makes a second error."""
    try:
        answer: object = json.loads(body[:MAX_REFUSAL])
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


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
