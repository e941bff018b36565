"""Every commit of a change, for what was added and taken out again: it is in the history all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.model.ids import BlobId, CommitId
from pipeline.model.scan import Coverage, Gap, GapClass, ScanResult
from pipeline.sandbox.git import Mirror
from pipeline.stages.examine import SideFile

VERSIONS = 10_000
"""Changed files of all commits of a change together that are searched; the rest is a gap. Few people change more in one pull request, and
a few small objects of git can make billions."""


@dataclass(frozen=True, slots=True)
class History:
    """The versions of files that a change's commits made."""

    layers: tuple[list[SideFile], ...]
    """Each has at most one version of a path, so that an engine can look at a layer as a tree; together they are all versions."""
    origin: dict[tuple[str, BlobId], CommitId]
    """First commit that has a version."""
    commits: int
    """How many commits were read."""
    truncated: bool


def read_history(mirror: Mirror, base: CommitId, head: CommitId, limit: int) -> History:
    """All versions that base..head adds, oldest commit first, at most `limit` commits."""
    commits, truncated = mirror.history(base, head, limit=limit, entries=VERSIONS)
    origin: dict[tuple[str, BlobId], CommitId] = {}
    began: dict[str, BlobId] = {}
    layers: list[dict[str, SideFile]] = []
    depth: dict[str, int] = {}
    for commit in commits:
        for changed in commit.changed:
            version = (changed.path, changed.new_blob)
            # What stood there before the change is nothing that it brings, however often it is taken out and put back.
            before = began.setdefault(changed.path, changed.old_blob)
            if not changed.new_blob.strip("0") or version in origin or changed.new_blob == before:
                continue
            origin[version] = commit.commit
            layer = depth.get(changed.path, 0)
            depth[changed.path] = layer + 1
            if layer == len(layers):
                layers.append({})
            layers[layer][changed.path] = SideFile(changed.path, changed.new_blob, changed.new_mode)
    return History(tuple(list(layer.values()) for layer in layers), origin, len(commits), truncated)


def attribute(history: History, results: Sequence[ScanResult], declared: int = 0) -> ScanResult:
    """What an engine found in the layers of a history, each finding with the commit that added it.

    Args:
        declared: how many commits the host says there are, when it knows.
    """
    found = (finding for result in results for finding in result.findings)
    findings = tuple(replace(f, commit=history.origin.get((f.location.path, f.blob or BlobId("")))) for f in found)
    gaps = tuple(dict.fromkeys(gap for result in results for gap in result.coverage.gaps))
    if history.truncated:
        count = f"{history.commits:,} commit{'s' if history.commits != 1 else ''}"
        gaps = (*gaps, Gap("git", "", f"only {count} and at most {VERSIONS:,} of their changed files were searched", GapClass.LIMIT))
    coverage = Coverage(gaps=gaps, commits=max(declared, history.commits), commits_checked=history.commits)
    return ScanResult(findings, coverage)
