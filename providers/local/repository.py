"""How the local provider names a repository on the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.model.target import SourceRepository
from pipeline.sandbox.localgit import LocalRepository


def describe(path: Path) -> SourceRepository:
    """The repository in a folder, as the local provider names it. Raises UsageError when there is none."""
    folder = path.resolve()
    git_dir = folder / ".git" if (folder / ".git").is_dir() else folder
    if not (git_dir / "objects").is_dir():
        raise UsageError(f"{path} is no git repository")
    name = folder.name.removesuffix(".git")
    identity = f"{name[:40]}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:10]}"
    default = LocalRepository(folder).default_branch()
    return SourceRepository("local", "", identity, name, default, str(folder), installation="local")
