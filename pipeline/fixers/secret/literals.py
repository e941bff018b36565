"""What all languages share: which literal a finding means, and what its setting is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.model.finding import Finding, Secret
from pipeline.rewriting.naming import upper_snake
from pipeline.rewriting.source import Edit, Source

T = TypeVar("T")

_GENERIC = frozenset(
    {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASS", "PASSWD", "PWD", "VALUE", "AUTH", "AUTHORIZATION", "CREDENTIAL", "CREDENTIALS", "DATA"}
    | {"URL", "URI", "DSN", "DEFAULT", "TEXT", "STRING", "RESULT", "X", "S", "K", "T", "P", "CONFIG", "HEADERS", "ID"}
)
_SCHEME = re.compile(r"^(?:Bearer|Basic|Token|token|ApiKey|Api-Key) ")
MIN_LENGTH = 6
"""Shorter literals are no secrets that an engine would name."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A secret that leaves its file."""

    edits: tuple[Edit, ...]
    name: str
    """Environment variable that takes its place; `""` when the line only lost its value."""
    value: str
    """The literal's text, to make sure that it is gone; never shown."""
    emptied: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A literal near a finding: offsets of the whole literal and its text."""

    start: int
    end: int
    value: str


def choose(source: Source, finding: Finding, candidates: Sequence[Candidate]) -> Candidate | None:
    """The one literal that a finding means: by its columns, else the only one on its lines that can be a secret."""
    start, end = source.range_of(finding.location)
    fitting = [c for c in candidates if len(c.value) >= MIN_LENGTH and _ends(finding.secret, c.value)]
    touching = [c for c in fitting if c.start < end and c.end > start]
    if len(touching) > 1:
        inside = [c for c in touching if c.start <= start and end <= c.end]
        touching = inside or [c for c in touching if " " not in c.value]
    if not touching:
        first, last = source.line_start(start), source.line_end(max(end - 1, start))
        touching = [c for c in fitting if first <= c.start and c.end <= last and " " not in c.value]
    return touching[0] if len(touching) == 1 else None


def _ends(secret: Secret | None, value: str) -> bool:
    """The engine may have kept the last characters: they must be in the literal."""
    return secret is None or not secret.last_four or secret.last_four in value


def scheme_of(value: str) -> tuple[str, str]:
    """`Bearer abc` as its scheme and the secret; the scheme is "" for a plain value."""
    match = _SCHEME.match(value)
    return (match.group(), value[match.end() :]) if match else ("", value)


def setting_name(words: Sequence[str], secret: Secret | None) -> str:
    """Name of the environment variable.

    Args:
        words: what the source calls the value, best first (`api_key`, `stripe.api_key`); generic names are passed over.
        secret: its kind names it when the source does not.
    """
    names = [upper_snake(word) for word in words if upper_snake(word)]
    for name in names:
        if name not in _GENERIC and len(name) > 2:
            return name
    kind = upper_snake(secret.kind) if secret is not None else ""
    if kind and not re.search(r"GENERIC|HIGH_ENTROPY|UNKNOWN|HARDCODED|^SECRET$", kind):
        return kind
    return next((name for name in names if len(name) > 2), "")
