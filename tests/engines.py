"""Engine environments for tests: the installed one, and copies of it in which one program misbehaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
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
    target = engines.environment_dir(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = _beside(engines.environment_dir(INSTALLED), target.parent)
    shutil.copytree(source, target, symlinks=True, copy_function=_link)
    _replace(target, engine, script)
    for folder_above in (folder, target):
        folder_above.chmod(0o755)
    return folder


def _replace(home: Path, engine: str, script: str | None) -> None:
    """Put a script in the place of a program of the environment `home`."""
    program = home / "engines" / PROGRAMS[engine]
    real = program.resolve()  # the name under which scans start it: semgrep-core
    program.unlink()
    if script is not None:
        _write_program(program, f"REAL={real}\n{script}")


NOTHING_FOUND = r"""
while [ $# -gt 0 ]; do [ "$1" = -targets ] && targets=$2; shift; done
scanned=$(sed 's/"fpath": /\n&/g' "$targets" | sed -n 's/^"fpath": \("[^"]*"\).*/\1/p' | paste -sd, -)
printf '{"version":"1.182.0","results":[],"errors":[],"paths":{"scanned":[%s]}}' "$scanned"
"""
"""semgrep-core that has looked at everything and found nothing, at once."""


def find_nothing(folder: Path) -> None:
    """In an engines folder of a test's own, Semgrep's program looks at everything and finds nothing, at once."""
    program = engines.environment_dir(folder) / "engines" / PROGRAMS["semgrep"]
    program.unlink()
    _write_program(program, NOTHING_FOUND)


def instant(folder: Path) -> Path:
    """An engines folder whose engines answer at once that there is nothing."""
    home = engines.environment_dir(folder) / "engines"
    home.mkdir(parents=True)
    (home / "certificates.pem").write_text("")
    _write_program(home / "osemgrep", NOTHING_FOUND)
    _write_program(home / "betterleaks", "echo '[]'")
    for place in (folder, home.parent, home):
        place.chmod(0o755)
    return folder


def _write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class HeldEngine:
    """A copy of the environment in which one engine waits, while it is held, before it begins, and each can be made to misbehave."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._home = engines.environment_dir(folder)
        self._gate = self._home / "held"
        self._program = self._home / "engines" / PROGRAMS[engine]
        waits = f"while [ -e {self._gate} ]; do sleep 0.05; done\n"
        self.folder = copy_with(folder, engine, waits + self._turn(engine))
        for other in sorted(set(PROGRAMS) - {engine}):
            _replace(self._home, other, self._turn(other))

    def _turn(self, engine: str) -> str:
        instead = self._instead(engine)
        return f'[ -e {instead} ] && . {instead}\nexec "$REAL" "$@"'

    def _instead(self, engine: str) -> Path:
        return self._home / f"instead-of-{engine}"

    def hold(self) -> None:
        """From now on it waits."""
        self._gate.touch()

    def release(self) -> None:
        """Let it go on, and all that come; each does what it is made for."""
        self._gate.unlink(missing_ok=True)
        for engine in PROGRAMS:
            self._instead(engine).unlink(missing_ok=True)

    def misbehave(self, engine: str, script: str) -> None:
        """From now on until `release` an engine does this first: lines of sh. Where they do not end it, it goes on as always."""
        written = self._instead(engine).with_suffix(".part")
        written.write_text(f"{script}\n")
        written.chmod(0o644)
        written.rename(self._instead(engine))

    def at_work(self) -> list[int]:
        """Processes that run it, or that were started to run it."""
        return [pid for pid, arguments in processes() if str(self._program) in arguments]


def processes() -> Iterator[tuple[int, list[str]]]:
    """All processes of this machine with their arguments; those of the kernel have none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            yield int(entry.name), os.fsdecode(line).split("\0")[:-1]


def _beside(source: Path, place: Path) -> Path:
    """The installed engines, on the filesystem of `place`: one copy for all tests, as links do not reach from one to another."""
    if source.stat().st_dev == place.stat().st_dev:
        return source
    copied = Path(tempfile.gettempdir()) / f"fixwright-{source.name}"
    if not copied.exists():
        made = Path(tempfile.mkdtemp(prefix="fixwright-engines-"))
        shutil.copytree(source, made / source.name, symlinks=True)
        with contextlib.suppress(OSError):  # another process was quicker
            (made / source.name).rename(copied)
        shutil.rmtree(made)
    return copied


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
