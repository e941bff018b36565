"""Patterns of paths, like those of .gitignore without negation."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern takes a path. By segments, so that the time is bounded by their number: both may be hostile."""
    folder = pattern.endswith("/")
    words = pattern.strip("/").split("/")
    if len(words) == 1 and not pattern.startswith("/"):
        words = ["**", *words]
    parts = path.split("/")
    return any(length < len(parts) or not folder for length in _lengths(words, parts))


def _lengths(words: Sequence[str], parts: Sequence[str]) -> set[int]:
    """How many leading segments of a path a pattern may take: `**` takes any number of them, at the end of a pattern at least one."""
    taken = {0}
    for number, word in enumerate(words):
        if word == "**":
            least = min(taken, default=len(parts)) + (number == len(words) - 1)
            taken = set(range(least, len(parts) + 1))
        else:
            taken = {n + 1 for n in taken if n < len(parts) and fnmatch.fnmatchcase(parts[n], word)}
    return taken
