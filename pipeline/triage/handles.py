"""Handles: what people call a finding (`K7Q`). Derived from its fingerprint, so that they are the same on every push and everywhere."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence

from pipeline.model.ids import Handle

LETTERS = "CDFGHJKMNPQRTVWXY"
"""No vowels, so that no word comes out; none of B, I, L, O, S, Z, which look like digits."""

ALPHABET = "23456789" + LETTERS
"""25 characters that cannot be taken for one another when they are read aloud or copied from a screen."""

SHORTEST = 3
"""Characters: 17 * 25 * 25 = 10,625 handles before a longer one is certain to be needed."""

LONGEST = 24
"""Characters: more than 2^110 handles, so a free one is always found."""

WORDS = frozenset(Handle(word) for word in ["CRY", "DRY", "FRY", "GYM", "HMM", "KKK", "NTH", "PRY", "THY", "TRY", "WHY", "WRY", "WTF"])
"""Words that need no vowel, and what nobody wants to be called: not given any more. Who has one keeps it."""

_SHAPE = re.compile(rf"[{LETTERS}][{ALPHABET}]{{{SHORTEST - 1},{LONGEST - 1}}}")


class Handles(Mapping[Handle, str]):
    """The handles of a repository, and the fingerprints that they mean."""

    @abstractmethod
    def of(self, fingerprints: Collection[str]) -> Mapping[Handle, str]:
        """Those of certain fingerprints, and all that these might get. Whoever keeps many need not look at the others."""


class AndThese(Handles):
    """Handles, and some that were given a moment ago."""

    def __init__(self, before: Mapping[Handle, str], more: Mapping[Handle, str]) -> None:
        self._before, self._more = before, dict(more)

    def __getitem__(self, handle: Handle) -> str:
        return self._more[handle] if handle in self._more else self._before[handle]

    def __iter__(self) -> Iterator[Handle]:
        return iter({**self._before, **self._more})

    def __len__(self) -> int:
        return len({**self._before, **self._more})

    def of(self, fingerprints: Collection[str]) -> Mapping[Handle, str]:
        """See `Handles.of`."""
        return {**_of(self._before, fingerprints), **self._more}


def _of(taken: Mapping[Handle, str], fingerprints: Collection[str]) -> Mapping[Handle, str]:
    return taken.of(fingerprints) if isinstance(taken, Handles) else taken


def assign(fingerprints: Sequence[str], taken: Mapping[Handle, str]) -> dict[str, Handle]:
    """A handle for every fingerprint.

    Args:
        fingerprints: in any order, repeated ones count once; the answer does not depend on the order.
        taken: the handles of the repository and whose they are. A fingerprint that has one keeps it (the shortest, when it has several).

    Returns:
        Fingerprint -> handle. Two fingerprints never share one, and none is taken away from its owner.
    """
    known: dict[str, Handle] = {}
    concerned = _of(taken, set(fingerprints))
    for handle, owner in sorted(concerned.items(), key=lambda item: (len(item[0]), item[0]), reverse=True):
        known[owner] = handle
    used = set(concerned)
    out: dict[str, Handle] = {}
    for fingerprint in sorted(set(fingerprints)):
        handle = known.get(fingerprint) or next(c for c in candidates(fingerprint) if c not in used | WORDS and c not in taken)
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
