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
        # semgrep's program decides by the name under which it is called.
        called = target / "engines" / "real" / program.name
        called.parent.mkdir(exist_ok=True)
        called.symlink_to(real.resolve())
        program.write_text(f"#!/bin/sh\nREAL={called}\n{script}\n")
        program.chmod(0o755)
    for folder_above in (folder, target):
        folder_above.chmod(0o755)
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
