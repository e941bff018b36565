"""What a hostile program tries, at every level that this machine has. Only programs that every Debian has are used inside."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import SandboxBusy
from pipeline.sandbox.process import Finished, Level, Limits, run_isolated, runtime, why
from pipeline.sandbox.seccomp import no_sockets

SMALL = Limits(wall=20.0, cpu=10.0, memory=256 << 20, file_size=8 << 20, processes=32, output=1 << 20)


@pytest.fixture(params=list(Level))
def any_level(request: pytest.FixtureRequest) -> Level:
    """Each level that works here."""
    found = Level(request.param)
    if why(found):
        pytest.skip(f"{found}: {why(found)}")
    return found


@pytest.fixture(params=[found for found in Level if found.isolates])
def closed_level(request: pytest.FixtureRequest) -> Level:
    """Each level that promises a view of its own."""
    found = Level(request.param)
    if why(found):
        pytest.skip(f"{found}: {why(found)}")
    return found


def inside(where: Level, script: str, *, readable: tuple[Path, ...] = (), writable: tuple[tuple[Path, Path], ...] = ()) -> Finished:
    return run_isolated(["/bin/bash", "-c", script], limits=SMALL, readable=readable, writable=writable, level=where)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder below one that others may not enter, as a private tree lies."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "tree"
    folder.mkdir(mode=0o755)
    (folder / "source.py").write_text("print('hello')\n")
    return folder


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of ours on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_tree_is_seen_at_its_own_path(closed_level: Level, tree: Path) -> None:
    finished = inside(closed_level, f"cat {tree}/source.py; ls {tree.parent}", readable=(tree,))
    assert finished.stdout == b"print('hello')\ntree\n", finished.stderr


def test_no_network_not_even_our_own_loopback(any_level: Level, listener: int) -> None:
    if not any_level.isolates and not no_sockets():
        pytest.skip(f"no system call filter for {os.uname().machine}")
    finished = inside(any_level, f"exec 3<>/dev/tcp/127.0.0.1/{listener} && echo connected")
    assert b"connected" not in finished.stdout
    assert finished.exit_code != 0


def test_no_abstract_socket_of_ours_is_reached(closed_level: Level) -> None:
    name = f"fixwright-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        finished = inside(closed_level, f"grep -c {name} /proc/net/unix")
    assert finished.stdout.strip() in (b"0", b"")


def test_a_secret_outside_cannot_be_read(closed_level: Level, tree: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the operator's key")
    secret.chmod(0o644)
    finished = inside(closed_level, f"cat {secret} {tree}/../secret; cat /proc/1/root{secret}; cat /proc/1/environ", readable=(tree,))
    assert b"operator" not in finished.stdout


def test_system_secrets_cannot_be_read(any_level: Level) -> None:
    finished = inside(any_level, "cat /etc/shadow /etc/sudoers /root/.bashrc /root/.ssh/id_rsa")
    assert finished.stdout == b""
    assert finished.exit_code != 0


def test_the_tree_cannot_be_written(closed_level: Level, tree: Path) -> None:
    script = f"echo x > {tree}/new; echo x >> {tree}/source.py; rm -f {tree}/source.py; chmod 777 {tree}; mv {tree} {tree}2"
    inside(closed_level, script, readable=(tree,))
    assert [path.name for path in tree.iterdir()] == ["source.py"]
    assert (tree / "source.py").read_text() == "print('hello')\n"
    assert stat.S_IMODE(tree.stat().st_mode) == 0o755


def test_a_read_only_view_cannot_be_made_writable(closed_level: Level, tree: Path) -> None:
    script = f"mount -o remount,rw,bind {tree}; mount -t tmpfs none /mnt; umount {tree}; unshare -Urm true; echo x > {tree}/new; echo $?"
    finished = inside(closed_level, script, readable=(tree,))
    assert finished.stdout.strip() != b"0"
    assert [path.name for path in tree.iterdir()] == ["source.py"]


def test_nothing_but_the_private_folder_can_be_written(closed_level: Level) -> None:
    places = "/ /usr /usr/bin /etc /dev /bin /proc/sys/kernel"
    script = f"for d in {places}; do echo x > $d/fixwright-was-here && echo wrote $d; done; echo ok > /tmp/mine; cat /tmp/mine"
    finished = inside(closed_level, script)
    assert b"wrote" not in finished.stdout
    assert finished.stdout.endswith(b"ok\n")


def test_the_private_folder_is_new_every_time(closed_level: Level) -> None:
    inside(closed_level, "echo x > /tmp/left; echo x > $HOME/left; echo x > /dev/shm/left")
    assert inside(closed_level, "ls -A /tmp/left $HOME /dev/shm").stdout.replace(b"\n", b"") in (b"/dev/shm:/tmp/home:",)


def test_other_processes_are_not_seen_and_not_reached(closed_level: Level) -> None:
    victim = subprocess.Popen(["/bin/sleep", "60"])
    try:
        finished = inside(closed_level, f"ls -d /proc/[0-9]* | wc -l; kill -9 {victim.pid}; kill -9 -1; sleep 0.2; echo survived")
        assert victim.poll() is None
        assert int(finished.stdout.split()[0] or b"99") < 15
    finally:
        victim.kill()
        victim.wait()


def test_our_process_cannot_be_killed(any_level: Level) -> None:
    if any_level is Level.LIMITS and os.geteuid() != 0:
        pytest.skip("with limits only an ordinary user's programs run as himself")
    finished = inside(any_level, f"kill -9 {os.getpid()} {os.getppid()} && echo killed")
    assert b"killed" not in finished.stdout


def test_the_environment_has_nothing_of_ours(any_level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_GITHUB_WEBHOOK_SECRET", "do not tell")
    finished = inside(any_level, "env; cat /proc/*/environ")
    assert b"do not tell" not in finished.stdout
    names = {line.partition(b"=")[0] for line in finished.stdout.split(b"\n") if b"=" in line and b"\0" not in line}
    assert names <= {b"PATH", b"HOME", b"TMPDIR", b"LANG", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


def test_the_program_is_never_root_and_gains_no_privilege(any_level: Level) -> None:
    finished = inside(any_level, "id -u; grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status")
    user, *status = finished.stdout.decode().split("\n")
    words = dict(line.split(":\t") for line in status if line)
    assert int(user) != 0
    assert int(words["CapEff"], 16) == int(words["CapPrm"], 16) == 0
    assert words["NoNewPrivs"] == "1"


def test_no_new_namespace_can_be_made(closed_level: Level) -> None:
    assert inside(closed_level, "unshare -U true && echo made").stdout == b""


def test_without_a_view_no_call_opens_a_socket_or_looks_into_a_process() -> None:
    if why(Level.LIMITS) or not no_sockets():
        pytest.skip("no system call filter here")
    python = runtime("/usr/bin/python3" if Path("/usr/bin/python3").exists() else "python3")
    if os.geteuid() == 0 and any(Path("/root") in mount.parents for mount in python.mounts):
        pytest.skip("nobody cannot read the python3 on root's PATH")
    calls = "[libc.syscall(n, 0, 0, 0) for n in (425, 438)] + [libc.socket(1, 1, 0), libc.socket(16, 3, 0), libc.ptrace(16, 1, 0, 0)]"
    script = f"import ctypes, socket; libc = ctypes.CDLL(None); print({calls}); socket.socketpair(); print('fine')"
    finished = run_isolated([str(python.binary), "-c", script], limits=SMALL, readable=python.mounts, level=Level.LIMITS)
    assert finished.stdout == b"[-1, -1, -1, -1, -1]\nfine\n", finished.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_jumps_only_to_instructions_that_it_has(machine: str) -> None:
    code = no_sockets(machine)
    steps = [struct.unpack_from("=HBBI", code, place) for place in range(0, len(code), 8)]
    for place, (what, yes, no, _) in enumerate(steps):
        if what in (0x15, 0x35):
            assert place + 1 + max(yes, no) < len(steps)
            assert steps[place + 1 + yes][0] in (0x06, 0x20)
    assert [step[3] for step in steps[-2:]] == [0x7FFF0000, 0x00050001]


def test_a_file_cannot_grow_without_end(any_level: Level) -> None:
    finished = inside(any_level, "head -c 100M /dev/zero > $HOME/big; stat -c %s $HOME/big")
    assert int(finished.stdout.split()[-1]) <= SMALL.file_size


def test_many_files_cannot_fill_the_memory(closed_level: Level) -> None:
    finished = inside(closed_level, "for i in 1 2 3 4 5; do head -c 4M /dev/zero > /tmp/$i; done; du -sk /tmp | cut -f1")
    assert int(finished.stdout.split()[-1]) <= SMALL.file_size // 1024 + 64


def test_memory_runs_out_at_the_limit_and_is_told(any_level: Level) -> None:
    finished = inside(any_level, "tail /dev/zero")
    assert finished.out_of_memory
    assert finished.seconds < 15


def test_no_core_file_is_left(any_level: Level) -> None:
    assert inside(any_level, "ulimit -Sc; ulimit -Hc").stdout == b"0\n0\n"


def test_memory_of_many_processes_counts_together(any_level: Level) -> None:
    finished = inside(any_level, "for i in 1 2 3 4; do head -c 100M /dev/zero | tail -c 100M | (sleep 5; cat >/dev/null) & done; wait")
    assert finished.out_of_memory


def test_a_fork_bomb_ends_and_leaves_nothing(any_level: Level) -> None:
    before = _processes()
    limits = Limits(wall=3.0, cpu=3.0, memory=256 << 20, processes=32, output=1 << 20)
    finished = run_isolated(["/bin/bash", "-c", "f(){ f|f& }; f; sleep 60"], limits=limits, level=any_level)
    assert finished.seconds < 20
    assert _settles_to(before + 5)


def test_the_number_of_processes_is_limited(any_level: Level) -> None:
    finished = inside(any_level, "for i in $(seq 100); do sleep 5 & done; jobs -p | wc -l")
    assert finished.exit_code != 0 or int(finished.stdout.split()[-1]) <= SMALL.processes


def test_a_flood_of_output_is_cut(any_level: Level) -> None:
    finished = inside(any_level, "yes")
    assert finished.truncated
    assert len(finished.stdout) == SMALL.output


def test_time_ends_everything_also_what_left_the_session(any_level: Level) -> None:
    limits = Limits(wall=1.0, processes=32)
    before = _processes()
    finished = run_isolated(["/bin/bash", "-c", "trap '' TERM INT; setsid setsid sleep 300 & sleep 300"], limits=limits, level=any_level)
    assert finished.timed_out
    assert _settles_to(before + 5)


def test_a_leftover_of_a_program_that_ended_well_is_ended_too(any_level: Level) -> None:
    name = f"29{os.getpid() % 10_000}.{time.monotonic_ns() % 1_000_000}"
    assert inside(any_level, f"setsid sleep {name} >/dev/null 2>&1 & exit 0").exit_code == 0
    last = time.monotonic() + 5
    while _running(name) and time.monotonic() < last:
        time.sleep(0.05)
    assert not _running(name)


def test_a_writable_copy_is_written_and_nothing_beside_it(any_level: Level, tmp_path: Path, tree: Path) -> None:
    if any_level is Level.LIMITS and os.geteuid() == 0:
        pytest.skip("with limits only, nobody cannot reach a private folder of root; tree.private_folder opens the way")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "old").write_text("old")
    finished = inside(any_level, f"pwd; echo new > new; echo more >> old; echo x > {tree}/new", readable=(tree,), writable=((copy, copy),))
    assert (copy / "new").read_text() == "new\n"
    assert (copy / "old").read_text() == "oldmore\n"
    if any_level.isolates:
        assert finished.stdout.decode().strip() == str(copy)
        assert not (tree / "new").exists()


def test_two_sandboxes_do_not_share_their_count_of_processes(closed_level: Level) -> None:
    answers: list[Finished] = []
    threads = [
        threading.Thread(target=lambda: answers.append(inside(closed_level, "for i in $(seq 20); do sleep 1 & done; wait; echo fine")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.stdout for answer in answers] == [b"fine\n"] * 3, [answer.stderr for answer in answers]


def test_no_socket_of_ours_is_reached_by_its_path(closed_level: Level, tmp_path: Path, tree: Path) -> None:
    """The socket of an agent or of a container engine lies in a folder; it is not there inside."""
    place = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(place))
        place.chmod(0o777)
        server.listen()
        finished = inside(closed_level, f"test -S {place} && echo seen; test -S {tree}/../agent.sock && echo beside", readable=(tree,))
    assert finished.stdout == b""


def test_no_descriptor_of_ours_is_inherited(any_level: Level, tmp_path: Path) -> None:
    """Beside its own three, bash has the one with which it lists them."""
    (tmp_path / "open").write_text("ours")
    with (tmp_path / "open").open() as kept:
        os.set_inheritable(kept.fileno(), True)
        finished = inside(any_level, f"for f in /proc/self/fd/*; do readlink $f; done; cat <&{kept.fileno()}")
    assert b"ours" not in finished.stdout
    assert os.fsencode(tmp_path) not in finished.stdout


def test_descriptors_run_out_for_the_program_and_not_for_us(any_level: Level) -> None:
    finished = inside(any_level, 'ulimit -Hn; i=3; while eval "exec $i</dev/null" 2>/dev/null; do i=$((i+1)); done; echo $i')
    hard, reached = (int(line) for line in finished.stdout.split()[:2])
    assert reached <= hard <= 1024
    assert inside(any_level, "echo fine").stdout == b"fine\n"


def test_no_core_is_dumped(any_level: Level) -> None:
    finished = inside(any_level, "ulimit -c; ulimit -Hc; ulimit -c unlimited; ulimit -c")
    assert set(finished.stdout.split()) == {b"0"}


def test_the_clock_and_the_name_of_the_machine_stay(any_level: Level) -> None:
    before, name = time.time(), os.uname().nodename
    finished = inside(any_level, "date -s '2001-01-01' >/dev/null 2>&1 && echo set; hostname owned 2>/dev/null; true")
    assert b"set" not in finished.stdout
    assert abs(time.time() - before) < 60
    assert os.uname().nodename == name


def test_no_device_can_be_made_and_none_of_the_machine_is_there(closed_level: Level) -> None:
    devices = "/dev/sd* /dev/vd* /dev/nvme* /dev/mem /dev/kmem /dev/kmsg /dev/fuse /dev/kvm"
    finished = inside(closed_level, f"mknod /tmp/disk b 8 0 2>/dev/null && cat /tmp/disk; ls -d {devices}")
    assert finished.stdout == b""


def test_a_link_in_the_shown_tree_leads_to_nothing_outside(closed_level: Level, tree: Path, tmp_path: Path) -> None:
    """Also one that is put there while the program runs: what it leads to is looked up inside, where it is not."""
    secret = tmp_path / "secret"
    secret.write_text("the operator's key")
    (tree / "link").symlink_to(secret)
    (tree / "root").symlink_to("/proc/1/root")
    done = threading.Event()

    def swap() -> None:
        other = tree.parent / "other"
        while not done.wait(0.001):
            with contextlib.suppress(FileNotFoundError):
                other.symlink_to(secret)
                other.rename(tree / "source.py")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        finished = inside(
            closed_level, f"for i in $(seq 300); do cat {tree}/link {tree}/source.py {tree}/root{secret}; done", readable=(tree,)
        )
    finally:
        done.set()
        thread.join()
    assert b"operator" not in finished.stdout


def test_no_key_of_ours_is_in_the_program_s_keyrings(closed_level: Level) -> None:
    """The kernel's own store of keys (keyrings(7)) is told apart by user namespace; /proc/keys lists what one may see."""
    finished = inside(
        closed_level, "cat /proc/keys; test -e /run/user && echo run; test -e $HOME/.ssh && echo ssh; test -e $HOME/.netrc && echo netrc"
    )
    assert not {b"run", b"ssh", b"netrc"} & set(finished.stdout.split())
    assert b"krbtgt" not in finished.stdout


def test_who_ignores_every_signal_ends_all_the_same(any_level: Level) -> None:
    limits = Limits(wall=0.6, processes=32)
    script = "for s in TERM INT HUP QUIT USR1 USR2 PIPE ALRM; do trap '' $s; done; while :; do sleep 1; done"
    finished = run_isolated(["/bin/bash", "-c", script], limits=limits, level=any_level)
    assert finished.timed_out
    assert finished.seconds < 10


def _processes() -> int:
    return sum(entry.name.isdecimal() for entry in Path("/proc").iterdir())


def _settles_to(count: int) -> bool:
    """Other programs come and go on this machine: what must be gone is a bomb's hundreds."""
    last = time.monotonic() + 10
    while _processes() > count + 20 and time.monotonic() < last:
        time.sleep(0.1)
    return _processes() <= count + 20


def _running(word: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    return True
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return False


FORGED = {
    "bubblewrap": ("echo 'bwrap: Creating new namespace failed' >&2; exit 1", 1),
    "the launcher": ("echo 'fixwright-sandbox: unshare: Operation not permitted' >&2; exit 125", 125),
    "a program that is not there": ("echo 'launcher: no such file' >&2; exit 127", 127),
}


@pytest.mark.parametrize("who", FORGED)
def test_a_program_cannot_speak_as_a_sandbox_that_did_not_start(any_level: Level, who: str) -> None:
    script, code = FORGED[who]
    finished = inside(any_level, script)
    assert (finished.exit_code, bool(finished.stderr)) == (code, True)


def test_a_program_has_no_descriptor_besides_its_three_and_cannot_tell_on_one_how_it_began(any_level: Level) -> None:
    finished = inside(
        any_level, "for fd in /proc/self/fd/*; do echo ${fd##*/}; done; for n in {3..40}; do echo x >&$n; done 2>/dev/null; exit 9"
    )
    assert finished.exit_code == 9
    assert set(finished.stdout.split()) <= {b"0", b"1", b"2", b"3"}  # 3: the folder that is being listed


def test_a_start_that_fails_is_told_as_one_and_tried_again(any_level: Level) -> None:
    with pytest.raises(SandboxBusy, match="no-such-folder") as caught:
        run_isolated(["/bin/true"], limits=SMALL, cwd=Path("/no-such-folder"), level=any_level)
    assert caught.value.retryable
