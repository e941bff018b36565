"""Handles: what people call a finding (`K7Q`). Derived from its fingerprint, so that they are the same on every push and everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from pipeline.model.ids import Handle

LETTERS = "CDFGHJKMNPQRTVWXY"
"""No vowels, so that no word comes out; none of B, I, L, O, S, Z, which look like digits."""

ALPHABET = "23456789" + LETTERS
"""25 characters that cannot be taken for one another when they are read aloud or copied from a screen."""

SHORTEST = 3
"""Characters: 17 * 25 * 25 = 10,625 handles before a longer one is certain to be needed."""

LONGEST = 24
"""Characters: more than 2^110 handles, so a free one is always found."""

_SHAPE = re.compile(rf"[{LETTERS}][{ALPHABET}]{{{SHORTEST - 1},{LONGEST - 1}}}")


def assign(fingerprints: Sequence[str], taken: Mapping[Handle, str]) -> dict[str, Handle]:
    """A handle for every fingerprint.

    Args:
        fingerprints: in any order, repeated ones count once; the answer does not depend on the order.
        taken: the handles of the repository and whose they are. A fingerprint that has one keeps it (the shortest, when it has several).

    Returns:
        Fingerprint -> handle. Two fingerprints never share one, and none is taken away from its owner.
    """
    known: dict[str, Handle] = {}
    for handle, owner in sorted(taken.items(), key=lambda item: (len(item[0]), item[0]), reverse=True):
        known[owner] = handle
    used = set(taken)
    out: dict[str, Handle] = {}
    for fingerprint in sorted(set(fingerprints)):
        handle = known.get(fingerprint) or next(c for c in candidates(fingerprint) if c not in used)
        used.add(handle)
        out[fingerprint] = handle
    return out


def candidates(fingerprint: str) -> Iterator[Handle]:
    """The handles that a fingerprint may have, best first: each is the one before with one character more."""
    number = int.from_bytes(hashlib.sha256(fingerprint.encode("utf-8", "surrogateescape")).digest(), "big")
    number, first = divmod(number, len(LETTERS))
    text = LETTERS[first]
    while len(text) < LONGEST:
        number, digit = divmod(number, len(ALPHABET))
        text += ALPHABET[digit]
        if len(text) >= SHORTEST:
            yield Handle(text)


def parse_handle(text: str) -> Handle | None:
    """The handle that somebody typed (any case, blanks and backticks around it), or None when it cannot be one."""
    word = text.strip().strip("`").upper()
    return Handle(word) if _SHAPE.fullmatch(word) else None
