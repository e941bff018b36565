"""Ways to bend a payload: what a program that pretends to be GitLab could send, had it our secret, and what a new GitLab could."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.providers.gitlab_payloads import Payload

# Payloads are JSON of another program, which the tests bend.
Bend = Callable[[Any], Any]
Mangle = Callable[[Payload], bytes]


def everywhere(bend: Bend) -> Mangle:
    """`bend` on every value that holds no others."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        return [walk(inner) for inner in value] if isinstance(value, list) else bend(value)

    return lambda payload: json.dumps(walk(payload)).encode()


def of(kind: type, value: Any) -> Mangle:
    """Another value for everything of one type."""
    return everywhere(lambda one: value if type(one) is kind else one)


def containers(bend: Bend) -> Mangle:
    """`bend` on everything in the payload that holds others."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return bend({key: walk(inner) for key, inner in value.items()})
        return bend([walk(inner) for inner in value]) if isinstance(value, list) else value

    return lambda payload: json.dumps({key: walk(value) for key, value in payload.items()}).encode()


def without(*keys: str) -> Mangle:
    """Some of its keys are missing."""
    return lambda payload: json.dumps({key: value for key, value in payload.items() if key not in keys}).encode()


def _twice(payload: Payload) -> bytes:
    """Every key comes twice, the second time with nothing."""
    first = json.dumps(payload)[1:-1]
    return ("{" + ",".join([*([first] if first else []), *(f"{json.dumps(key)}: null" for key in payload)]) + "}").encode()


OBJECTS: Mapping[str, Mangle] = {
    "nothing but null": everywhere(lambda _: None),
    "no texts": of(str, ""),
    "texts with NUL": everywhere(lambda one: f"{one}\x00" if isinstance(one, str) else one),
    "texts without end": everywhere(lambda one: one * 300 if isinstance(one, str) else one),
    "texts that climb": of(str, "../../etc/passwd"),
    "texts beyond the first plane": of(str, "\U0010ffff\u202e<!-- -->"),
    "numbers as text": everywhere(lambda one: str(one) if type(one) is int else one),
    "numbers below": of(int, -1),
    "numbers without end": of(int, 10**300),
    "numbers with a point": of(int, 1.5),
    "yes is no": everywhere(lambda one: not one if type(one) is bool else one),
    "yes is text": everywhere(lambda one: str(one) if type(one) is bool else one),
    "null is an object": of(type(None), {}),
    "objects are lists": containers(lambda one: list(one.values()) if isinstance(one, dict) else one),
    "objects are empty": containers(lambda _: {}),
    "lists of lists": containers(lambda one: [one]),
    "no attributes": without("object_attributes", "project_id", "user_id"),
    "no project": without("project", "path_with_namespace", "full_path", "group_path", "project_path_with_namespace"),
    "nobody": without("user", "user_id", "user_username"),
    "keys twice": _twice,
}
"""Twenty that still are JSON objects: each is acknowledged."""

REFUSED: Mapping[str, Mangle] = {
    "cut off": lambda payload: json.dumps(payload).encode()[:-1],
    "in a list": lambda payload: json.dumps([payload]).encode(),
    "in a form": lambda payload: b"payload=" + json.dumps(payload).encode(),
    "with a mark before": lambda payload: b"\xef\xbb\xbf" + json.dumps(payload).encode(),
    "half a character": lambda payload: json.dumps({**payload, "name": "\ud800"}).encode(),
    "too deep": lambda payload: json.dumps({**payload, "name": json.loads("[" * 70 + "]" * 70)}).encode(),
}
"""Six that are none, or none that we take."""
