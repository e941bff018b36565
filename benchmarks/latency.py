"""From a delivery of GitHub to a visible and to a finished check, while every call to GitHub takes a quarter of a second.

The double of GitHub answers each call of its API only after `DELAY`. The engines answer at once; what their runs took all the same (two
programs, started in the sandbox) is known from the ledger of the same review and taken off, so that what is left is the queue, the calls
and git. One row beside them holds back git's requests too.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.table import Table
from pipeline.model.ids import CommitId
from pipeline.model.target import SourceRepository
from pipeline.store.engine import Database
from tests.e2e.processes import Running
from tests.engines import instant
from tests.worlds.faults import Delay
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

DELAY = 0.25
"""Seconds before each answer."""
API = r"^/(repos|repositories|app|installation|graphql|users)(/|$)"
EVERYTHING = ""
AIM = 2_000.0
"""Milliseconds: the check is visible, and it is finished so long after the engines."""
LOOK = 0.002
HOST = "127.0.0.1"
"""Where the double is, and so the name of the instance."""


class Scene:
    """A running Fixwright, and GitHub behind a slow wire."""

    def __init__(self, running: Running, world: GithubWorld) -> None:
        self._running, self._world = running, world
        self._count = 0

    def repository(self) -> Repository:
        """One of an owner whom we never saw, so that nothing of him is known: no token, no policy."""
        self._count += 1
        files = {f"part{n % 7}/module{n}.py": f"def step(value):\n    return value + {n}\n" for n in range(50)}
        made = self._world.create_repository(f"octo{self._count}", "shop", files=files)
        self._world.set_permission("ada", made, "write")
        return made

    def push(self, repository: Repository) -> tuple[float, float]:
        """A pull request of one changed file: milliseconds until its check is visible, and until it is finished, without its engines."""
        self._count += 1
        branch = f"feature{self._count}"
        self._world.hooks.paused = True
        self._world.commit(repository, branch, {"part0/module0.py": f"def step(value):\n    return value - {self._count}\n"})
        pull = self._world.open_pull_request("ada", repository, branch, "main", "Change it")
        self._world.hooks.paused = False
        (opened,) = [d for d in self._world.hooks.of("pull_request", "opened") if d.payload["pull_request"]["id"] == pull.id]
        began = time.perf_counter()
        self._world.hooks.redeliver(opened.id)
        visible = self._wait(repository, pull, "in_progress", began)
        finished = self._wait(repository, pull, "completed", began)
        self._running.wait("quiet", lambda: self._running.backlog().waiting + self._running.backlog().running == 0)
        return visible, finished - self._engines(repository, pull)

    def _engines(self, repository: Repository, pull: PullRequest) -> float:
        """Milliseconds of the engines' runs, which one worker does one after the other."""
        database = Database.open(self._running.database_url)
        try:
            with database.read() as work:
                source = SourceRepository("github", HOST, str(repository.id), "", "", "")
                (summary,) = work.reviews.of_head(source, CommitId(pull.head_sha))
                return sum(run.seconds for run in work.reviews.verdict(summary.id).coverage.runs) * 1e3
        finally:
            database.dispose()

    def _wait(self, repository: Repository, pull: PullRequest, status: str, began: float) -> float:
        while not any(run.status in (status, "completed") for run in self._world.checks(repository, pull.head_sha)):
            if time.perf_counter() - began > 60:
                raise RuntimeError(self._running.log.read_text()[-3000:])
            time.sleep(LOOK)
        return (time.perf_counter() - began) * 1e3

    def hold_back(self, path: str) -> None:
        """From now on each request to a path like this waits."""
        self._world.faults.clear()
        self._world.faults.add("*", path, Delay(DELAY), times=1_000_000)


def run(quick: bool) -> Table:
    """Pull requests in repositories that are new (no token is known) and known."""
    rounds = 3 if quick else 9
    table = Table(f"one changed file, {DELAY * 1e3:.0f} ms for each call to GitHub, instant engines", "ms")
    with tempfile.TemporaryDirectory() as name, _scene(Path(name)) as scene:
        scene.push(scene.repository())
        scene.hold_back(API)
        cold = [scene.push(scene.repository()) for _ in range(rounds)]
        known = scene.repository()
        scene.push(known)
        warm = [scene.push(known) for _ in range(rounds)]
        scene.hold_back(EVERYTHING)
        both = [scene.push(known) for _ in range(rounds)]
    for what, times in (("new owner, nothing known", cold), ("known", warm), ("known, git held back too", both)):
        table.rows.append((f"{what}: check visible", [visible for visible, _ in times]))
        table.rows.append((f"{what}: check finished, engines taken off", [finished for _, finished in times]))
    for index, what in enumerate(("visible", "finished after the engines")):
        slowest = max(median(push[index] for push in times) for times in (cold, warm))
        table.notes.append(f"{what}: {slowest:.0f} ms, new or known (aim: {AIM:.0f}) {'' if slowest <= AIM else 'MISSED'}".rstrip())
    return table


@contextmanager
def _scene(folder: Path) -> Iterator[Scene]:
    with GithubWorld.start(folder / "world") as world:
        (folder / "running").mkdir()
        environment = {
            "FIXWRIGHT_ENGINES_DIR": str(instant(folder / "engines")),
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
