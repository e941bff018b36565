"""Every commit of a change, for what was added and taken out again: it is in the history all the same."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.ids import BlobId, CommitId
from pipeline.sandbox.git import Mirror
from pipeline.stages.examine import SideFile


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
    commits, truncated = mirror.history(base, head, limit=limit)
    origin: dict[tuple[str, BlobId], CommitId] = {}
    layers: list[dict[str, SideFile]] = []
    depth: dict[str, int] = {}
    for commit in commits:
        for changed in commit.changed:
            version = (changed.path, changed.new_blob)
            if not changed.new_blob.strip("0") or version in origin:
                continue
            origin[version] = commit.commit
            layer = depth.get(changed.path, 0)
            depth[changed.path] = layer + 1
            if layer == len(layers):
                layers.append({})
            layers[layer][changed.path] = SideFile(changed.path, changed.new_blob, changed.new_mode)
    return History(tuple(list(layer.values()) for layer in layers), origin, len(commits), truncated)
