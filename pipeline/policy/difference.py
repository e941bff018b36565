"""What changes from one policy to another, in words. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel

from pipeline.model.finding import Judged, Standing
from pipeline.policy.merge import KEYS, value_of
from pipeline.policy.schema import Policy

SHOWN = 60
"""Characters of one value."""

NAMED = 4
"""Changed keys that a sentence names."""


def differences(old: Policy, new: Policy) -> dict[str, tuple[str, str]]:
    """Key -> (old value, new value), as they would stand in a file, for every key whose value differs."""
    pairs = {key: (value_of(old, key), value_of(new, key)) for key in (*KEYS, "allow")}
    return {key: (show(before), show(after)) for key, (before, after) in pairs.items() if before != after}


def say_differences(changed: Mapping[str, tuple[str, str]]) -> str:
    """`gate.block from high to never, paths.exclude from [] to ["docs/**"] and 2 more`."""
    named = [f"{key} from {old} to {new}" for key, (old, new) in list(changed.items())[:NAMED]]
    more = len(changed) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def say_effect(judged: Sequence[Judged], again: Callable[[Judged], Standing | None]) -> str:
    """`2 findings that block now would only warn`, empty when everything would stand as it does.

    Args:
        again: how a finding would stand; None when nobody would look for it.
    """
    now = {
        Standing.BLOCKS: ("blocks", "block"),
        Standing.WARNS: ("warns", "warn"),
        Standing.WAIVED: ("is waived", "are waived"),
        Standing.COUNTED: ("is only counted", "are only counted"),
    }
    then = {
        Standing.BLOCKS: "block",
        Standing.WARNS: "only warn",
        Standing.WAIVED: "be ignored",
        Standing.COUNTED: "only be counted",
        None: "not be looked for",
    }
    moved = Counter((one.standing, after) for one in judged if (after := again(one)) is not one.standing)
    parts = [
        f"{count} finding{'s' if count > 1 else ''} that {now[before][count > 1]} now would {then[after]}"
        for (before, after), count in moved.items()
    ]
    return ", ".join(parts)


def show(value: object) -> str:
    """A value as it would stand in a file, on one line, cut when it is long."""
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value
