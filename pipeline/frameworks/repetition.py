"""Whether a regular expression can take exponential time: a repetition whose body fits some text in two ways, with something after it that
may not fit. Only what is certain is said: one character that every part of the body takes."""

from __future__ import annotations

import re
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Iterator

_ALPHABET = tuple(map(chr, range(32, 127)))
_DEPTH = 20
_Item = tuple[object, object]


def blows_up(pattern: str) -> bool:
    """True when a short text can keep this expression busy for ever. What cannot be read as one never does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _any(list(parser.parse(pattern)), 0)
    except (re.error, RecursionError, OverflowError, MemoryError):
        return False


def _any(items: list[_Item], depth: int) -> bool:
    """Looks at each repetition of a sequence, and inside of each part."""
    if depth > _DEPTH:
        return False
    for number, item in enumerate(items):
        if _is_loop(item) and _demands(items[number + 1 :]) and _ambiguous(_body(item)):
            return True
        if any(_any([*inner, *items[number + 1 :]], depth + 1) for inner in _inside(item)):
            return True
    return False


def _is_loop(item: _Item) -> bool:
    return str(item[0]) in ("MAX_REPEAT", "MIN_REPEAT") and int(item[1][1]) > 1_000  # type: ignore[index]


def _body(item: _Item) -> list[_Item]:
    return list(item[1][2])  # type: ignore[index]


def _inside(item: _Item) -> Iterator[list[_Item]]:
    kind = str(item[0])
    if kind == "SUBPATTERN":
        yield list(item[1][3])  # type: ignore[index]
    elif kind == "BRANCH":
        yield from (list(branch) for branch in item[1][1])  # type: ignore[index]
    elif kind in ("MAX_REPEAT", "MIN_REPEAT"):
        yield _body(item)


def _demands(items: list[_Item]) -> bool:
    """True when something must follow, so that a match can fail after the repetition."""
    for item in items:
        kind = str(item[0])
        if kind in ("MAX_REPEAT", "MIN_REPEAT") and int(item[1][0]) == 0:  # type: ignore[index]
            continue
        return True
    return False


def _ambiguous(body: list[_Item]) -> bool:
    """True when a run of one character fits both one and several rounds of this body: all that it demands takes the character, and a
    repetition inside takes more of it."""
    flat = _flat(body)
    if flat is None:
        return False
    inner = [item for item in flat if _is_loop(item)]
    demanded = [item for item in flat if not (str(item[0]) in ("MAX_REPEAT", "MIN_REPEAT") and int(item[1][0]) == 0)]  # type: ignore[index]
    return bool(inner) and any(
        all(_takes(item, char) for item in demanded) and any(_takes(item, char) for item in inner) for char in _ALPHABET
    )


def _flat(items: list[_Item]) -> list[_Item] | None:
    """The sequence without groups; None where it has parts that we do not understand."""
    out: list[_Item] = []
    for item in items:
        kind = str(item[0])
        if kind == "SUBPATTERN":
            inner = _flat(list(item[1][3]))  # type: ignore[index]
            if inner is None:
                return None
            out.extend(inner)
        elif kind in ("LITERAL", "NOT_LITERAL", "IN", "ANY", "MAX_REPEAT", "MIN_REPEAT"):
            out.append(item)
        else:
            return None
    return out


def _takes(item: _Item, char: str) -> bool:
    """True when the part can be nothing but this character, once or repeated."""
    kind, value = str(item[0]), item[1]
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        flat = _flat(_body(item))
        return flat is not None and len(flat) == 1 and _takes(flat[0], char)
    if kind == "LITERAL":
        return value == ord(char)
    if kind == "NOT_LITERAL":
        return value != ord(char)
    return kind == "ANY" or (kind == "IN" and _in(list(value), char))  # type: ignore[call-overload]


def _in(members: list[_Item], char: str) -> bool:
    negated = bool(members) and str(members[0][0]) == "NEGATE"
    found = any(_member(kind, value, char) for kind, value in members)
    return found != negated


_CATEGORIES = {
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
}


def _member(kind: object, value: object, char: str) -> bool:
    if str(kind) == "LITERAL":
        return value == ord(char)
    if str(kind) == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])  # type: ignore[index]
    if str(kind) == "CATEGORY":
        return re.fullmatch(_CATEGORIES.get(str(value), "(?!)"), char) is not None
    return False
