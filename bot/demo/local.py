"""The demo on plain git repositories: the local provider."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from bot.demo import content
from bot.demo.story import DemoFailed, FixAnswer, git, make_repository
from pipeline.escaping import visible
from pipeline.leaks import clean
from pipeline.sandbox.process import Limits, run
from pipeline.sandbox.service import Service, python
from providers.local.record import PullRequestRecord, RepositoryRecord
from providers.local.repository import describe

READY_SECONDS = 180.0
"""A first start on a busy machine takes minutes; one that has ended is not waited for."""
LINES_SHOWN = 12


class LocalDemo:
    """A bare repository whose post-receive hook delivers."""

    name = "local"
    word = "pull request"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = folder / "server" / f"{content.NAME}.git"
        self._environment: Mapping[str, str] = {}
        self._service: Service | None = None

    def open(self, repository: Path) -> None:
        """The bare repository and a clone of it, once."""
        if not self.server.exists():
            self.server.mkdir(parents=True)
            git(self.server, "init", "--quiet", "--bare", "--initial-branch=main")
        if not repository.exists():
            make_repository(repository, self.server)

    def start(self, environment: Mapping[str, str], log: Path) -> None:
        """`fixwright up` and `fixwright local connect`."""
        self._environment = {**environment, "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": secrets.token_urlsafe(24)}
        begins = end_of(log)
        self._service = Service.start(python("-m", "bot.cli", "up"), name="fixwright", env=self._environment, log=log)
        wait_ready(self._service, environment["FIXWRIGHT_URL"], log, begins)
        fixwright(self._environment, "local", "connect", str(self.server))

    def push(self) -> str:
        """Push; when the branch is there already from an earlier run, deliver it again as the hook would."""
        repository = self._folder / "repository"
        head = git(repository, "rev-parse", content.BRANCH)
        known = git(self.server, "for-each-ref", "--format=%(objectname)", f"refs/heads/{content.BRANCH}")
        if known == head:
            line = f"{'0' * 40} {head} refs/heads/{content.BRANCH}\n"
            fixwright(self._environment, "local", "deliver", "--connection", str(self.server / "fixwright.json"), stdin=line)
            return "delivered once more: the change was there from an earlier run"
        git(repository, "push", "--quiet", "origin", content.BRANCH)
        return f"post-receive hook of {self.server}"

    def checks(self) -> list[dict[str, Any]]:
        """From the record of the local provider."""
        head = git(self.server, "rev-parse", f"refs/heads/{content.BRANCH}")
        return [check.model_dump() for check in self._record().checks(head).checks]

    def threads(self) -> list[dict[str, Any]]:
        """From the record of the local provider."""
        said = self._record().conversation(self._number()).threads
        return [{**thread.model_dump(exclude={"comments"}), "body": thread.comments[0].body} for thread in said]

    def ask(self, path: str, text: str) -> None:
        """`fixwright local comment`."""
        thread = next(thread for thread in self.threads() if thread["path"] == path)
        fixwright(self._environment, "local", "comment", str(self.server), str(self._number()), text, "--thread", thread["id"])

    def fix(self) -> FixAnswer | None:
        """Our own pull request, and the answer in the thread."""
        ours = [pull for pull in self._record().pull_requests().pulls if pull.ours]
        threads = self._record().conversation(self._number()).threads
        replies = [c.body for t in threads for c in t.comments if c.topic.startswith("fix:")]
        if not ours or not replies:
            return None
        pull = ours[0]
        return FixAnswer(pull.number, pull.title, pull.body, pull.head_ref, replies[-1])

    def counts(self) -> Mapping[str, int]:
        """What an impatient reader would count."""
        pulls = self._record().pull_requests().pulls
        return {"checks": len(self.checks()), "threads": len(self.threads()), "fixes": sum(pull.ours for pull in pulls)}

    def close(self) -> None:
        """Stop Fixwright; what it knows stays in the state folder."""
        if self._service is not None:
            self._service.stop(30.0)

    def _record(self) -> RepositoryRecord:
        root = Path(self._environment["FIXWRIGHT_STATE_DIR"]) / "local"
        return RepositoryRecord(root, describe(self.server).external_id)

    def _number(self) -> int:
        found: PullRequestRecord = next(p for p in self._record().pull_requests().pulls if p.head_ref == content.BRANCH)
        return found.number


def fixwright(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> None:
    """One command of ours, as a person gives it. Raises DemoFailed with what it said when it fails."""
    limits = Limits(wall=60.0, cpu=60.0, memory=8 << 30)
    done = run([sys.executable, "-m", "bot.cli", *arguments], limits=limits, env=environment, stdin=stdin.encode())
    if not done.ok:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-300:]
        raise DemoFailed(f"fixwright {arguments[0]} {arguments[1]}: {said}")


def end_of(log: Path) -> int:
    """Where in a log what is written from now on begins."""
    return log.stat().st_size if log.exists() else 0


def wait_ready(service: Service, url: str, log: Path, begins: int = 0, seconds: float = READY_SECONDS) -> None:
    """Until `/readyz` says so. What does not become ready is told with the last lines of its log, on stderr.

    Args:
        begins: see `end_of`.

    Raises:
        DemoFailed: the process has ended, or lives and is not ready.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if service.exit_code() is not None:
            break
        time.sleep(0.1)
    code = service.exit_code()
    for line in _last_lines(log, begins):
        print(f"  {visible(clean(line, machine=True))}", file=sys.stderr)
    if code is not None:
        raise DemoFailed(f"fixwright ended with code {code} before it was ready", hint=f"its log: {log}")
    raise DemoFailed(f"fixwright is not ready after {seconds:.0f} s; its process lives", hint=f"is this machine busy? its log: {log}")


def _last_lines(log: Path, begins: int) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(begins)
        return file.read().decode("utf-8", "replace").splitlines()[-LINES_SHOWN:]


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
