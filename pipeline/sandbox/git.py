"""git, as the rest of Fixwright knows it: mirrors of repositories on hosts, and folders on a person's disk.

`gitrun` starts git hardened, `objects` reads, `mirror` fetches, `worktree` reads a folder. See docs/decisions and the table of attacks in
tests/unit/sandbox/test_hostile_trees.py.
"""

from __future__ import annotations

from pipeline.ports import GitCredentials
from pipeline.sandbox.mirror import Mirror
from pipeline.sandbox.objects import CommitChanges, Objects
from pipeline.sandbox.treewalk import Changed
from pipeline.sandbox.worktree import Worktree

__all__ = ["Changed", "CommitChanges", "GitCredentials", "Mirror", "Objects", "Worktree"]
