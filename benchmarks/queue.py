"""From a merge queue's delivery to the finished check on its commit, when nothing new has to be read. With the real engines.

The queue merges a pull request that was judged before: what its files hold is known by their blobs, so that no engine runs. Beside it
stands the pull request itself, whose changed file had to be read.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.latency import API, DELAY
from benchmarks.table import Table
from bot.settings import engines_dir
from tests.e2e.processes import Running
from tests.worlds.faults import Delay
from tests.worlds.github.hooks import Delivery
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

AIM = 2_000.0
"""Milliseconds, median: a queue stands still while it waits for us."""
FILES = 50
LOOK = 0.002


class Scene:
    """A running Fixwright, and a repository of GitHub behind it."""

    def __init__(self, running: Running, world: GithubWorld) -> None:
        self._running, self._world = running, world
        files = {f"part{n % 7}/module{n}.py": _source(n, 0) for n in range(FILES)}
        self._repository: Repository = world.create_repository("octo", "shop", files=files)
        world.set_permission("ada", self._repository, "write")
        self._count = 0

    def hold_back(self, seconds: float) -> None:
        """From now on each call of the API waits so long."""
        self._world.faults.clear()
        if seconds:
            self._world.faults.add("*", API, Delay(seconds), times=1_000_000)

    def round(self) -> tuple[float, float]:
        """One pull request, and then the queue's commit of it: milliseconds from each delivery to its finished check."""
        self._count += 1
        branch = f"feature{self._count}"
        self._world.hooks.paused = True
        self._world.commit(self._repository, branch, {"part0/module0.py": _source(0, self._count)})
        pull = self._world.open_pull_request("ada", self._repository, branch, "main", "Change it")
        changed = self._finished(self._delivery("pull_request", "opened"), pull.head_sha)
        group = self._world.queue(pull)
        queued = self._finished(self._delivery("merge_group", "checks_requested"), group.head_sha)
        self._close(pull)
        self._world.hooks.paused = False
        return changed, queued

    def _close(self, pull: PullRequest) -> None:
        self._world.close("ada", pull)

    def _delivery(self, event: str, action: str) -> Delivery:
        return self._world.hooks.of(event, action)[-1]

    def _finished(self, delivery: Delivery, head: str) -> float:
        began = time.perf_counter()
        self._world.hooks.redeliver(delivery.id)
        while not any(run.status == "completed" for run in self._world.checks(self._repository, head)):
            if time.perf_counter() - began > 120:
                raise RuntimeError(self._running.log.read_text()[-3000:])
            time.sleep(LOOK)
        spent = time.perf_counter() - began
        self._running.wait("quiet", lambda: self._running.backlog().waiting + self._running.backlog().running == 0)
        return spent * 1e3


def run(quick: bool) -> Table:
    """Rounds without and with a slow wire."""
    rounds = 3 if quick else 9
    table = Table(f"a merge queue's commit in a repository of {FILES} files, real engines", "ms")
    notes = []
    with tempfile.TemporaryDirectory() as name, _scene(Path(name)) as scene:
        scene.round()  # the first one fetches what later ones know
        for what, delay in (("calls at once", 0.0), (f"{DELAY * 1e3:.0f} ms a call", DELAY)):
            scene.hold_back(delay)
            samples = [scene.round() for _ in range(rounds)]
            queued = [sample[1] for sample in samples]
            table.rows += [(f"{what}: pull request, one file read", [sample[0] for sample in samples]), (f"{what}: queue", queued)]
            middle = statistics.median(queued)
            notes.append(f"{what}: {middle:.0f} ms in the middle (aim: {AIM:.0f}) {'' if middle <= AIM else 'MISSED'}".rstrip())
    table.notes += notes
    return table


def _source(module: int, version: int) -> str:
    return f'"""Module {module}."""\n\n\ndef step(value):\n    return value + {module * 1_000 + version}\n'


@contextmanager
def _scene(folder: Path) -> Iterator[Scene]:
    with GithubWorld.start(folder / "world") as world:
        (folder / "running").mkdir()
        environment = {
            "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
            "FIXWRIGHT_GITHUB_APP_ID": str(world.app_id),
            "FIXWRIGHT_GITHUB_PRIVATE_KEY": world.private_key_pem,
            "FIXWRIGHT_GITHUB_WEBHOOK_SECRET": world.webhook_secret,
            "FIXWRIGHT_GITHUB_API_URL": world.api_url,
        }
        running = Running(folder / "running", environment)
        try:
            running.start()
            world.webhook_url = f"{running.url}/webhooks/github"
            yield Scene(running, world)
        finally:
            running.stop()
