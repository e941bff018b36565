"""A worker that is killed in the middle: its work is taken over within 15 seconds, and nothing happens twice."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.demo import content
from tests.e2e.processes import Running
from tests.engines import copy_with, needs_engines

RESUMED = 15.0
"""Seconds from the kill to the resumed work (the promise of docs/reliability)."""

pytestmark = [needs_engines, pytest.mark.slow]


@pytest.fixture
def slow_engine(tmp_path: Path) -> Path:
    """betterleaks, but each run takes three seconds, and leaves a mark when it begins."""
    return copy_with(tmp_path / "engines", "betterleaks", 'sleep 3\nexec "$REAL" "$@"')


@pytest.fixture
def running(tmp_path: Path, slow_engine: Path) -> Iterator[Running]:
    made = Running(tmp_path, {"FIXWRIGHT_ENGINES_DIR": str(slow_engine)})
    made.start()
    yield made
    made.stop()
    assert made.processes_left() == []


def _engines_below(running: Running) -> bool:
    tree = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
    return bool(running.workers()) and b"sleep 3" in tree


def _repository(running: Running) -> str:
    running.repo.commit(content.MAIN, "first")
    running.push("main")
    head = running.repo.commit(content.CHANGE, "change", branch="feature")
    running.push("feature")
    return head


def test_a_worker_killed_in_a_scan(running: Running) -> None:
    head = _repository(running)
    running.wait("an engine at work", lambda: _engines_below(running), 60)
    running.kill_workers()
    killed = time.monotonic()
    running.wait("an engine at work again", lambda: _engines_below(running), RESUMED)
    assert time.monotonic() - killed <= RESUMED
    check = running.finished(head, 60)
    assert check.conclusion == "failure"
    said = running.wait("threads", lambda: running.said() if len(running.said().threads) == 2 else None, 60)
    assert said.notifications == 1
    assert sorted(thread.path for thread in said.threads) == ["config/backup.py", "members/web.py"]


def test_a_worker_killed_in_a_fix(running: Running) -> None:
    head = _repository(running)
    running.finished(head, 90)
    said = running.wait("threads", lambda: running.said() if len(running.said().threads) == 2 else None, 60)
    thread = next(t for t in said.threads if t.path == "members/web.py")
    running.fixwright("local", "comment", str(running.server), "1", "/fix", "--thread", thread.id)
    running.wait("an engine at work", lambda: _engines_below(running), 60)
    running.kill_workers()
    running.wait("an engine at work again", lambda: _engines_below(running), RESUMED)
    ours = running.wait("a pull request", lambda: [p for p in running.pulls() if p.ours], 120)
    running.wait("an answer", lambda: len(running.said().threads[0].comments + running.said().threads[1].comments) > 3, 60)
    assert len(ours) == 1
    answers = [c for t in running.said().threads for c in t.comments if c.topic.startswith("fix:")]
    assert len(answers) == 1
    assert len(running.checks(head)) == 1
    assert "**verified**" in ours[0].body
