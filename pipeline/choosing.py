"""Which finding a person means who writes a command: by its handle, by its place, by the thread, or because there is only one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.model.command import CommandCall, Mending
from pipeline.model.finding import BaselineState, Finding, Judged, Standing
from pipeline.phrases import where
from pipeline.ports import ReviewView

OPEN = (Standing.BLOCKS, Standing.WARNS)
"""What stands in the way, or is at least listed."""

Fault = Literal["not-settled", "nothing", "which", "unknown", "ambiguous", "gone", "mended"]
"""Topics of `pipeline.answers`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One finding, or why it is none."""

    finding: Finding | None = None
    rest: str = ""
    """What stands behind the name."""
    place: str = ""
    """`FILE:LINE`, when the identity of the finding has several places."""
    fault: Fault | None = None
    asked: str = ""
    """The name as it was typed."""
    handles: tuple[str, ...] = ()
    """Those that would do."""
    places: tuple[str, ...] = ()
    """Where the finding stands, when the name means several."""


def choose(call: CommandCall, view: ReviewView, standings: Collection[Standing] = OPEN, *, unnamed: bool = False) -> Choice:
    """The finding of the newest review that is meant; on a pull request of ours its fix, when nothing else is named (`mended`).

    Args:
        standings: of those that the command is for.
        unnamed: what stands behind the command need not begin with a name: text that names nothing is the rest.
    """
    new = [one for one in view.judged if one.baseline is BaselineState.NEW]
    fitting = open_in(view, standings)
    name, rest = split(call.arguments, places_of(view))
    if view.mends is not None and (said := _of_the_fix(call, view.mends, new, name, rest, bool(fitting), unnamed=unnamed)) is not None:
        return Choice(fault="mended", rest=said, asked=view.mends.fix.handle)
    if view.review is None or not view.settled:
        return Choice(fault="not-settled")
    if not name:
        return _unnamed(call, fitting)
    if unnamed and not any(_is_called(one, name) for one in view.judged):
        return replace(_unnamed(call, fitting), rest=call.arguments.strip())
    known = [one for one in view.judged if _is_called(one, name)]
    meant = [one for one in fitting if _is_called(one, name)]
    if not meant:
        return Choice(fault="gone" if known else "unknown", asked=name, handles=_handles(fitting))
    if len({one.finding.fingerprint for one in meant}) > 1:
        return Choice(fault="which", asked=name, handles=_handles(meant))
    by_place = where(meant[0].finding) == name
    return _one(meant, fitting, rest, asked=name, by_place=by_place)


def open_in(view: ReviewView, standings: Collection[Standing] = OPEN) -> list[Judged]:
    """What the pull request brings, of these standings."""
    return [one for one in view.judged if one.baseline is BaselineState.NEW and one.standing in standings]


def places_of(view: ReviewView) -> set[str]:
    """`FILE:LINE` of everything that may be named."""
    mended = {where(view.mends.finding)} if view.mends is not None and view.mends.finding is not None else set()
    return {where(one.finding) for one in view.judged} | mended


def _of_the_fix(
    call: CommandCall, mends: Mending, new: Sequence[Judged], name: str, rest: str, fitting: bool, *, unnamed: bool
) -> str | None:
    """What is said of the fix that the pull request offers; None when something else is meant.

    Args:
        new: what the pull request itself brings, which somebody may have pushed to its branch.
        fitting: some of it is what the command is for.
    """
    if any(_is_called(one, name) for one in new):
        return None
    if name and (name.upper() == mends.fix.handle or name in _places(mends)):
        return rest
    if (name and not unnamed) or any(one.finding.fingerprint == call.finding_marker for one in new):
        return None
    return None if fitting and not unnamed else call.arguments.strip()


def _places(mends: Mending) -> tuple[str, ...]:
    return (mends.fix.place, *(() if mends.finding is None else (where(mends.finding),)))


def split(arguments: str, places: Collection[str]) -> tuple[str, str]:
    """The name at the beginning of a command's arguments, and the rest. A place may have blanks in it, and code marks around it."""
    text = arguments.strip()
    if text.startswith("`") and "`" in text[1:]:
        name, _, rest = text[1:].partition("`")
        return name.strip(), rest.strip()
    for place in sorted(places, key=len, reverse=True):
        if text.startswith(place) and text[len(place) : len(place) + 1] in ("", " ", "\t"):
            return place, text[len(place) :].strip()
    words = text.split(None, 1)
    return (words[0], words[1] if len(words) > 1 else "") if words else ("", "")


def _is_called(one: Judged, name: str) -> bool:
    return where(one.finding) == name or (one.finding.handle is not None and one.finding.handle == name.upper())


def _unnamed(call: CommandCall, fitting: list[Judged]) -> Choice:
    if call.finding_marker:
        meant = [one for one in fitting if one.finding.fingerprint == call.finding_marker]
        if meant:
            return _one(meant, fitting, "", asked=meant[0].finding.handle or "")
    elif fitting and len({one.finding.fingerprint for one in fitting}) == 1:
        return _one(fitting, fitting, "", asked=fitting[0].finding.handle or "")
    return Choice(fault="which" if fitting else "nothing", handles=_handles(fitting))


def _one(meant: list[Judged], fitting: list[Judged], rest: str, *, asked: str, by_place: bool = False) -> Choice:
    """Of findings of one identity: the only one, or the one at the place that was named."""
    finding = meant[0].finding
    places = tuple(dict.fromkeys(where(one.finding) for one in fitting if one.finding.fingerprint == finding.fingerprint))
    if by_place:
        return Choice(finding, rest, place=where(finding) if len(places) > 1 else "", asked=asked)
    if len(places) > 1:
        return Choice(fault="ambiguous", asked=asked, places=places)
    return Choice(finding, rest, asked=asked)


def _handles(found: list[Judged]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one.finding.handle) for one in found if one.finding.handle))
