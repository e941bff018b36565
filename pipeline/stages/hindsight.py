"""What became of flagged lines: whether people changed them since, and whether the weakness is still there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from pipeline.errors import GitError
from pipeline.model.backtest import Hindsight, Line, Remarked, Weakness
from pipeline.model.finding import Finding
from pipeline.model.ids import BlobId, CommitId
from pipeline.model.scan import ScanResult
from pipeline.sandbox.git import Mirror
from pipeline.sandbox.mainline import replaced_lines
from pipeline.stages.examine import SideFile
from pipeline.triage.baseline import identity

MAX_TREE = 200_000
"""Files of the branch that are looked through for one that was moved."""


@dataclass
class Now:
    """The branch as it is, as far as anything was flagged in it."""

    mirror: Mirror
    tip: CommitId
    moved: dict[tuple[CommitId, str], str]
    """Where a flagged file of a change is now; one that is nowhere is missing."""
    files: list[SideFile]
    """Those files as they are now."""
    _there: set[tuple[str, tuple[str, str]]] = field(default_factory=set)
    _looked: dict[str, set[str]] = field(default_factory=dict)

    @staticmethod
    def read(mirror: Mirror, tip: CommitId, flagged: Sequence[tuple[CommitId, Finding]]) -> Now:
        """Find the flagged files in the branch: under their names, or, where one is gone, as the only file that has its name and stands
        elsewhere. Raises GitError."""
        if not flagged:
            return Now(mirror, tip, {}, [])
        entries, _ = mirror.entries(tip, limit=MAX_TREE)
        there = {entry.path: entry for entry in entries if entry.new_mode in ("100644", "100755")}
        named: dict[str, list[str]] = {}
        for path in there:
            named.setdefault(PurePosixPath(path).name, []).append(path)
        moved = {}
        for head, finding in flagged:
            path = finding.location.path
            alike = named.get(PurePosixPath(path).name, [])
            if path in there:
                moved[head, path] = path
            elif len(alike) == 1 and not _was_there(mirror, head, alike[0]):
                moved[head, path] = alike[0]
        names = sorted(set(moved.values()))
        return Now(mirror, tip, moved, [SideFile(name, there[name].new_blob, there[name].new_mode) for name in names])

    def hear(self, result: ScanResult) -> None:
        """What an engine says of the files as they are now."""
        self._there |= {(f.location.path, identity(f)) for f in result.findings}
        missed = {gap.path for gap in result.coverage.gaps}
        for run in result.coverage.runs:
            self._looked.setdefault(run.engine, set()).update(file.path for file in self.files if file.path not in missed)

    def weakness(self, head: CommitId, finding: Finding) -> Weakness:
        """Whether the engines still say it."""
        path = self.moved.get((head, finding.location.path))
        if path is None:
            return Weakness.GONE
        if (path, identity(finding)) in self._there:
            return Weakness.STILL_THERE
        return Weakness.GONE if path in self._looked.get(finding.engine, ()) else Weakness.UNKNOWN

    def line(self, head: CommitId, finding: Finding) -> Line:
        """Whether the flagged lines are as they were."""
        if finding.commit is not None and finding.blob != self.mirror.blob_at(head, finding.location.path):
            return Line.UNKNOWN
        path = self.moved.get((head, finding.location.path))
        if path is None:
            return Line.GONE
        before = self.mirror.blob_at(head, finding.location.path)
        after = self.mirror.blob_at(self.tip, path)
        if before is None or after is None:
            return Line.UNKNOWN
        return Line.SAME if before == after or self._kept(before, after, finding) else Line.CHANGED

    def _kept(self, before: BlobId, after: BlobId, finding: Finding) -> bool:
        """True when every flagged line stands in the newer version, in its place between the others."""
        self.mirror.ensure_blobs([before, after])
        at = finding.location
        return not any(first <= at.end_line and last >= at.line for first, last in replaced_lines(self.mirror.git, before, after))


def _was_there(mirror: Mirror, commit: CommitId, path: str) -> bool:
    try:
        return mirror.blob_at(commit, path) is not None
    except GitError:
        return True


def look_back(now: Now, head: CommitId, remarks: Sequence[Remarked]) -> Iterator[Remarked]:
    """The remarks of a change with what people did afterwards."""
    for remark in remarks:
        finding = remark.judged.finding
        yield replace(remark, hindsight=Hindsight(now.line(head, finding), now.weakness(head, finding)))
