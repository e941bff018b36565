"""Fixwright as an operator runs it: real processes, a real queue, a hook in a real bare repository."""

from __future__ import annotations

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
from providers.local.record import CheckRecord, Conversation, PullRequestRecord, RepositoryRecord
from providers.local.repository import describe
from tests.harness import LocalRepo, git

T = TypeVar("T")


class Running:
    """`fixwright up` on a state folder of its own, and a bare repository that is connected to it."""

    def __init__(self, tmp_path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = tmp_path
        port = free_port()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
        self.environment = {
            **kept,
            "FIXWRIGHT_STATE_DIR": str(tmp_path / "state"),
            "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
            "FIXWRIGHT_PORT": str(port),
            "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": "a secret of this test",
            "FIXWRIGHT_RETRY_CAP": "2",
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

    def stop(self) -> None:
        """SIGTERM, as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

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

    @property
    def record(self) -> RepositoryRecord:
        """What the local provider shows."""
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

    def workers(self) -> list[int]:
        """Process ids of the worker and of what it forked, newest last."""
        assert self.process is not None
        children = _children()
        found = []
        for pid in children.get(self.process.pid, []):
            if "worker" in _command(pid):
                found.append(pid)
                found += _below(pid, children)
        return found

    def kill_workers(self) -> None:
        """SIGKILL the worker and everything below it, as the kernel's OOM killer or a power cut would."""
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def processes_left(self) -> list[str]:
        """Commands of processes that still have our state folder in their environment or arguments."""
        mark = self.environment["FIXWRIGHT_STATE_DIR"].encode()
        left = []
        for pid in (int(name.name) for name in Path("/proc").iterdir() if name.name.isdigit()):
            if pid == os.getpid():
                continue
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes() or mark in Path(f"/proc/{pid}/cmdline").read_bytes():
                    left.append(_command(pid))
            except OSError:
                continue
        return left


def _children() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            tree.setdefault(int(fields[1]), []).append(int(entry.name))
    return tree


def _below(pid: int, tree: dict[int, list[int]]) -> list[int]:
    found: list[int] = []
    for child in tree.get(pid, []):
        found += [child, *_below(child, tree)]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
