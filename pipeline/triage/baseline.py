"""New, unchanged, fixed: findings of two states of a tree, matched by what they are and not by where they lie.

Equal fingerprints are one weakness; for a secret also the keyed hashes of the values must agree, because another value in the same place
is another leak. Where several findings share one (copies of the same code), they are matched as a multiset: by path,
then by rename, then by nearest line. Two in the base and three in the head are therefore exactly one new finding, and it is the one
that lies farthest from the old ones. Last, an old finding beside which somebody wrote a remark is still the old one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.model.finding import Finding
from pipeline.triage.fingerprint import EXCERPT_CHARACTERS, EXCERPT_LINES
from pipeline.triage.remarks import without_remarks

Covered = Callable[[Finding], bool]
"""True for a finding of the base when the same engine looked at that place again, or when its file is gone."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The findings of a change, each in exactly one place; all sorted by location."""

    new: tuple[Finding, ...] = ()
    """Of the head: nothing in the base is the same."""
    unchanged: tuple[Finding, ...] = ()
    """Of the head: the base had it, perhaps in another place."""
    fixed: tuple[Finding, ...] = ()
    """Of the base: it was looked for again, and it is gone."""
    not_reevaluated: tuple[Finding, ...] = ()
    """Of the base: nobody looked at that place again, so nothing is said of it."""


@dataclass(slots=True)
class _Group:
    """All findings of one identity that have no partner yet."""

    base: list[Finding] = field(default_factory=list)
    head: list[Finding] = field(default_factory=list)


def compare(base: Sequence[Finding], head: Sequence[Finding], *, covered: Covered) -> Compared:
    """Match two sets of findings. The answer depends on the sets alone, not on their order; O(n log n).

    Args:
        base: findings before the change, in the files that it touches.
        head: findings after it.
        covered: see `Covered`. A base finding that was not looked at again is never the origin of a finding in another file:
            an engine that failed on a file must not make a new copy of its weakness look old.
    """
    base_paths = {finding.location.path for finding in base}
    head_paths = {finding.location.path for finding in head}
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    for finding in base:
        groups[identity(finding)].base.append(finding)
    for finding in head:
        groups[identity(finding)].head.append(finding)
    new: list[Finding] = []
    unchanged: list[Finding] = []
    missing: list[Finding] = []
    for group in groups.values():
        group.base.sort(key=place)
        group.head.sort(key=place)
        unchanged += _match_paths(group)
        elsewhere = [f for f in group.base if not covered(f)]
        group.base = [f for f in group.base if covered(f)]
        unchanged += _match_renames(group, base_paths - head_paths, head_paths - base_paths)
        unchanged += _match_rest(group)
        new += group.head
        missing += [*group.base, *elsewhere]
    new, missing, same = _match_remarks(new, missing, covered)
    unchanged += same
    return Compared(
        new=_sorted(new),
        unchanged=_sorted(unchanged),
        fixed=_sorted(f for f in missing if covered(f)),
        not_reevaluated=_sorted(f for f in missing if not covered(f)),
    )


def _match_remarks(head: list[Finding], base: list[Finding], covered: Covered) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Take out the pairs that differ in nothing but a remark beside the code: same rule, same file, same scope, the same code.

    Each old one stands for one: of a copy with a remark, one is new. Returns what is left of both sides, and the head sides of the pairs.
    """
    groups: dict[tuple[str, ...], _Group] = defaultdict(_Group)
    for finding in head:
        groups[_code(finding)].head.append(finding)
    for finding in base:
        if covered(finding):
            groups[_code(finding)].base.append(finding)
    rest = [finding for finding in base if not covered(finding)]
    new: list[Finding] = []
    same: list[Finding] = []
    for group in groups.values():
        group.base.sort(key=place)
        group.head.sort(key=place)
        same += _match_nearest(group)
        new += group.head
        rest += group.base
    return new, rest, same


def _code(finding: Finding) -> tuple[str, ...]:
    """What a finding is, whatever was written beside it. Text that was cut off, or that there is none of, equals only itself."""
    path, text = finding.location.path, finding.excerpt
    lines = finding.location.end_line - finding.location.line + 1
    whole = text.strip() != "" and len(text) < EXCERPT_CHARACTERS and lines <= EXCERPT_LINES
    code = without_remarks(path, text) if whole else finding.fingerprint
    return finding.rule.id, finding.engine, path, finding.scope, finding.secret.keyed_hash if finding.secret else "", code


def identity(finding: Finding) -> tuple[str, str]:
    """What must be equal in two findings that are the same: the fingerprint, and for a secret its value as far as it is known."""
    return finding.fingerprint, finding.secret.keyed_hash if finding.secret else ""


def place(finding: Finding) -> tuple[str, int, int, int, int, str, str, str, str]:
    """Sort key: where it lies, then what it is; total on everything that tells two findings apart for a reader."""
    at = finding.location
    values = (finding.secret.keyed_hash if finding.secret else "", finding.commit or "")
    return (
        at.path,
        at.line,
        at.column,
        at.end_line,
        at.end_column,
        finding.rule.id,
        finding.fingerprint,
        finding.engine,
        "\0".join(values),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=place))


def _match_paths(group: _Group) -> list[Finding]:
    """Take out the pairs within one path, nearest lines first; returns their head sides."""
    by_path: dict[str, _Group] = defaultdict(_Group)
    for finding in group.base:
        by_path[finding.location.path].base.append(finding)
    for finding in group.head:
        by_path[finding.location.path].head.append(finding)
    group.base, group.head, matched = [], [], []
    for path in sorted(by_path):
        same = by_path[path]
        matched += _match_nearest(same)
        group.base += same.base
        group.head += same.head
    return matched


def _match_renames(group: _Group, gone: set[str], fresh: set[str]) -> list[Finding]:
    """Take out the pairs of a path that only the base has and one that only the head has: first with equal file names, then in order."""
    moved = _Group([f for f in group.base if f.location.path in gone], [f for f in group.head if f.location.path in fresh])
    if not moved.base or not moved.head:
        return []
    kept = _Group([f for f in group.base if f.location.path not in gone], [f for f in group.head if f.location.path not in fresh])
    by_name: dict[str, _Group] = defaultdict(_Group)
    for finding in moved.base:
        by_name[finding.location.path.rpartition("/")[2]].base.append(finding)
    for finding in moved.head:
        by_name[finding.location.path.rpartition("/")[2]].head.append(finding)
    matched: list[Finding] = []
    rest = _Group()
    for name in sorted(by_name):
        matched += _match_nearest(by_name[name])
        rest.base += by_name[name].base
        rest.head += by_name[name].head
    matched += _match_nearest(rest)
    group.base = sorted([*kept.base, *rest.base], key=place)
    group.head = sorted([*kept.head, *rest.head], key=place)
    return matched


def _match_rest(group: _Group) -> list[Finding]:
    """Code that moved from one file into another that both sides have."""
    return _match_nearest(group)


def _match_nearest(group: _Group) -> list[Finding]:
    """Pair off base and head by distance of lines, nearest first, until one side is empty; returns the head sides.

    The two nearest of all are always neighbours on the line, so a heap of neighbours is enough: O(n log n).
    """
    points = sorted(
        [(f.location.line, 0, i) for i, f in enumerate(group.base)] + [(f.location.line, 1, i) for i, f in enumerate(group.head)]
    )
    before = list(range(-1, len(points) - 1))
    after = [*range(1, len(points)), -1]
    paired: set[int] = set()
    heap = [(points[b][0] - points[a][0], a, b) for a, b in pairwise(range(len(points))) if points[a][1] != points[b][1]]
    heapq.heapify(heap)
    while heap:
        _, a, b = heapq.heappop(heap)
        if a in paired or b in paired:
            continue
        paired |= {a, b}
        left, right = before[a], after[b]
        if left >= 0:
            after[left] = right
        if right >= 0:
            before[right] = left
        if left >= 0 and right >= 0 and points[left][1] != points[right][1]:
            heapq.heappush(heap, (points[right][0] - points[left][0], left, right))
    taken = {(points[p][1], points[p][2]) for p in paired}
    matched = [f for i, f in enumerate(group.head) if (1, i) in taken]
    group.base = [f for i, f in enumerate(group.base) if (0, i) not in taken]
    group.head = [f for i, f in enumerate(group.head) if (1, i) not in taken]
    return matched
