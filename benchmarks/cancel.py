"""A command while a fix runs: from the comment to its answer, and from `/cancel` to the end of the last program in the sandbox.

`fixwright up` with its one worker, the real engines and the double of GitHub. The repository's tests start a program that does not end, so
that the worker is busy with the fix for as long as nobody calls it off.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.latency import API, DELAY, LOOK
from benchmarks.table import Table
from bot.demo import content
from tests.e2e.processes import Running
from tests.engines import processes
from tests.worlds.faults import Delay
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

AIM = 2_000.0
"""Milliseconds from the comment to the end of the programs."""
FOREVER = "86399.5"
"""Seconds that the repository's test sleeps: no other program of this machine does just that."""
HANGS = f"""import subprocess
import unittest


class HangsTest(unittest.TestCase):
    def test_hangs(self):
        subprocess.run(["sleep", "{FOREVER}"])
"""
SECONDS = 120.0


class Scene:
    """A running Fixwright, and a pull request with two findings."""

    def __init__(self, running: Running, world: GithubWorld) -> None:
        self._running, self._world = running, world
        files = {**content.MAIN, "tests/test_hangs.py": HANGS}
        self._repository: Repository = world.create_repository("octo", "shop", files=files)
        world.set_permission("ada", self._repository, "write")
        world.commit(self._repository, "feature", dict(content.CHANGE))
        self._pull: PullRequest = world.open_pull_request("ada", self._repository, "feature", "main", "Change it")
        self._until(lambda: any(run.status == "completed" for run in world.checks(self._repository, self._pull.head_sha)))
        self._rest()

    def round(self) -> tuple[float, float, float]:
        """Milliseconds: `/status` is answered; after `/cancel` nothing runs; it is answered."""
        self._world.comment("ada", self._pull, "/fix all")
        self._until(_at_work)
        asleep = _at_work()
        _, status = self._say("/status", ": fails (", lambda: True)
        ended, answered = self._say("/cancel", "Called off", lambda: not any(Path(f"/proc/{pid}").exists() for pid in asleep))
        self._rest()
        return status, ended, answered

    def hold_back(self) -> None:
        """From now on each call of GitHub waits."""
        self._world.faults.add("*", API, Delay(DELAY), times=1_000_000)

    def _say(self, text: str, answer: str, over: Callable[[], bool]) -> tuple[float, float]:
        before, began = self._answers(answer), time.perf_counter()
        self._world.comment("ada", self._pull, text)
        ended = answered = 0.0
        while not (ended and answered):
            now = (time.perf_counter() - began) * 1e3
            ended = ended or (now if over() else 0.0)
            answered = answered or (now if self._answers(answer) > before else 0.0)
            if now > SECONDS * 1e3:
                raise RuntimeError(self._running.log.read_text()[-3000:])
            time.sleep(LOOK)
        return ended, answered

    def _answers(self, words: str) -> int:
        return sum(words in comment.body for comment in self._pull.comments if comment.user is self._world.app.bot)

    def _rest(self) -> None:
        self._until(lambda: self._running.backlog().waiting + self._running.backlog().running == 0)

    def _until(self, look: Callable[[], object]) -> None:
        self._running.wait("what the benchmark waits for", look, SECONDS)


def _at_work() -> list[int]:
    return [pid for pid, arguments in processes() if arguments == ["sleep", FOREVER]]


def run(quick: bool) -> Table:
    """Rounds of `/fix all`, `/status`, `/cancel`."""
    rounds = 2 if quick else 5
    table = Table("commands while one worker is busy with a fix", "ms")
    with tempfile.TemporaryDirectory() as name, _scene(Path(name)) as scene:
        at_once = [scene.round() for _ in range(rounds)]
        scene.hold_back()
        slow = [scene.round() for _ in range(rounds)]
    for what, times in (("", at_once), (f", {DELAY * 1e3:.0f} ms for each call to GitHub", slow)):
        table.rows.append((f"/status is answered{what}", [status for status, _, _ in times]))
        table.rows.append((f"/cancel: nothing runs any more{what}", [ended for _, ended, _ in times]))
        table.rows.append((f"/cancel is answered{what}", [answered for _, _, answered in times]))
    slowest = max(ended for _, ended, _ in [*at_once, *slow])
    table.notes.append(
        f"nothing runs any more after {slowest:.0f} ms at most (aim: {AIM:.0f}) {'' if slowest <= AIM else 'MISSED'}".rstrip()
    )
    return table


@contextmanager
def _scene(folder: Path) -> Iterator[Scene]:
    with GithubWorld.start(folder / "world") as world:
        (folder / "running").mkdir()
        environment = {
            "FIXWRIGHT_GITHUB_APP_ID": str(world.app_id),
            "FIXWRIGHT_GITHUB_PRIVATE_KEY": world.private_key_pem,
            "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": world.webhook_secret,
            "FIXWRIGHT_GITHUB_API_URL": world.api_url,
            "FIXWRIGHT_WORKERS": "1",
        }
        running = Running(folder / "running", environment)
        try:
            running.start()
            world.webhook_url = f"{running.url}/webhooks/github"
            yield Scene(running, world)
        finally:
            running.stop()
