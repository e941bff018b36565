"""Whether two changes of one file get in each other's way, as a merge by lines sees it. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher

MOST_LINES = 20_000
"""Of a longer file nobody finds that out here: the changes are taken to collide."""


def collide(before: bytes, ours: bytes, theirs: bytes | None) -> bool:
    """Whether what `ours` changed in `before` lies in, or beside, what `theirs` changed in it. None: they have no such file any more."""
    if theirs is None:
        return True
    if theirs in (before, ours):
        return False
    old = before.splitlines(keepends=True)
    if len(old) > MOST_LINES or theirs.count(b"\n") > MOST_LINES:
        return True
    mine, others = _changed(old, ours.splitlines(keepends=True)), _changed(old, theirs.splitlines(keepends=True))
    return any(start <= end_there and begin_there <= end for start, end in mine for begin_there, end_there in others)


def _changed(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]]:
    """Ranges of lines of `old` that are not in `new` as they were; an empty one where only something was put in.

    Where lines repeat, a change can be read in several ways, and git may read it in another one: it reaches over all of them.
    """
    # What both have at their beginning and end is most of it, and comparing costs the square of the rest.
    head = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    rest = min(len(old), len(new)) - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    middle = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    ranges = []
    for tag, begin, end, begin_new, end_new in middle.get_opcodes():
        if tag != "equal":
            start, stop = head + begin, head + end
            block = {*old[start:stop], *new[head + begin_new : head + end_new]}
            while start > 0 and old[start - 1] in block:
                start -= 1
            while stop < len(old) and old[stop] in block:
                stop += 1
            ranges.append((start, stop))
    return ranges
