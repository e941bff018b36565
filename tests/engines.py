"""Engine environments for tests: the installed one, and copies of it in which one program misbehaves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bot.settings import engines_dir
from pipeline import engines
from pipeline.errors import EngineMissing

INSTALLED = engines_dir()


def installed() -> bool:
    """True when the real engines are there."""
    try:
        return all(engines.find(INSTALLED, name) for name in engines.names())
    except EngineMissing:
        return False


needs_engines = pytest.mark.skipif(not installed(), reason="the engines are not installed: run `fixwright engines install`")

PROGRAMS = {"semgrep": "osemgrep", "betterleaks": "betterleaks"}


def copy_with(folder: Path, engine: str, script: str | None) -> Path:
    """An engines folder like the installed one, in which one engine's program is replaced.

    Args:
        script: lines of sh; `"$REAL"` is the real program. None: the program is missing.
    """
    source = engines.environment_dir(INSTALLED)
    target = engines.environment_dir(folder)
    shutil.copytree(source, target, symlinks=True, copy_function=_link)
    program = target / "engines" / PROGRAMS[engine]
    real = program.with_name(program.name + ".real")
    program.rename(real)
    if script is not None:
        _write_program(program, f"REAL={real.resolve()}\n{script}")
    for folder_above in (folder, target):
        folder_above.chmod(0o755)
    return folder


NOTHING_FOUND = r"""
while [ $# -gt 0 ]; do [ "$1" = -targets ] && targets=$2; shift; done
scanned=$(sed 's/"fpath": /\n&/g' "$targets" | sed -n 's/^"fpath": \("[^"]*"\).*/\1/p' | paste -sd, -)
printf '{"version":"1.182.0","results":[],"errors":[],"paths":{"scanned":[%s]}}' "$scanned"
"""
"""semgrep-core that has looked at everything and found nothing, at once."""


def instant(folder: Path) -> Path:
    """An engines folder whose engines answer at once that there is nothing."""
    home = engines.environment_dir(folder) / "engines"
    home.mkdir(parents=True)
    (home / "certificates.pem").write_text("")
    _write_program(home / "osemgrep", NOTHING_FOUND)
    _write_program(home / "betterleaks", "exit 0")
    for place in (folder, home.parent, home):
        place.chmod(0o755)
    return folder


def _write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
