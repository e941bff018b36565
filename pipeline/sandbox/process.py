"""The one place that starts programs.

`run` is for programs that we trust (git) on data that we do not; `run_isolated` for everything that a stranger's bytes may take over:
engines, a repository's tests. Both take an argument list, never a shell line, give a clean environment, and leave no process behind.

Threads and forks. Workers have threads, so no Python may run between fork and exec (`preexec_fn` can deadlock). What must happen there is
done by small programs that are executed in between: setpriv(1) and prlimit(1) of util-linux, measured at 1 ms each, where they are enough;
`launcher.py`, measured at 15 ms, where they are not.

The parent-death signal is sent when the *thread* that started the program ends (prctl(2)); that thread waits here, so it is the same.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import SandboxBusy, SandboxUnavailable
from pipeline.sandbox import isolation, orphans
from pipeline.sandbox.isolation import Level
from pipeline.sandbox.supervise import Finished, Limits, ended_when, supervise
from pipeline.sandbox.trials import Trials

__all__ = ["Finished", "Level", "Limits", "Runtime", "ended_when", "level", "run", "run_isolated", "runtime", "runtime_mounts", "why"]

_CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_ASK_PYTHON = ("-I", "-c", "import sys; print(sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, sep='\\n')")
_ASK_NODE = ("-p", "process.execPath + '\\n' + require('path').dirname(require('path').dirname(process.execPath))")
_BEGAN = (b"began", b'"exit-code"')
"""What the launcher writes on the status pipe right before the program begins, and bubblewrap (`--json-status-fd`) after a program that
really began. The program itself does not have that pipe: what it prints and how it exits cannot look like a failed start of ours."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An interpreter that a repository's tests are run with."""

    binary: Path
    """The program itself, not the script or link on PATH that leads to it."""
    mounts: tuple[Path, ...]
    """What must be shown in the sandbox besides the system's folders."""


def run(
    argv: Sequence[str], *, limits: Limits, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes = b""
) -> Finished:
    """Run a trusted program: no isolation, but limits, a session of its own, and death with us.

    Args:
        argv: the program and its arguments; looked up on PATH.
        limits: `processes` is not applied (see there).
        env: the whole environment; None: PATH and a UTF-8 locale, nothing of ours.
        stdin: what it reads.

    Raises:
        SandboxUnavailable: the program cannot be started (not installed); SandboxBusy: not just now.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise SandboxUnavailable(f"{argv[0]} is not installed", hint=f"install {argv[0]} or put it on PATH")
    command = [*_dying_with_us(), program, *argv[1:]]
    process = _start(command, _CLEAN if env is None else dict(env), cwd, bool(stdin), ())
    for kind, soft, hard in isolation.rlimits(limits):
        # From outside, a moment after the start: the program is trusted, and this saves it a wrapper.
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            resource.prlimit(process.pid, kind, (soft, hard))
    return supervise(process, limits, stdin)


def run_isolated(
    argv: Sequence[str],
    *,
    limits: Limits,
    readable: Sequence[Path] = (),
    writable: Sequence[tuple[Path, Path]] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    level: Level | None = None,
) -> Finished:
    """Run a program that may be hostile or be fed hostile bytes.

    It has no network, no credentials, none of our environment, and nothing to write to but a private /tmp that vanishes.

    Args:
        argv: the program by its path inside, and its arguments.
        readable: files and folders that it sees, read-only and at the same path, besides the system's programs and libraries. When root
            starts us, the program is `nobody`: the files must be readable by others, the folders above them need not be.
        writable: (folder here, path inside). When root starts us, the folder and what is in it is given to `nobody`.
        env: added to PATH, HOME, TMPDIR and a UTF-8 locale.
        cwd: path inside; default the first writable folder, else /tmp.
        level: force one; default the best that works here.

    Raises:
        SandboxUnavailable: a path cannot be shown, or what makes that level is not installed; SandboxBusy: it did not start.
    """
    chosen = level or best_level()
    with _private_home(chosen) as home:
        plan = isolation.plan(chosen, argv, limits, readable, writable, {**home, **(env or {})}, cwd or _first_folder(writable, home))
        if not chosen.isolates and any(outside != inside for outside, inside in writable):
            raise SandboxUnavailable("without namespaces a folder cannot be shown at another path", hint="install bubblewrap")
        if plan.drop_to is not None:
            for outside, _ in writable:
                _give_away(outside, plan.drop_to)
        finished, began = _start_isolated(plan, limits, stdin)
    if not (began or finished.timed_out or finished.truncated or finished.signal):
        said = finished.stderr.decode("utf-8", "replace").strip()[-300:]
        raise SandboxBusy(f"{chosen}: {said or f'no program was started (exit code {finished.exit_code})'}", hint="fixwright doctor")
    return finished


def _start_isolated(plan: isolation.Plan, limits: Limits, stdin: bytes) -> tuple[Finished, bool]:
    """Start what `plan` says, by the shortest way; how it ended, and whether the program inside began at all."""
    with contextlib.ExitStack() as kept:
        status, told = _status_pipe(kept)
        process = _start_plan(replace(plan, status=told), limits, stdin)
        finished = supervise(process, limits, stdin)
        said = b""
        with contextlib.suppress(BlockingIOError):  # nothing was said
            said = os.read(status, 4096)
    return finished, any(word in said for word in _BEGAN)


def _status_pipe(kept: contextlib.ExitStack) -> tuple[int, int]:
    """Where it is told that the program began: an end to read without waiting, and one to write."""
    try:
        status, told = os.pipe()
    except OSError as error:
        raise SandboxBusy(f"cannot start a program: {error.strerror}") from error
    for descriptor in (status, told):
        kept.callback(os.close, descriptor)
    os.set_blocking(status, False)
    return status, told


def _start_plan(plan: isolation.Plan, limits: Limits, stdin: bytes) -> subprocess.Popen[bytes]:
    owner = orphans.mark()
    with contextlib.ExitStack() as open_files:
        passed = [plan.status]
        if plan.how == Level.BUBBLEWRAP:
            files = [(open_files.enter_context(_handed_over(content.encode())), place) for place, content in plan.files]
            command, arguments, stages = isolation.bubblewrap_command(plan, files, limits.wall, owner)
            passed += [*(descriptor for descriptor, _ in files), open_files.enter_context(_handed_over(arguments))]
            command[command.index("{args}")] = str(passed[-1])
            plan = replace(plan, wrapper=(*_limited(plan), *command), stages=stages)
        if plan.how == Level.BUBBLEWRAP and plan.drop_to is None:
            command = [*_dying_with_us(), *plan.wrapper]
        else:
            passed.append(open_files.enter_context(_handed_over(plan.encoded())))
            command = isolation.launcher_command(passed[-1], owner)
        return _start(command, _CLEAN, None, bool(stdin), tuple(passed))


def _limited(plan: isolation.Plan) -> list[str]:
    """prlimit(1) with the limits that bwrap hands on to what it starts."""
    names = {
        resource.RLIMIT_CPU: "cpu",
        resource.RLIMIT_DATA: "data",
        resource.RLIMIT_FSIZE: "fsize",
        resource.RLIMIT_NOFILE: "nofile",
        resource.RLIMIT_CORE: "core",
    }
    options = []
    for kind, soft, hard in plan.rlimits:
        ceiling = resource.getrlimit(kind)[1]
        top = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        options.append(f"--{names[kind]}={min(soft, top)}:{top}")
    return [isolation.program("prlimit"), *options, "--"]


@functools.cache
def _dying_with_us() -> tuple[str, ...]:
    """A prefix that makes the kernel kill the program when we die. Without util-linux's setpriv(1) there is none: the program then ends
    at its own limits or when its pipes break."""
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if setpriv is None:
        return ()
    try:
        probe = subprocess.run([setpriv, "--pdeathsig", "KILL", "true"], env=_CLEAN, capture_output=True, check=False)
    except OSError as error:  # raised, it is asked again next time
        raise SandboxBusy(f"cannot start {setpriv}: {error.strerror}") from error
    return (setpriv, "--pdeathsig", "KILL", "--") if probe.returncode == 0 else ()


def _start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None, feed: bool, passed: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
            pass_fds=passed,
            close_fds=True,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise SandboxUnavailable(f"cannot start {command[0]}: {error.strerror}") from error
    except OSError as error:
        raise SandboxBusy(f"cannot start {command[0]}: {error.strerror}") from error


@contextlib.contextmanager
def _handed_over(content: bytes) -> Iterator[int]:
    """A descriptor from which a child reads `content`: no file, no length limit of a command line, not in the process list."""
    descriptor = os.memfd_create("fixwright", 0)
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _private_home(level: Level) -> Iterator[dict[str, str]]:
    """Where there is no private /tmp, a fresh folder to stand in for it; empty elsewhere."""
    if level.isolates:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="fixwright-home-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            _give_away(Path(folder), isolation.SANDBOX_USER)
        yield {"HOME": folder, "TMPDIR": folder}


def _first_folder(writable: Sequence[tuple[Path, Path]], home: Mapping[str, str]) -> Path | None:
    """Where a program starts when nobody says where; None: in the private /tmp."""
    if writable:
        return writable[0][1]
    return Path(home["HOME"]) if home else None


def _give_away(folder: Path, user: int) -> None:
    """Make `user` the owner of a folder and all that is in it, following no link."""
    os.chown(folder, user, user, follow_symlinks=False)
    for _, folders, files, handle in os.fwalk(folder):
        for name in (*folders, *files):
            os.chown(name, user, user, dir_fd=handle, follow_symlinks=False)


def runtime_mounts(program: str) -> tuple[Path, ...]:
    """What must be `readable` for a program on our PATH to run in the sandbox; see `runtime`."""
    return runtime(program).mounts


@functools.cache
def runtime(program: str) -> Runtime:
    """Where a program on our PATH really lies, and what it needs besides the system's folders.

    A name on PATH may be a script that picks a version (pyenv, nvm) or a link into a virtual environment, so python and node are asked
    themselves; any other program is followed through its links.

    Args:
        program: a name on PATH, or a path.

    Raises:
        SandboxUnavailable: it is not there, or does not start.
    """
    found = shutil.which(program)
    if found is None:
        raise SandboxUnavailable(f"{program} is not on PATH", hint=f"install {program}")
    name = Path(found).name
    question = _ASK_PYTHON if name.startswith("python") else _ASK_NODE if name in ("node", "nodejs") else ()
    if not question:
        real = Path(found).resolve()
        return Runtime(Path(found), _outside_system([Path(found), real]))
    env = {name: os.environ[name] for name in ("PATH", "HOME", "PYENV_ROOT", "PYENV_VERSION", "NVM_DIR") if name in os.environ}
    answer = run([found, *question], limits=Limits(wall=20.0, cpu=20.0, output=1 << 20), env=env)
    if not answer.ok:
        raise SandboxUnavailable(f"{found} does not start: {answer.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    binary, *needed = os.fsdecode(answer.stdout).splitlines()
    return Runtime(Path(binary), _outside_system([Path(path) for path in needed]))


def _outside_system(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those that exist and that neither the system's folders nor another of them shows already; never / or a folder right below it."""
    system = [Path(folder) for folder in isolation.SYSTEM_FOLDERS]
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        shown = any(path.is_relative_to(folder) for folder in (*system, *kept))
        if path.is_absolute() and len(path.parts) > 2 and path.exists() and not shown:
            kept.append(path)
    return tuple(kept)


def _trial(level: Level) -> str:
    """Empty when a program really runs at `level`, else why not. As it comes before all else, what earlier processes left is ended here."""
    orphans.end_orphans()
    try:
        finished = run_isolated(["/bin/sh", "-c", "exit 7"], limits=Limits(wall=20.0, cpu=10.0), level=level)
    except SandboxUnavailable as error:
        return error.message
    if finished.exit_code == 7:
        return ""
    said = finished.stderr.decode("utf-8", "replace").strip()
    reason = (
        "timed out"
        if finished.timed_out
        else signal.Signals(finished.signal).name
        if finished.signal
        else f"exit code {finished.exit_code}"
    )
    return f"a trial run failed ({reason}): {said[:300]}"


_TRIALS = Trials(_trial)


def why(level: Level) -> str:
    """For `fixwright doctor`: empty when `level` works here, else the reason why it does not (see `Trials`)."""
    return _TRIALS.why(level)


def best_level() -> Level:
    """The strongest level at which a program really runs here. What works is tried once a process, what does not every few seconds.

    Raises:
        SandboxBusy: not even limits can be set.
    """
    return _TRIALS.best()


level = best_level
