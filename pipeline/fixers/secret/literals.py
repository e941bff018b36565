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
    marker = f"<{finding.secret.kind}>" if finding.secret is not None else "<secret>"
    if marker in finding.excerpt:
        value = value_behind(source, finding, marker)
        fitting = [c for c in fitting if value and value in c.value]
    touching = [c for c in fitting if c.start < end and c.end > start]
    if len(touching) > 1:
        inside = [c for c in touching if c.start <= start and end <= c.end]
        touching = inside or [c for c in touching if " " not in c.value]
    if not touching:
        first, last = source.line_start(start), source.line_end(max(end - 1, start))
        touching = [c for c in fitting if first <= c.start and c.end <= last and " " not in c.value]
    return touching[0] if len(touching) == 1 and replaceable(touching[0].value) else None


def value_behind(source: Source, finding: Finding, marker: str) -> str:
    """What stands in the file where the excerpt has only the kind of the secret; "" when the line is another one by now.

    Source: `pipeline.triage.fingerprint.identify_secret`.
    """
    line = source.text.split("\n")[finding.location.line - 1 : finding.location.line]
    before, *others = finding.excerpt.split("\n")[0].split(marker)
    if not line or not others:
        return ""
    pattern = re.escape(before) + "(.+)" + re.escape(others[0]) + "".join(rf"\1{re.escape(other)}" for other in others[1:])
    match = re.fullmatch(pattern, line[0].removesuffix("\r"))
    return match[1] if match else ""


def replaceable(value: str) -> bool:
    """True for a literal that is a secret as a whole: a value, a URL or connection string with one, or a scheme and a value."""
    return " " not in scheme_of(value)[1] or ("=" in value and ";" in value)


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
        words: what the source calls the value, best first (`api_key`, `stripe_api_key`).
        secret: its kind names it when the best of these is a word like `key`.
    """
    names = [upper_snake(word) for word in words]
    if names and names[0] not in _GENERIC and len(names[0]) > 2:
        return names[0]
    kind = re.sub(r"[^A-Za-z0-9]+", "_", secret.kind).strip("_").upper() if secret is not None else ""
    if kind and kind not in _GENERIC and not re.search(r"GENERIC|HIGH_ENTROPY|UNKNOWN|HARDCODED|IN_URL|^\d|^SECRET$", kind):
        return kind
    specific = next((name for name in names if name not in _GENERIC and len(name) > 2), "")
    return specific or next((name for name in names if len(name) > 2), "")
