"""What a program in the sandbox may see and use, as data; `process` starts it, `launcher` and bubblewrap carry it out.

The view is the same at every level that has one: a root on tmpfs with the system's programs and libraries, the named paths at their own
places, all read-only; a private /tmp with HOME inside; /proc with nothing but its own processes; a network that ends at its own loopback.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.errors import SandboxUnavailable
from pipeline.sandbox.seccomp import no_sockets
from pipeline.sandbox.supervise import Limits

SANDBOX_USER = 65534
"""`nobody`: whom a sandboxed program runs as when root started us."""
INSIDE_ID = 1000
"""The user and group number that a program sees as its own."""
HOME = "/tmp/home"  # noqa: S108  (inside the sandbox, where /tmp is private)
LAUNCHER = Path(__file__).with_name("launcher.py")

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
"""Programs and libraries of the system, shown in every sandbox; they hold no secrets."""
_SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
"""Not all of /etc: it holds secrets that root may read. Certificates are public, and Semgrep does not start without them."""
_FILES = (
    ("/etc/passwd", f"sandbox:x:{INSIDE_ID}:{INSIDE_ID}::{HOME}:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"),
    ("/etc/group", f"sandbox:x:{INSIDE_ID}:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
)


class Level(StrEnum):
    """How strong the isolation is, best first."""

    BUBBLEWRAP = "bubblewrap"
    """Debian's bwrap, as an ordinary user."""
    NAMESPACES = "namespaces"
    """The same view, made by our own launcher with the kernel's namespaces."""
    LIMITS = "limits"
    """No view: another user when root started us, limits, a clean environment, no sockets (on x86_64 and aarch64). It does NOT keep the
    program off files that this user may read."""

    @property
    def isolates(self) -> bool:
        """True when the program has no network, sees no process of ours, and reads no file that it was not given."""
        return self is not Level.LIMITS


@dataclass(frozen=True, slots=True)
class Plan:
    """One start of one program; `launcher.Plan` reads it."""

    how: str
    parent: int
    drop_to: int | None
    inside_id: int
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    mounts: tuple[tuple[str, str, bool], ...]
    links: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    tmpfs: int
    rlimits: tuple[tuple[int, int, int], ...]
    processes: int
    status: int = -1
    """Descriptor on which whoever starts the program says that it began; the program does not get it."""
    filter: str = ""
    """System call filter in hex, for `limits`."""
    wrapper: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """As the launcher reads it."""
        return json.dumps(asdict(self)).encode()


def rlimits(limits: Limits) -> tuple[tuple[int, int, int], ...]:
    """(limit, soft, hard) for each process. After SIGXCPU a program has two seconds, then SIGKILL."""
    seconds = max(1, round(limits.cpu + 0.5))
    return (
        (resource.RLIMIT_CPU, seconds, seconds + 2),
        (resource.RLIMIT_DATA, limits.memory, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
        (resource.RLIMIT_NOFILE, 1024, 1024),
        (resource.RLIMIT_CORE, 0, 0),
    )


def plan(
    level: Level,
    argv: Sequence[str],
    limits: Limits,
    readable: Sequence[Path],
    writable: Sequence[tuple[Path, Path]],
    env: Mapping[str, str],
    cwd: Path | None,
) -> Plan:
    """Everything that must be known to start `argv` at `level`.

    Raises:
        SandboxUnavailable: the view that was asked for cannot be made here.
    """
    mounts = _mounts(readable, writable) if level.isolates else ()
    return Plan(
        how=level.value,
        parent=os.getpid(),
        drop_to=SANDBOX_USER if os.geteuid() == 0 else None,
        inside_id=INSIDE_ID,
        argv=tuple(argv),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": HOME, "TMPDIR": "/tmp", **env},  # noqa: S108
        cwd=str(cwd or "/tmp"),  # noqa: S108
        mounts=mounts,
        links=_links() if level.isolates else (),
        files=_FILES,
        tmpfs=limits.file_size,
        rlimits=rlimits(limits),
        processes=limits.processes,
        filter="" if level.isolates else no_sockets().hex(),
    )


def _mounts(readable: Sequence[Path], writable: Sequence[tuple[Path, Path]]) -> tuple[tuple[str, str, bool], ...]:
    """(source, place inside, writable), outer places before inner ones so that none hides another."""
    system = [Path(name) for name in (*SYSTEM_FOLDERS, *_SYSTEM_FILES)]
    wanted = {str(path): (str(path), False) for path in system if path.exists() and not path.is_symlink()}
    covered = [path for path in system if path.is_dir() and not path.is_symlink()]
    for path in readable:
        if not path.is_absolute() or path == Path("/") or not path.exists():
            raise SandboxUnavailable(f"cannot show {path} in the sandbox: not an absolute path of something that exists")
        if not any(path.is_relative_to(folder) for folder in covered):
            wanted[str(path)] = (str(path), False)
    for outside, inside in writable:
        wanted[str(inside)] = (str(outside), True)
    return tuple((source, place, writes) for place, (source, writes) in sorted(wanted.items(), key=lambda item: item[0].count("/")))


def _links() -> tuple[tuple[str, str], ...]:
    """(target, name) of the system folders that are links here: /bin -> usr/bin."""
    return tuple((str(Path(name).readlink()), name) for name in SYSTEM_FOLDERS if Path(name).is_symlink())


SPARE_SECONDS = 5.0
"""Our own clock outside comes first; the one inside only ends what has lost us."""


def bubblewrap_command(plan: Plan, files: Sequence[tuple[int, str]], wall: float, owner: str) -> tuple[list[str], bytes, tuple[str, ...]]:
    """What to execute for a plan of level bubblewrap.

    Args:
        files: (descriptor with the content, path inside) of `plan.files`.
        wall: seconds after which the program must be gone whatever became of us. bwrap asks the kernel to end it with its parent only
            some moments after it was made; who dies just then leaves it behind, and timeout(1) inside ends it.
        owner: a word that stands on the command line of bwrap and of all that it forks; see `orphans`.

    Returns:
        The command line, of which `{args}` stands for a descriptor with the second part; bubblewrap's own arguments, NUL-separated; and,
        when root starts us, the paths that the launcher must stage at /tmp/0, /tmp/1, ... because bwrap, an ordinary user by then,
        could not reach them.

    Limits on size and time are inherited; the number of processes is limited inside, by prlimit(1), where it counts for this sandbox
    alone (since Linux 5.14 a user namespace has its own count) and not for all of the user's.
    """
    staged = plan.drop_to is not None
    size = str(plan.tmpfs)
    arguments = ["--unshare-all", "--die-with-parent", "--new-session", "--uid", str(plan.inside_id), "--gid", str(plan.inside_id)]
    arguments += ["--unshare-user", "--disable-userns", "--hostname", "sandbox", "--cap-drop", "ALL", "--clearenv"]
    for name, value in plan.env.items():
        arguments += ["--setenv", name, value]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--size", size, "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108
    arguments += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp", "--dir", HOME]  # noqa: S108
    for target, name in plan.links:
        arguments += ["--symlink", target, name]
    for number, (source, place, writable) in enumerate(plan.mounts):
        arguments += ["--bind" if writable else "--ro-bind", f"/tmp/{number}" if staged else source, place]  # noqa: S108
    for descriptor, place in files:
        arguments += ["--perms", "0644", "--ro-bind-data", str(descriptor), place]
    arguments += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", plan.cwd, "--json-status-fd", str(plan.status)]
    prlimit = program("prlimit")
    clock = [program("timeout"), "--foreground", "--signal=KILL", f"{wall + SPARE_SECONDS:.0f}"]
    named = ["--unsetenv", owner]  # an option without effect: what --args holds is on no command line
    command = [program("bwrap"), "--args", "{args}", *named, "--", prlimit, f"--nproc={plan.processes}", "--", *clock, *plan.argv]
    encoded = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    return command, encoded, tuple(source for source, _, _ in plan.mounts) if staged else ()


def program(name: str) -> str:
    """Full path of a program of the system. Raises SandboxUnavailable."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if found is None:
        package = {"bwrap": "bubblewrap", "prlimit": "util-linux", "timeout": "coreutils"}.get(name, name)
        raise SandboxUnavailable(f"{name} is not installed", hint=f"install the package {package}")
    return found


def launcher_command(descriptor: int, owner: str) -> list[str]:
    """The command line of `launcher.py` with the plan on `descriptor`, and `owner` for who reads it (`orphans`).
    -I -S: nothing of the environment or of packages is read."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(descriptor), owner]
