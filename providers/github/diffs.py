"""Which lines of a pull request GitHub lets us comment on: those of its own diff, with their context. Pure.

Source: docs REST "List pull requests files" (`patch` is a unified diff without file headers; absent for binary and very large files).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from providers.github.client import Answer

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


class ChangedFile(Answer):
    """One file of a pull request."""

    filename: str
    patch: str | None = None


def commentable(files: Sequence[ChangedFile] | None, path: str, first: int, last: int) -> bool | None:
    """True when lines `first`..`last` (1-based, of the new side) lie in one hunk of that file, so that a comment can be anchored there.

    None when it cannot be told, because the file changed but GitHub does not show its diff, or it shows none at all (`files` is None).
    """
    if files is None:
        return None
    found = next((file for file in files if file.filename == path), None)
    if found is None:
        return False
    if found.patch is None:
        return None
    for hunk in _HUNK.finditer(found.patch):
        start, length = int(hunk.group(1)), int(hunk.group(2) or "1")
        if start <= first and last < start + length:
            return True
    return False
