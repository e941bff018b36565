"""A worker that is killed in the middle: its work is taken over within 15 seconds, and nothing happens twice."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.demo import content
from pipeline.store.engine import Database
from pipeline.store.tables import outbox
from providers.local.record import Conversation, PullRequestRecord, ThreadRecord
from tests.e2e.processes import Running
from tests.engines import HeldEngine, needs_engines

RESUMED = 15.0
"""Seconds from the kill to the resumed work (the promise of docs/reliability)."""

BEGINS = 2.0
"""Seconds from being asked for to an engine at work, where nothing else runs. A machine that needs longer has as much longer to resume:
work is begun there anew in the same way, and beside the leases that is all that takes time."""

SLOWER = 5.0
"""Seconds that a machine may have more for that, at most: beyond them the promise would not be held any more, however slow it is."""

FIRST = 20.0
"""Seconds within which work must have begun at first. Where that takes longer, something else is wrong, or nothing can be measured."""

OURS = {"up", "web", "relay", "worker"}
"""Commands of the processes that are there all the time."""

pytestmark = [needs_engines, pytest.mark.slow]


@dataclass
class Scene:
    """A running Fixwright whose betterleaks waits when it is told to."""

    running: Running
    engine: HeldEngine
    asked: float = 0.0
    """When the work was asked for that a test kills."""
    slow: float = 0.0
    """Seconds that this machine just needed beyond BEGINS, and SLOWER at most."""

    def change(self, branch: str) -> str:
        """Push a branch that adds one secret and one injection."""
        head = self.running.repo.commit(content.CHANGE, f"change on {branch}", branch=branch, start="main")
        self.running.push(branch)
        self.asked = time.monotonic()
        return head

    def pull(self, branch: str) -> PullRequestRecord:
        return next(pull for pull in self.running.pulls() if pull.head_ref == branch)

    def said(self, branch: str) -> Conversation:
        number = self.pull(branch).number
        return self.running.wait("threads", lambda: self._conversation(number), 60)

    def _conversation(self, number: int) -> Conversation | None:
        said = self.running.said(number)
        return said if len(said.threads) == 2 else None

    def wait_for_work(self) -> list[int]:
        found = self.running.wait("an engine at work", self.engine.at_work, FIRST - (time.monotonic() - self.asked))
        self.slow = min(max(0.0, time.monotonic() - self.asked - BEGINS), SLOWER)
        # bwrap binds the sandbox's life to its own some moments after it was made; what dies before is ended by the clock inside.
        time.sleep(0.5)
        return found

    def wait_for_death(self) -> None:
        self.running.wait("the end of the engine", lambda: not self.engine.at_work(), RESUMED + self.slow)

    def wait_for_resumption(self, killed: float) -> None:
        self.running.wait("an engine at work again", self.engine.at_work, RESUMED + self.slow - (time.monotonic() - killed))


def _start(tmp_path: Path) -> Scene:
    engine = HeldEngine(tmp_path / "engines", "betterleaks")
    running = Running(tmp_path, {"FIXWRIGHT_ENGINES_DIR": str(engine.folder)})
    try:
        running.start()
        running.repo.commit(content.MAIN, "first")
        running.push("main")
        # The first push is a first scan; only what a test pushes may be at work when it kills.
        running.wait("a first scan", lambda: "scan.ended" in running.log.read_text())
        running.idle()
    except BaseException:
        running.close()
        raise
    return Scene(running, engine)


def _end(scene: Scene) -> None:
    scene.engine.release()
    try:
        scene.running.stop()
        assert scene.running.processes_left() == []
        assert list(scene.running.temporary.iterdir()) == []
    finally:
        scene.running.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all tests: starting it takes longer than most of them."""
    scene = _start(tmp_path_factory.mktemp("crashes"))
    yield scene
    _end(scene)


@pytest.fixture
def scene(everything: Scene) -> Iterator[Scene]:
    """A test that failed does not hold up the next one."""
    yield everything
    everything.engine.release()


_numbers = itertools.count(1)


def test_a_worker_and_its_child_killed_in_a_fix(scene: Scene) -> None:
    """Once here, below `up`; `tests/faults` kills either and both, at every step of its plan."""
    branch = f"fix-{next(_numbers)}"
    head = scene.change(branch)
    scene.running.finished(head)
    number = scene.pull(branch).number
    thread = next(t for t in scene.said(branch).threads if t.path == "members/web.py")
    scene.running.idle()
    scene.engine.hold()
    scene.running.fixwright("local", "comment", str(scene.running.server), str(number), "/fix", "--thread", thread.id)
    scene.asked = time.monotonic()
    scene.wait_for_work()
    scene.running.kill_worker(parent=True, child=True)
    killed = time.monotonic()
    scene.wait_for_death()
    scene.wait_for_resumption(killed)
    scene.engine.release()
    scene.running.wait("an answer", lambda: _answers(scene.running.said(number).threads), 60)
    scene.running.idle()
    (pull,) = [p for p in scene.running.pulls() if p.ours and p.base_ref == branch]
    assert "**verified**" in pull.body
    assert len(_answers(scene.running.said(number).threads)) == 1
    assert len(scene.running.checks(head)) == 1
    assert scene.running.folders_left() == []


def _answers(threads: list[ThreadRecord]) -> list[str]:
    return [comment.body for thread in threads for comment in thread.comments if comment.topic.startswith("fix:")]


def test_no_process_of_ours_leaves_a_core_file(scene: Scene) -> None:
    limits = {command: Path(f"/proc/{pid}/limits").read_text() for pid, command in scene.running.processes_now().items()}
    assert {name for name in OURS if any(command.endswith(f" {name}") for command in limits)} == OURS
    assert {command for command, text in limits.items() if not re.search(r"^Max core file size +0 +0 ", text, re.MULTILINE)} == set()


def test_up_killed_in_a_scan_takes_its_children_along_and_the_next_one_goes_on(scene: Scene) -> None:
    scene.engine.hold()
    head = scene.change("up")
    scene.wait_for_work()
    scene.running.kill()
    scene.running.wait("the end of all children", lambda: not scene.running.processes_left(), 60)
    scene.engine.release()
    scene.running.start()
    assert scene.running.finished(head).conclusion == "failure"
    said = scene.said("up")
    scene.running.idle()
    assert said.notifications == 1
    assert len(scene.running.checks(head)) == 1


def test_a_stop_in_the_middle_of_work_is_no_failure(scene: Scene) -> None:
    crashes = _crashes(scene.running)
    scene.engine.hold()
    heads = [scene.change(branch) for branch in ("stop-1", "stop-2")]
    scene.wait_for_work()
    assert scene.running.stop() == 0
    assert scene.running.processes_left() == []
    assert scene.running.folders_left() == []
    backlog = scene.running.backlog()
    assert backlog.waiting > 0
    assert (backlog.running, backlog.dead) == (0, 0)
    assert _crashes(scene.running) == crashes
    scene.engine.release()
    scene.running.start()
    assert [scene.running.finished(head).conclusion for head in heads] == ["failure"] * 2
    scene.running.idle()
    assert [len(scene.running.checks(head)) for head in heads] == [1, 1]
    assert _crashes(scene.running) == crashes


def test_a_command_waits_for_no_fix_and_cancel_ends_what_runs(scene: Scene) -> None:
    """With one worker, which is busy all the while: its engine is held."""
    running, number = scene.running, scene.pull("stop-1").number
    thread = next(t for t in scene.said("stop-1").threads if t.path == "members/web.py")
    scene.engine.hold()
    _comment(running, number, "/fix", "--thread", thread.id)
    scene.asked = time.monotonic()
    scene.wait_for_work()
    _comment(running, number, "/status")
    running.wait("an answer", lambda: _said(running, number, ": fails ("))
    assert scene.engine.at_work()
    _comment(running, number, "/cancel")
    scene.wait_for_death()
    running.wait("an answer", lambda: _said(running, number, "Called off"))
    scene.engine.release()
    running.idle()
    assert [pull for pull in running.pulls() if pull.ours and pull.base_ref == "stop-1"] == []


def _comment(running: Running, number: int, *words: str) -> None:
    running.fixwright("local", "comment", str(running.server), str(number), *words)


def _said(running: Running, number: int, words: str) -> list[str]:
    said = running.said(number)
    everywhere = [*said.comments, *(comment for thread in said.threads for comment in thread.comments)]
    return [comment.body for comment in everywhere if words in comment.body]


def _crashes(running: Running) -> int:
    database = Database.open(running.database_url)
    with database.read() as work:
        counted = work.transaction.execute(select(func.sum(outbox.c.crashes))).scalar_one()
    database.dispose()
    return int(counted or 0)
