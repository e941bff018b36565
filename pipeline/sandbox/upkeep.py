"""Looking after the mirrors: which have not been used, which lie in too many pieces, which must be forgotten.

A mirror is a cache: removing one costs the next review of its repository a fetch, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Final

from pipeline.errors import GitError, MirrorDamaged
from pipeline.sandbox.gitrun import Git
from pipeline.sandbox.mirror import alone, drop_folder

log = logging.getLogger(__name__)

MANY_PACKS: Final = 40
"""Packs of a mirror from which reading gets slow (git's own `gc.autoPackLimit` is 50); every fetch brings one."""

REPACK_SECONDS: Final = 600.0
_SHORT_WAIT: Final = 1.0
_LEFT_SECONDS: Final = 3600.0


def drop_mirror(path: Path) -> None:
    """Remove a mirror and its lock. Raises GitUnavailable when somebody is fetching into it right now."""
    with alone(path, _SHORT_WAIT):
        drop_folder(path)
        Path(f"{path}.lock").unlink(missing_ok=True)


def last_used(path: Path) -> float:
    """When something was fetched into a mirror last, seconds since 1970: every fetch takes the lock and so touches it."""
    times = [entry.stat().st_mtime for entry in (Path(f"{path}.lock"), path) if entry.exists()]
    return max(times, default=0.0)


def drop_unused(mirrors: Path, seconds: float) -> int:
    """Remove mirrors that nothing was fetched into for so long, and what a crash left half removed; how many mirrors that were."""
    dropped = 0
    for path in _mirrors(mirrors):
        if last_used(path) < time.time() - seconds:
            with contextlib.suppress(GitError):  # in use after all
                drop_mirror(path)
                log.info("mirror.unused", extra={"mirror": path.name})
                dropped += 1
    for left in mirrors.glob(".dropped-*"):
        if left.stat().st_mtime < time.time() - _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    return dropped


def repack_one(mirrors: Path, many: int = MANY_PACKS) -> bool:
    """Put the pieces of one mirror together, the one with the most; False when none has too many. Readers go on meanwhile."""
    counted = [(len(list(path.glob("objects/pack/*.pack"))), path) for path in _mirrors(mirrors)]
    packs, path = max(counted, default=(0, mirrors))
    if packs <= many:
        return False
    begun = time.monotonic()
    with alone(path, _SHORT_WAIT):
        # --keep-unreachable: commits whose ref was forgotten are still compared with.
        try:
            Git(path).read("repack", "-a", "-d", "-q", "--keep-unreachable", wall=REPACK_SECONDS)
        except MirrorDamaged as error:  # who wants it next fetches it anew
            drop_folder(path)
            log.warning("mirror.dropped", extra={"mirror": path.name, "reason": error.message})
            return True
    log.info("mirror.repacked", extra={"mirror": path.name, "packs": packs, "seconds": round(time.monotonic() - begun, 1)})
    return True


def free_bytes(folder: Path) -> int:
    """Bytes that we may still write to the disk of a folder (or of its nearest parent that exists)."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _mirrors(mirrors: Path) -> list[Path]:
    return sorted(path for path in mirrors.glob("*.git") if path.is_dir())
