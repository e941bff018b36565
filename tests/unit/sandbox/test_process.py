"""Programs end as their limits say, and the reason is told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import SandboxUnavailable, Superseded
from pipeline.sandbox.process import Level, Limits, ended_when, level, run, run_isolated, runtime, runtime_mounts, why
from pipeline.sandbox.supervise import descendants


def sh(script: str, **limits: float) -> list[str]:
    return ["/bin/sh", "-c", script]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    last = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < last:
        time.sleep(0.02)
    return not alive(pid)


def test_a_program_answers_with_its_output_and_exit_code() -> None:
    finished = run(sh("echo out; echo err >&2; exit 3"), limits=Limits())
    assert (finished.exit_code, finished.stdout, finished.stderr) == (3, b"out\n", b"err\n")
    assert not (finished.timed_out or finished.out_of_memory or finished.truncated or finished.signal)


def test_a_program_reads_what_it_is_given_also_when_that_is_more_than_a_pipe_holds() -> None:
    finished = run(["wc", "-c"], limits=Limits(), stdin=b"x" * 3_000_000)
    assert finished.stdout.split() == [b"3000000"]


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert run(["true"], limits=Limits(), stdin=b"x" * 3_000_000).ok


def test_a_program_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_TOKEN", "very secret")
    assert b"secret" not in run(["env"], limits=Limits()).stdout
    assert run(["env"], limits=Limits(), env={"ONE": "1"}).stdout == b"ONE=1\n"


def test_a_missing_program_is_named_with_a_hint() -> None:
    with pytest.raises(SandboxUnavailable, match="no-such-program") as caught:
        run(["no-such-program"], limits=Limits())
    assert "install" in caught.value.hint
    assert not caught.value.retryable  # trying again installs nothing


FULL = """
import os, resource
from pipeline.errors import SandboxUnavailable
from pipeline.sandbox.process import Limits, run, run_isolated
assert run(["true"], limits=Limits()).ok
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
try:
    run(["true"], limits=Limits())
except SandboxUnavailable as error:
    print(error.code, error.retryable)
"""


def test_a_program_that_cannot_be_started_for_want_of_room_is_tried_again() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("SANDBOX_BUSY True\n", "")


def test_the_clock_ends_a_program_with_its_children_that_ignore_sigterm(tmp_path: Path) -> None:
    note = tmp_path / "child"
    script = f"trap '' TERM; (trap '' TERM; echo $$ > {note}; exec sleep 300) & sleep 300"
    finished = run(sh(script), limits=Limits(wall=0.5))
    assert finished.timed_out
    assert finished.signal == signal.SIGKILL
    assert finished.seconds < 5
    assert wait_until_gone(int(note.read_text()))


def test_a_program_that_nobody_waits_for_any_more_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "child"
    asked: list[float] = []

    def over() -> bool:
        asked.append(time.monotonic())
        return note.exists()

    with ended_when(over), pytest.raises(Superseded):
        run(sh(f"(echo $$ > {note}; exec sleep 300) & sleep 300"), limits=Limits(wall=60.0))
    assert wait_until_gone(int(note.read_text()))
    count = len(asked)
    assert run(["true"], limits=Limits()).ok
    assert len(asked) == count, "nobody is asked outside"


def test_the_clock_ends_children_that_left_the_session(tmp_path: Path) -> None:
    note = tmp_path / "child"
    finished = run(sh(f"setsid sh -c 'echo $$ > {note}; exec sleep 300' & sleep 300"), limits=Limits(wall=1.0))
    assert finished.timed_out
    assert wait_until_gone(int(note.read_text()))


def test_a_child_that_keeps_the_output_open_does_not_hold_us_up() -> None:
    started = time.monotonic()
    finished = run(sh("sleep 300 & echo done"), limits=Limits(wall=60))
    assert finished.stdout == b"done\n"
    assert not finished.timed_out
    assert time.monotonic() - started < 10


def test_processor_time_ends_a_program_before_the_clock_does() -> None:
    finished = run(sh("while :; do :; done"), limits=Limits(wall=60, cpu=1))
    assert finished.timed_out
    assert finished.signal in (signal.SIGXCPU, signal.SIGKILL)
    assert finished.seconds < 30


def test_a_flood_of_output_is_cut_and_ends_the_program() -> None:
    finished = run(["yes"], limits=Limits(wall=60, output=100_000))
    assert finished.truncated
    assert len(finished.stdout) == 100_000
    assert finished.seconds < 30


def test_exactly_the_allowed_output_is_not_truncated() -> None:
    finished = run(["head", "-c", "100000", "/dev/zero"], limits=Limits(output=100_000))
    assert finished.ok
    assert len(finished.stdout) == 100_000


def test_memory_is_limited_and_the_reason_is_told() -> None:
    finished = run(["tail", "/dev/zero"], limits=Limits(wall=60, memory=64 << 20))
    assert finished.out_of_memory
    assert not finished.timed_out


def test_a_crash_is_told_by_its_signal() -> None:
    finished = run(sh("kill -SEGV $$"), limits=Limits())
    assert finished.signal == signal.SIGSEGV
    assert finished.exit_code == 128 + signal.SIGSEGV


def test_many_threads_can_run_programs_at_once() -> None:
    answers: list[bytes] = []

    def one(number: int) -> None:
        for _ in range(5):
            answers.append(run(["echo", str(number)], limits=Limits()).stdout)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(f"{number}\n".encode() for number in range(6) for _ in range(5))


WORKER = """
import sys
from pathlib import Path
from pipeline.sandbox.process import Level, Limits, run, run_isolated
script = "sleep 300"
if sys.argv[1] == "trusted":
    run(["/bin/sleep", "300"], limits=Limits(wall=300))
else:
    run_isolated(["/bin/sleep", "300"], limits=Limits(wall=300), level=Level(sys.argv[1]))
"""


@pytest.mark.parametrize("kind", ["trusted", *Level])
def test_programs_die_with_their_parent(kind: str, tmp_path: Path) -> None:
    if kind != "trusted" and why(Level(kind)):
        pytest.skip(f"{kind}: {why(Level(kind))}")
    root = Path(__file__).parents[3]
    worker = subprocess.Popen([sys.executable, "-c", WORKER, kind], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    try:
        last = time.monotonic() + 20
        sleeping: list[int] = []
        while not sleeping and time.monotonic() < last:
            time.sleep(0.1)
            sleeping = [pid for pid in descendants(worker.pid) if _is_sleep(pid)]
        assert sleeping, "the program was not started"
        everything = list(descendants(worker.pid))
    finally:
        worker.kill()
        worker.wait()
    assert all(wait_until_gone(pid) for pid in everything)


def _is_sleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_level_reached_is_one_that_works_and_others_say_why_not() -> None:
    assert why(level()) == ""
    for candidate in Level:
        if candidate is level():
            break
        assert why(candidate), "a better level works, but was not chosen"


def test_a_path_that_does_not_exist_cannot_be_shown(tmp_path: Path) -> None:
    if not level().isolates:
        pytest.skip("nothing isolates here")
    with pytest.raises(SandboxUnavailable, match="nothing-here"):
        run_isolated(["/bin/true"], limits=Limits(), readable=[tmp_path / "nothing-here"])


def test_an_interpreter_on_path_runs_in_the_sandbox_with_its_packages() -> None:
    if not level().isolates:
        pytest.skip(f"nothing isolates here: {why(Level.NAMESPACES)}")
    python = runtime(sys.executable)
    assert runtime_mounts(sys.executable) == python.mounts
    finished = run_isolated(
        [str(python.binary), "-c", "import ssl, pytest; print(pytest.__name__)"], limits=Limits(), readable=python.mounts
    )
    assert finished.stdout == b"pytest\n", finished.stderr


def test_a_program_that_is_not_on_path_has_no_runtime() -> None:
    with pytest.raises(SandboxUnavailable, match="no-such-program"):
        runtime("no-such-program")
