"""Fixwright as an operator runs it: real processes, a real queue, a hook in a real bare repository."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import httpx

from bot.demo.local import free_port
from bot.settings import engines_dir
from bot.worker import LANE
from pipeline.store.engine import Database
from pipeline.store.outbox import Backlog
from providers.local.record import CheckRecord, Conversation, PullRequestRecord, RepositoryRecord
from providers.local.repository import describe
from tests.engines import processes
from tests.harness import LocalRepo, git

T = TypeVar("T")


class Running:
    """`fixwright up` on a state folder of its own, and a bare repository that is connected to it."""

    def __init__(self, tmp_path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = tmp_path
        self.temporary = tmp_path / "tmp"
        self.temporary.mkdir()
        port = free_port()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
        self.environment = {
            **kept,
            "FIXWRIGHT_STATE_DIR": str(tmp_path / "state"),
            "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
            "FIXWRIGHT_PORT": str(port),
            "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": "a secret of this test",
            "FIXWRIGHT_RETRY_CAP": "2",
            "TMPDIR": str(self.temporary),
            **(environment or {}),
        }
        self.url = f"http://127.0.0.1:{port}"
        self.server = tmp_path / "shop.git"
        self.server.mkdir()
        git(self.server, "init", "--quiet", "--bare", "--initial-branch=main")
        self.repo = LocalRepo(tmp_path / "clone")
        git(self.repo.folder, "remote", "add", "origin", str(self.server))
        self.process: subprocess.Popen[bytes] | None = None
        self.log = tmp_path / "fixwright.log"

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "up"], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.wait("readiness", self._ready, 60)
        self.fixwright("local", "connect", str(self.server))

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> int:
        """SIGTERM, as an operator would; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Whatever happened: nothing of ours goes on."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
            self.wait("the end of all children", lambda: not self.processes_left(), 30)

    def kill(self) -> None:
        """SIGKILL `fixwright up` alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def fixwright(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run the command line with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "bot.cli", *arguments], env=self.environment, check=check, capture_output=True, timeout=300
        )

    def push(self, branch: str, force: bool = False) -> None:
        """Push through the hook."""
        environment = {**self.environment, "GIT_CONFIG_GLOBAL": "/dev/null"}
        command = ["git", "push", "--quiet", *(["--force"] if force else []), "origin", branch]
        subprocess.run(command, cwd=self.repo.folder, env=environment, check=True, capture_output=True, timeout=60)

    @functools.cached_property
    def record(self) -> RepositoryRecord:
        """What the local provider shows. Made once: it asks git who the repository is, and whoever waits looks all the time."""
        return RepositoryRecord(Path(self.environment["FIXWRIGHT_STATE_DIR"]) / "local", describe(self.server).external_id)

    def checks(self, commit: str) -> list[CheckRecord]:
        """Our checks on a commit."""
        return self.record.checks(commit).checks

    def said(self, number: int = 1) -> Conversation:
        """Everything on a pull request."""
        return self.record.conversation(number)

    def pulls(self) -> list[PullRequestRecord]:
        """All pull requests."""
        return self.record.pull_requests().pulls

    def finished(self, commit: str, seconds: float = 60) -> CheckRecord:
        """The one check on a commit, once it has ended."""

        def ended() -> CheckRecord | None:
            checks = self.checks(commit)
            return checks[0] if len(checks) == 1 and checks[0].status == "completed" else None

        return self.wait("a finished check", ended, seconds)

    def wait(self, what: str, look: Callable[[], T | None], seconds: float = 60) -> T:
        """Look until there is something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no {what} within {seconds} s; the log:\n{self.log.read_text()[-3000:]}")

    def worker(self) -> int:
        """Process id of the worker; 0 while there is none."""
        assert self.process is not None
        return next((pid for pid in _children(self.process.pid) if _arguments(pid)[-1:] == ["worker"]), 0)

    def forked(self) -> int:
        """Process id of the child in which the worker does a message; 0 while it does none."""
        worker = self.worker()
        return next((pid for pid in _children(worker) if _arguments(pid)[-1:] == ["worker"] and _name(pid) != LANE), 0) if worker else 0

    def lane(self) -> int:
        """Process id of the worker's fork that works commands; 0 while there is none."""
        worker = self.worker()
        return next((pid for pid in _children(worker) if _name(pid) == LANE), 0) if worker else 0

    def kill_worker(self, parent: bool, child: bool) -> None:
        """SIGKILL, as the kernel's OOM killer or a power cut would."""
        doomed = [pid for pid, wanted in ((self.worker(), parent), (self.forked(), child)) if wanted]
        assert all(doomed)
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)

    def backlog(self) -> Backlog:
        """What the outbox holds."""
        database = Database.open(self.database_url)
        try:
            with database.read() as work:
                return work.outbox.backlog()
        finally:
            database.dispose()

    def idle(self, seconds: float = 60) -> None:
        """Wait until nothing is waiting or running, and see that nothing was given up."""
        self.wait("rest", lambda: (self.backlog().waiting, self.backlog().running) == (0, 0), seconds)
        assert self.backlog().dead == 0

    @property
    def database_url(self) -> str:
        """Of the database that it uses."""
        return self.environment.get("DATABASE_URL") or f"sqlite:///{self.folder / 'state' / 'fixwright.db'}"

    def processes_now(self) -> dict[int, str]:
        """Commands of processes that have our folder in their environment or arguments, also engines in the sandbox, by their numbers."""
        mark = str(self.folder)
        return {
            pid: " ".join(arguments)
            for pid, arguments in processes()
            if pid != os.getpid() and (any(mark in word for word in arguments) or mark in _environment(pid))
        }

    def processes_left(self) -> list[str]:
        """Commands of those that should be gone."""
        return list(self.processes_now().values())

    def folders_left(self) -> list[str]:
        """Temporary files: what a worker that waits for work keeps, its own empty folder, is none."""
        return [str(path.relative_to(self.temporary)) for path in self.temporary.glob("*/*")]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            continue
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _arguments(pid: int) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def _environment(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
    except OSError:
        return ""
