"""Which lines of a comment are commands: `/fix K7Q`, and `@fixwright fix K7Q` where the host takes what begins with a slash. The one place
that reads commands, for every host."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from pipeline.ports import Command

MENTION = "fixwright"
"""The name under which we are spoken to on every host; the operator can add another one (FIXWRIGHT_MENTION)."""

FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}+|~{3,}+)[^\n]*+\n.*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*\r?$|\Z)", re.MULTILINE | re.DOTALL)
"""A block of code quotes as well (CommonMark 0.31, section 4.5)."""

ARGUMENTS = 4_000
"""Characters of a line that a command is handed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comment that looks like a command."""

    name: str
    """Lower case: phones begin lines with capitals."""
    arguments: str
    command: Command | None
    """None when there is no such command, but one that is nearly called so."""
    typed: str = ""
    """How it began, for an answer: `/wave`, `@fixwright wave`."""


@cache
def pattern(mentions: frozenset[str] = frozenset({MENTION})) -> re.Pattern[str]:
    """A command stands at the beginning of a line; quoted text (`> /fix`) is none. Browsers end lines with CR LF. Nothing is tried twice,
    so that no comment takes long to read.

    Args:
        mentions: names that may stand behind an `@` or a slash, in any case.
    """
    names = "|".join(re.escape(name) for name in sorted(mentions))
    begins = rf"[@/](?P<to>(?i:{names}))[:,]?[ \t]++/?(?P<verb>[A-Za-z]{{2,20}})|/(?P<name>[A-Za-z]{{2,20}})"
    return re.compile(rf"^(?:{begins})(?:[ \t]++(?P<arguments>[^\r\n]*+))?\r?$", re.MULTILINE)


COMMAND = pattern()


def parse_lines(body: str, commands: Mapping[str, Command], mentions: frozenset[str] = frozenset({MENTION})) -> list[Line]:
    """The lines of a comment that are commands of ours, or nearly; in their order. A single word that is said to us by name is one of ours
    in any case; a sentence may only begin so."""
    found = []
    for match in pattern(mentions).finditer(FENCE.sub("", body)):
        name, arguments = (match["name"] or match["verb"]).lower(), (match["arguments"] or "").strip()[:ARGUMENTS]
        command = commands.get(name)
        said_to_us = match["verb"] is not None and not arguments
        if command is not None or said_to_us or any(is_near(name, known) for known in commands):
            typed = f"/{name}" if match["to"] is None else f"{match[0][0]}{match['to'].lower()} {name}"
            found.append(Line(name, arguments, command, typed))
    return found


def as_typed(usage: str, taken: Collection[str], mention: str = MENTION) -> str:
    """How a command is given on a host: `/status`, or `@fixwright status` where the host takes that for a command of its own.

    Args:
        taken: see `Capabilities.taken_commands`.
    """
    name = usage.removeprefix("/").split(maxsplit=1)[0]
    return f"@{mention} {usage.removeprefix('/')}" if name in taken else usage


def is_near(typed: str, known: str) -> bool:
    """True when one letter is missing, too many, wrong, or two neighbours changed places. Very short words are near to everything."""
    if typed == known or len(known) < 3 or abs(len(typed) - len(known)) > 1:
        return False
    same = next((n for n, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b), min(len(typed), len(known)))
    left, right = typed[same:], known[same:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right or left == right[1:] or left[1:] == right[1:] or swapped
