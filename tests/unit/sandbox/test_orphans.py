"""What runs in the sandbox does not outlive whom it works for, whenever that one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox.isolation import Level
from pipeline.sandbox.orphans import end_orphans, mark, marked
from pipeline.sandbox.process import why

ROOT = Path(__file__).parents[3]

KILLER = """
import os, random, signal, sys, time
from pipeline.sandbox.process import Level, Limits, run_isolated

level, moments = Level(sys.argv[1]), random.Random(int(sys.argv[2]))
run_isolated(["/bin/true"], limits=Limits(wall=20.0), level=level)
for _ in range(60):
    owner = os.fork()
    if not owner:
        run_isolated(["/bin/sleep", "300"], limits=Limits(wall=300.0), level=level)
        os._exit(0)
    time.sleep(moments.uniform(0.001, 0.06))
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    print(owner)
"""


def program(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)", *words])


@pytest.fixture
def ours() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def dead_mark() -> str:
    """The mark of a process that ran here a moment ago."""
    said = subprocess.run(
        [sys.executable, "-c", "from pipeline.sandbox.orphans import mark; print(mark())"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return said.stdout.strip()


def wait_for_start(*processes: subprocess.Popen[bytes], mark: str) -> None:
    """Until each can be seen, or was ended already: tests beside us look, too."""
    last = time.monotonic() + 20
    while time.monotonic() < last:
        seen = {pid for pid, owner in marked() if owner == mark}
        if all(process.pid in seen or process.poll() is not None for process in processes):
            return
        time.sleep(0.01)


def test_a_program_of_a_dead_owner_is_ended(ours: list[subprocess.Popen[bytes]]) -> None:
    dead = dead_mark()
    ours += [program(dead), program("--option", dead)]
    wait_for_start(*ours, mark=dead)
    end_orphans()
    assert [process.wait(20) for process in ours] == [-signal.SIGKILL] * 2


def test_a_program_of_a_living_owner_goes_on(ours: list[subprocess.Popen[bytes]]) -> None:
    ours.append(program(mark()))
    wait_for_start(*ours, mark=mark())
    end_orphans()
    time.sleep(0.1)
    assert ours[0].poll() is None


def test_a_number_that_was_given_again_is_not_the_owner(ours: list[subprocess.Popen[bytes]]) -> None:
    before_us = mark().rpartition("-")[0] + "-1"
    ours.append(program(before_us))
    wait_for_start(*ours, mark=before_us)
    end_orphans()
    assert ours[0].wait(20) == -signal.SIGKILL


def test_who_works_for_another_process_namespace_is_not_judged(ours: list[subprocess.Popen[bytes]]) -> None:
    elsewhere = f"fixwright-owner-1-{os.getpid()}-1"
    ours.append(program(elsewhere))
    wait_for_start(*ours, mark=elsewhere)
    end_orphans()
    time.sleep(0.1)
    assert ours[0].poll() is None


@pytest.mark.parametrize("level", Level)
def test_nothing_is_left_of_an_owner_that_is_killed_at_any_moment(level: Level) -> None:
    if why(level):
        pytest.skip(f"{level}: {why(level)}")
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, level, "7"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    dead = set(killed.stdout.split())
    assert len(dead) == 60
    # What the kernel is about to start just then is seen by a later look, as it is by a worker's.
    last = time.monotonic() + 20
    while (left := [pid for pid, owner in marked() if owner.split("-")[3] in dead]) and time.monotonic() < last:
        end_orphans()
        time.sleep(0.1)
    assert not left
