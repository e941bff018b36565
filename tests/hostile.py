"""What hostile sets share: the part of a set that runs every time, and a look at the file system around a job.

The sets are large, and most members cost a second. `make test` runs a sample; the whole runs with FIXWRIGHT_HOSTILE=all. The sample is
the same everywhere for the same FIXWRIGHT_SEED (default 1), so that workers of one run agree and a failure can be had again.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

WHOLE = os.environ.get("FIXWRIGHT_HOSTILE") == "all"
SEED = os.environ.get("FIXWRIGHT_SEED", "1")

whole_only = pytest.mark.skipif(not WHOLE, reason="costs seconds or hundreds of megabytes: runs with FIXWRIGHT_HOSTILE=all")


def sampled(cases: Iterable[str], count: int, *, always: Sequence[str] = ()) -> list[str]:
    """Names of cases for `pytest.mark.parametrize`: all of them when the whole is asked for, else `count`.

    Args:
        always: cases that are in every sample, besides the `count`.
    """
    names = list(cases)
    if not WHOLE:
        rest = sorted(set(names) - set(always))
        chosen = {*always, *random.Random(f"{SEED} {names}").sample(rest, min(count, len(rest)))}
        names = [name for name in names if name in chosen]
    return names


Listing = Mapping[str, tuple[int, str]]
"""Kind and permissions, and a digest of the content or the target, by path."""


def listing(*roots: Path) -> Listing:
    """Everything below some folders as it is now; links are not followed."""
    found: dict[str, tuple[int, str]] = {}
    for root in roots:
        for path in [root, *sorted(root.rglob("*"))]:
            mode = path.lstat().st_mode
            content = b""
            if stat.S_ISLNK(mode):
                content = os.fsencode(path.readlink())
            elif stat.S_ISREG(mode):
                content = path.read_bytes()
            found[os.fspath(path)] = (mode, hashlib.sha256(content).hexdigest())
    return found
