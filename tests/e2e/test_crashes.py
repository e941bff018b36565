"""A worker that is killed in the middle: its work is taken over within 15 seconds, and nothing happens twice."""

from __future__ import annotations

import itertools
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

pytestmark = [needs_engines, pytest.mark.slow]


@dataclass
class Scene:
    """A running Fixwright whose betterleaks waits when it is told to."""

    running: Running
    engine: HeldEngine

    def change(self, branch: str) -> str:
        """Push a branch that adds one secret and one injection."""
        head = self.running.repo.commit(content.CHANGE, f"change on {branch}", branch=branch, start="main")
        self.running.push(branch)
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
        found = self.running.wait("an engine at work", self.engine.at_work, 60)
        # bwrap binds the sandbox's life to its own some moments after it was made; what dies before is ended by the clock inside.
        time.sleep(0.5)
        return found

    def wait_for_death(self) -> None:
        self.running.wait("the end of the engine", lambda: not self.engine.at_work(), 5)

    def wait_for_resumption(self, killed: float) -> None:
        self.running.wait("an engine at work again", self.engine.at_work, RESUMED - (time.monotonic() - killed))


def _start(tmp_path: Path) -> Scene:
    engine = HeldEngine(tmp_path / "engines", "betterleaks")
    running = Running(tmp_path, {"FIXWRIGHT_ENGINES_DIR": str(engine.folder)})
    running.start()
    first = running.repo.commit(content.MAIN, "first")
    running.push("main")
    # The push to the default branch is looked at too; only what a test pushes may be at work when it kills.
    running.wait("a look at the default branch", lambda: any(check.status == "completed" for check in running.checks(first)))
    running.idle()
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
def module_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all tests that kill workers only."""
    scene = _start(tmp_path_factory.mktemp("crashes"))
    yield scene
    _end(scene)


@pytest.fixture
def shared(module_scene: Scene) -> Iterator[Scene]:
    """A test that failed does not hold up the next one."""
    yield module_scene
    module_scene.engine.release()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = _start(tmp_path)
    yield made
    _end(made)


KILLED = {"worker and child": (True, True), "child": (False, True), "worker": (True, False)}
_numbers = itertools.count(1)


@pytest.mark.parametrize("who", KILLED)
def test_a_worker_killed_in_a_scan(shared: Scene, who: str) -> None:
    branch = f"scan-{next(_numbers)}"
    shared.engine.hold()
    head = shared.change(branch)
    shared.wait_for_work()
    shared.running.kill_worker(*KILLED[who])
    killed = time.monotonic()
    shared.wait_for_death()
    shared.wait_for_resumption(killed)
    shared.engine.release()
    assert shared.running.finished(head).conclusion == "failure"
    said = shared.said(branch)
    shared.running.idle()
    assert len(shared.running.checks(head)) == 1
    assert said.notifications == 1
    assert sorted(thread.path for thread in said.threads) == ["config/backup.py", "members/web.py"]
    assert shared.running.folders_left() == []


@pytest.mark.parametrize("who", KILLED)
def test_a_worker_killed_in_a_fix(shared: Scene, who: str) -> None:
    branch = f"fix-{next(_numbers)}"
    head = shared.change(branch)
    shared.running.finished(head)
    number = shared.pull(branch).number
    thread = next(t for t in shared.said(branch).threads if t.path == "members/web.py")
    shared.running.idle()
    shared.engine.hold()
    shared.running.fixwright("local", "comment", str(shared.running.server), str(number), "/fix", "--thread", thread.id)
    shared.wait_for_work()
    shared.running.kill_worker(*KILLED[who])
    killed = time.monotonic()
    shared.wait_for_death()
    shared.wait_for_resumption(killed)
    shared.engine.release()
    shared.running.wait("an answer", lambda: _answers(shared.running.said(number).threads), 60)
    shared.running.idle()
    (pull,) = [p for p in shared.running.pulls() if p.ours and p.base_ref == branch]
    assert "**verified**" in pull.body
    assert len(_answers(shared.running.said(number).threads)) == 1
    assert len(shared.running.checks(head)) == 1
    assert shared.running.folders_left() == []


def _answers(threads: list[ThreadRecord]) -> list[str]:
    return [comment.body for thread in threads for comment in thread.comments if comment.topic.startswith("fix:")]


def test_up_killed_in_a_scan_takes_its_children_along_and_the_next_one_goes_on(scene: Scene) -> None:
    scene.engine.hold()
    head = scene.change("feature")
    scene.wait_for_work()
    scene.running.kill()
    scene.running.wait("the end of all children", lambda: not scene.running.processes_left(), 15)
    scene.engine.release()
    scene.running.start()
    assert scene.running.finished(head).conclusion == "failure"
    said = scene.said("feature")
    scene.running.idle()
    assert said.notifications == 1
    assert len(scene.running.checks(head)) == 1


def test_a_stop_in_the_middle_of_work_is_no_failure(scene: Scene) -> None:
    scene.engine.hold()
    heads = [scene.change(branch) for branch in ("one", "two", "three")]
    scene.wait_for_work()
    assert scene.running.stop() == 0
    assert scene.running.processes_left() == []
    assert scene.running.folders_left() == []
    backlog = scene.running.backlog()
    assert backlog.waiting > 0
    assert (backlog.running, backlog.dead) == (0, 0)
    assert _crashes(scene.running) == 0
    scene.engine.release()
    scene.running.start()
    assert [scene.running.finished(head).conclusion for head in heads] == ["failure"] * 3
    scene.running.idle()
    assert [len(scene.running.checks(head)) for head in heads] == [1, 1, 1]
    assert _crashes(scene.running) == 0


def _crashes(running: Running) -> int:
    database = Database.open(running.database_url)
    with database.read() as work:
        counted = work.transaction.execute(select(func.sum(outbox.c.crashes))).scalar_one()
    database.dispose()
    return int(counted)
