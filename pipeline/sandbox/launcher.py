"""Starts one program in isolation. Run as a script by `process` (`python -I -S launcher.py FD OWNER`), never imported: after a fork in a
process with threads no Python may run, so what must happen between fork and exec happens here, in a process of its own with one thread.

Descriptor FD holds the plan (`isolation.Plan` as JSON). One of:
- `bubblewrap`, when root started us: put the paths that the sandbox shows where an ordinary user can reach them (binds in a private mount
  namespace; the folders above them, such as /root, may be closed), become that user, exec bwrap;
- `namespaces`: the same view without bwrap: user, mount, network, pid, ipc and uts namespaces, a new root on tmpfs;
- `limits`: no view of its own, but another user when we are root, no new privileges, no sockets, and a parent that reaps what the program
  leaves.

Standard library only. Sources: namespaces(7), pivot_root(2), mount_setattr(2) (Linux 5.12), prctl(2), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import NoReturn, TypedDict

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
AT_RECURSIVE, AT_FDCWD = 0x8000, -100
SYS_MOUNT_SETATTR = 442  # the same on every architecture
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SYS_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91, "ppc64le": 184, "s390x": 185}
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
DEVICES = ("null", "zero", "full", "random", "urandom")
COVER = "/tmp"  # noqa: S108  (every system has it; covered in our own mount namespace only)

libc = ctypes.CDLL(None, use_errno=True)


class Plan(TypedDict):
    """What `isolation.Plan.encoded` wrote."""

    how: str
    parent: int
    drop_to: int | None
    inside_id: int
    argv: list[str]
    env: dict[str, str]
    cwd: str
    mounts: list[tuple[str, str, bool]]
    links: list[tuple[str, str]]
    files: list[tuple[str, str]]
    tmpfs: int
    rlimits: list[tuple[int, int, int]]
    processes: int
    status: int
    wrapper: list[str]
    stages: list[str]
    filter: str


def check(result: int, what: str) -> int:
    """Turn a failed call of libc into an OSError that says what was tried."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int) -> None:
    check(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    check(
        libc.mount(
            os.fsencode(source), os.fsencode(target), kind.encode() if kind else None, ctypes.c_ulong(flags), options.encode() or None
        ),
        f"mount {target}",
    )


def protect(target: str, attributes: int) -> None:
    """Set mount attributes on `target` and on everything mounted below it."""
    attr = struct.pack("=QQQQ", attributes, 0, 0, 0)
    check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(target), AT_RECURSIVE, attr, len(attr)), f"mount_setattr {target}")


def die_with_parent(parent: int) -> None:
    """Be killed when the process that started us ends, also when it ended already."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:
        os._exit(125)


def become(user: int) -> None:
    """Leave root for good. Clears the death signal (prctl(2)): set it again afterwards."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def make_place(target: Path, source_mode: int) -> None:
    """An empty folder or file to mount on."""
    if stat.S_ISDIR(source_mode):
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.touch()


def open_sources(paths: list[str]) -> list[int]:
    """Handles on what will be mounted, taken before a tmpfs covers the way to it."""
    return [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths]


def bind(descriptor: int, target: Path) -> None:
    make_place(target, os.fstat(descriptor).st_mode)
    mount(f"/proc/self/fd/{descriptor}", str(target), None, MS_BIND | MS_REC)


def private_mounts(extra: int) -> None:
    check(libc.unshare(CLONE_NEWNS | extra), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


# --- bubblewrap -----------------------------------------------------------------------------------------------------------------------


def start_bubblewrap(plan: Plan) -> NoReturn:
    """As root: stage the sources at /tmp/0, /tmp/1, ... of a private mount namespace, become an ordinary user, exec bwrap."""
    private_mounts(0)
    handles = open_sources(plan["stages"])
    mount("tmpfs", COVER, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    for number, handle in enumerate(handles):
        bind(handle, Path(COVER, str(number)))
        os.close(handle)
    assert plan["drop_to"] is not None  # noqa: S101  (staging is for root only)
    become(plan["drop_to"])
    die_with_parent(plan["parent"])
    os.chdir("/")
    os.execv(plan["wrapper"][0], plan["wrapper"])  # noqa: S606


# --- namespaces -----------------------------------------------------------------------------------------------------------------------


def start_in_namespaces(plan: Plan) -> NoReturn:
    """Build the view, then run the program as the second process of its own pid namespace."""
    user, group = os.geteuid(), os.getegid()
    as_root = plan["drop_to"] is not None
    die_with_parent(plan["parent"])
    private = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID
    if as_root:
        private_mounts(private)
    else:
        check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | private), "unshare")
        map_ids(plan["inside_id"], user, group)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        die_with_parent(plan["parent"])  # new credentials may have cleared it
    loopback_up()
    build_root(plan)
    init = os.fork()
    if init:
        close_all()
        os._exit(wait_for(init))
    die_with_parent(0)
    enter_root()
    if as_root:
        assert plan["drop_to"] is not None  # noqa: S101
        become(plan["drop_to"])
        prctl(PR_SET_DUMPABLE, 1)  # /proc/self/uid_map belongs to root otherwise
        with contextlib.suppress(OSError):  # without a user namespace of its own, processes are counted for the user as a whole
            check(libc.unshare(CLONE_NEWUSER), "unshare user")
            map_ids(plan["inside_id"], plan["drop_to"], plan["drop_to"])
    with contextlib.suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    drop_capabilities()
    die_with_parent(0)
    prctl(PR_SET_DUMPABLE, 0)
    program = os.fork()
    if not program:
        execute(plan, plan["processes"])
    close_all()
    os._exit(wait_for(program))


def map_ids(inside: int, user: int, group: int) -> None:
    """One user and one group exist inside: source user_namespaces(7)."""
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{inside} {group} 1")
    Path("/proc/self/uid_map").write_text(f"{inside} {user} 1")


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = bytearray(struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(probe, SIOCGIFFLAGS, request)
        flags = struct.unpack_from("h", request, 16)[0] | IFF_UP
        struct.pack_into("h", request, 16, flags)
        fcntl.ioctl(probe, SIOCSIFFLAGS, request)


def build_root(plan: Plan) -> None:
    """The new root, at /tmp of our mount namespace."""
    devices = [name for name in DEVICES if Path("/dev", name).exists()]
    device_handles = open_sources([f"/dev/{name}" for name in devices])
    handles = open_sources([source for source, _, _ in plan["mounts"]])
    os.umask(0o022)
    mount("tmpfs", COVER, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m")
    root = Path(COVER)
    for folder in ("proc", "dev", "tmp", "etc"):
        (root / folder).mkdir()
    mount("tmpfs", f"{root}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={plan['tmpfs']}")  # noqa: S108
    (root / "tmp/home").mkdir(mode=0o777)
    (root / "tmp/home").chmod(0o777)
    for name, handle in zip(devices, device_handles, strict=True):
        bind(handle, root / "dev" / name)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        (root / "dev" / name).symlink_to(target)
    (root / "dev/shm").mkdir()
    mount("tmpfs", f"{root}/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={plan['tmpfs']}")  # noqa: S108
    for target, name in plan["links"]:
        (root / name.lstrip("/")).symlink_to(target)
    for name, content in plan["files"]:
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    for (_, name, writable), handle in zip(plan["mounts"], handles, strict=True):
        place = root / name.lstrip("/")
        bind(handle, place)
        protect(str(place), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (0 if writable else MOUNT_ATTR_RDONLY))
        os.close(handle)


def enter_root() -> None:
    """Make /tmp the root and let go of the old one. In the new pid namespace, because /proc shows that of who mounts it."""
    mount("proc", f"{COVER}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(COVER)
    machine = os.uname().machine
    check(libc.syscall(SYS_PIVOT_ROOT[machine], b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")
    mount("none", "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    socket.sethostname("sandbox")


def drop_capabilities() -> None:
    """None left, none to be had: capabilities(7)."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for number in range(64):
        if libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) < 0:
            break
    header = struct.pack("=Ii", 0x20080522, 0)
    check(libc.syscall(SYS_CAPSET[os.uname().machine], header, bytes(24)), "capset")


# --- limits only ----------------------------------------------------------------------------------------------------------------------


def start_with_limits(plan: Plan) -> NoReturn:
    """No view of its own. We stay as the parent to whom all orphans fall, and end them with the program."""
    if plan["drop_to"] is not None:
        become(plan["drop_to"])
    die_with_parent(plan["parent"])
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_DUMPABLE, 0)
    others = tasks_of(os.geteuid())  # RLIMIT_NPROC counts every process and thread of the user
    own = os.getpid()
    program = os.fork()
    if not program:
        die_with_parent(own)
        install_filter(bytes.fromhex(plan["filter"]))
        execute(plan, plan["processes"] + others)
    close_all()
    code = wait_for(program)
    end_children()
    os._exit(code)


def install_filter(program: bytes) -> None:
    """Let the kernel judge every system call from now on: seccomp(2), struct sock_fprog."""
    if program:
        code = ctypes.create_string_buffer(program, len(program))
        table = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
        check(libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), table, 0, 0), "seccomp")


def tasks_of(user: int) -> int:
    """Threads that run as `user`."""
    count = 0
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid == user:
                count += len(os.listdir(f"/proc/{entry.name}/task"))  # noqa: PTH208  (counted, not used as paths)
    return count


def end_children() -> None:
    """Kill what is left, again and again: each death may hand us new orphans."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        try:
            children = [int(word) for word in own.read_text().split()]
        except OSError:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


# --- common ---------------------------------------------------------------------------------------------------------------------------


def execute(plan: Plan, processes: int) -> NoReturn:
    """Become the program."""
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and ignoring is inherited
        os.chdir(plan["cwd"])
        for kind, soft, hard in plan["rlimits"]:
            lower_limit(kind, soft, hard)
        lower_limit(resource.RLIMIT_NPROC, processes, processes)
        os.write(plan["status"], b"began")
        os.close(plan["status"])
        os.execvpe(plan["argv"][0], plan["argv"], plan["env"])  # noqa: S606
    except FileNotFoundError as error:
        sys.stderr.write(f"launcher: {error}\n")
        os._exit(127)
    except OSError as error:
        sys.stderr.write(f"launcher: {error}\n")
        os._exit(126)


def lower_limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, but never above the one that is in force."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def close_all() -> None:
    """A waiting parent must not keep the pipes of its child open."""
    os.closerange(0, 1024)


def wait_for(program: int) -> int:
    """Reap until `program` ends; 128 + signal when one ended it."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == program:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def main() -> NoReturn:
    """Read the plan and follow it. Exit code 125: the isolation could not be had; standard error says why."""
    descriptor = int(sys.argv[1])
    with os.fdopen(descriptor, "rb") as source:
        plan: Plan = json.loads(source.read())
    starts = {"bubblewrap": start_bubblewrap, "namespaces": start_in_namespaces, "limits": start_with_limits}
    try:
        starts[plan["how"]](plan)
    except (OSError, KeyError) as error:
        sys.stderr.write(f"fixwright-sandbox: {error}\n")
        os._exit(125)
    os._exit(125)


if __name__ == "__main__":
    main()
