"""The policies above a repository as one floor, each file read by itself: a mistake in one takes nothing from the others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.errors import PolicyInvalid
from pipeline.policy.merge import under
from pipeline.policy.parse import PolicyDocument, parse_document
from pipeline.policy.schema import Policy


@dataclass(frozen=True, slots=True)
class Above:
    """What stands above a repository."""

    document: PolicyDocument | None = None
    """The floor; None where nobody has a policy."""
    notes: tuple[str, ...] = ()
    """Sentences: what a file says and does not get, and which one is in force in its last good version."""
    mistakes: tuple[str, ...] = ()
    """Files of which no version can be used, each with its first mistake: `acme/fixwright: fixwright.yml:2: gate.blok: ...`. No check is
    green then."""
    used: Mapping[str, bytes] = field(default_factory=dict)
    """By place of the file: the content that is in force, of those that can be used."""


def read_above(files: Sequence[tuple[str, bytes]], good: Callable[[str], bytes | None]) -> Above:
    """Put the owners' policies together, each under those of the owners that it lies in.

    In the place of a file that cannot be used stands its last good version. Where there is none, it is taken to say nothing but
    `on_incomplete: fail`, which it might say: what is above it is the floor, or the defaults are, as below every owner's policy.

    Args:
        files: where each stands, and its content; the nearest owner's first.
        good: the content of a file, by its place, when it could last be used; None when it never could.
    """
    document: PolicyDocument | None = None
    notes: list[str] = []
    mistakes: list[str] = []
    used: dict[str, bytes] = {}
    for where, content in reversed(files):
        try:
            own, used[where] = parse_document(content, where), content
        except PolicyInvalid as error:
            mistake = f"{where}:{error.line}: {error.message}" if error.line else f"{where}: {error.message}"
            last = _last(good(where), where)
            if last is None:
                mistakes.append(mistake)
                own = PolicyDocument(Policy(on_incomplete="fail"), f"{where} (cannot be used)")
            else:
                own, used[where] = last
                notes.append(f"{mistake}. The owner's policy cannot be used; its last good version is in force.")
        if document is not None:
            own, more = under(own, document)
            notes += more
        document = own
    return Above(document, tuple(notes), tuple(mistakes), used)


def _last(content: bytes | None, where: str) -> tuple[PolicyDocument, bytes] | None:
    if content is None:
        return None
    try:
        return parse_document(content, where), content
    except PolicyInvalid:  # this version is stricter than the one that kept it
        return None
