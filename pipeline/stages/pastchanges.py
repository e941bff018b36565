"""Which commits of a branch were changes that people merged: joined branches, squashed ones, or, where there are neither, every commit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import UsageError
from pipeline.model.backtest import Kind, Past
from pipeline.model.ids import CommitId
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.mainline import LineCommit, read_line

By = Literal["auto", "merges", "commits"]
"""What counts as a change: whatever the branch has more of, merged branches and squashes alone, or every commit."""

WINDOW = 10
"""Commits of the line that are looked at for each change that is wanted."""

_JOINED = (
    re.compile(r"Merge pull request #(\d{1,9}) "),
    re.compile(r"Merge pull request '[^\n]{0,300}' \(#(\d{1,9})\)"),
    re.compile(r"Merged in [^\n]{1,300} \(pull request #(\d{1,9})\)"),
    re.compile(r"Merged PR (\d{1,9}): "),
)
_SQUASHED = (re.compile(r"\((#\d{1,9})\)\s*$"), re.compile(r"^Merged PR (\d{1,9}): "), re.compile(r"\(pull request (#\d{1,9})\)\s*$"))
_SEE = re.compile(r"^See merge request [^\s!]{0,300}(!\d{1,9})\s*$", re.MULTILINE)
_BACK = re.compile(r"Merge (?:remote-tracking )?branch '(?:(?:origin|upstream)/)?([^']{1,200})'")
_OWN_WORDS = re.compile(r"(?:Merge(?:d in)? |Merge branch |See merge request )")


@dataclass(frozen=True, slots=True)
class Line:
    """What was found on a branch."""

    changes: tuple[Past, ...]
    """Oldest first."""
    by: Literal["merges", "commits"]
    looked: int
    """How many commits of the branch were looked at."""


def past_changes(mirror: Mirror, tip: CommitId, branch: str, last: int, by: By) -> Line:
    """The last changes that came onto a branch.

    Args:
        branch: its name, to know a merge of the branch into itself, which is nobody's change; empty: not known.
        last: how many.
        by: `auto` takes merged branches and squashes, unless they are fewer than a tenth of what is wanted while the branch has enough
            commits: then people do not work that way here, and each commit is a change.

    Raises:
        UsageError: there is no change at all; GitError.
    """
    line = read_line(mirror.git, tip, max(1_000, WINDOW * last) + 1)
    merged = [one for one in (_merged(commit, branch) for commit in line) if one is not None]
    single = [one for one in (_single(commit) for commit in line) if one is not None]
    rare = len(merged) * WINDOW < last and len(single) > last
    chosen: Literal["merges", "commits"] = "commits" if by == "commits" or (by == "auto" and (not merged or rare)) else "merges"
    if chosen == "commits":
        known = {one.commit: one for one in merged}
        found: Sequence[_Found] = [known.get(commit.commit) or one for commit in line if (one := _any(commit)) is not None]
    else:
        found = merged
    if not found:
        what = "no merge and no squashed change" if by == "merges" else "nothing that came after its first commit"
        raise UsageError(f"the branch has {what}, so there is no change to look at again")
    newest = found[:last]
    return Line(tuple(_past(mirror, one) for one in reversed(newest)), chosen, len(line))


@dataclass(frozen=True, slots=True)
class _Found:
    commit: CommitId
    parents: tuple[CommitId, ...]
    kind: Kind
    number: str
    title: str
    when: int


def _merged(one: LineCommit, branch: str) -> _Found | None:
    """A merged branch, or a squash; None for anything else."""
    subject, _, body = one.message.partition("\n")
    if len(one.parents) > 1:
        back = _BACK.match(subject)
        if back is not None and back[1] in ((branch,) if branch else ("main", "master")):
            return None
        number = next((f"#{found[1]}" for pattern in _JOINED if (found := pattern.match(subject))), "") or _seen(one.message)
        number = number or next((_numbered(found[1]) for pattern in _SQUASHED if (found := pattern.search(subject))), "")
        title = _first_line(body) if _OWN_WORDS.match(subject) else ""
        return _Found(one.commit, one.parents, Kind.MERGE, number, title or subject, one.when)
    if not one.parents:
        return None
    squashed = next((found for pattern in _SQUASHED if (found := pattern.search(subject))), None)
    number = _numbered(squashed[1]) if squashed is not None else _seen(one.message)
    if not number:
        return None
    title = subject[: squashed.start()] if squashed is not None and squashed.start() else subject
    return _Found(one.commit, one.parents, Kind.SQUASH, number, title.strip() or subject, one.when)


def _single(one: LineCommit) -> _Found | None:
    return _any(one) if len(one.parents) == 1 else None


def _any(one: LineCommit) -> _Found | None:
    if not one.parents:
        return None
    kind = Kind.MERGE if len(one.parents) > 1 else Kind.COMMIT
    return _Found(one.commit, one.parents, kind, "", one.message.partition("\n")[0], one.when)


def _numbered(text: str) -> str:
    return text if text.startswith("#") else f"#{text}"


def _seen(message: str) -> str:
    found = _SEE.search(message)
    return "" if found is None else found[1]


def _first_line(body: str) -> str:
    """The first line of a message that says what the change is."""
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):  # what an editor leaves there, as `# Conflicts:`
            return "" if _SEE.match(line.strip()) else line.strip()
    return ""


def _past(mirror: Mirror, one: _Found) -> Past:
    """A merge of one branch is judged as it was when it was merged: its own head against where it left the branch. Of several branches at
    once, and of one with a history of its own, it is what the merge brought."""
    before = one.parents[0]
    base, head = before, one.commit
    if len(one.parents) == 2:
        fork = mirror.merge_base(before, one.parents[1])
        if fork is not None and fork != one.parents[1]:
            base, head = fork, one.parents[1]
    return Past(one.commit, one.kind, base, head, before, one.number, one.title[:300], one.when)
