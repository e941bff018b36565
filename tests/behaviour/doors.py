"""Fixwright without an App, before the double of GitHub: a token, a state folder, nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bot.cli.processes import alone
from bot.cli.watch import Session
from bot.settings import engines_dir, read_settings
from bot.wiring import App
from providers.github.client import close_line
from tests.fakes import GoodFixer, LineScanner
from tests.harness import PATIENT
from tests.stages.github import KeyScanner, bad_words
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="
OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}
JOB = {"contents": "read", "checks": "write", "pull_requests": "write"}
"""What the documentation asks of a job's token."""


def settings_of(world: GithubWorld, token: str, state: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that signs in with a token."""
    return {
        "FIXWRIGHT_STATE_DIR": str(state),
        "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
        "FIXWRIGHT_SECRET_KEY": KEY,
        "FIXWRIGHT_GITHUB_TOKEN": token,
        "FIXWRIGHT_GITHUB_API_URL": world.api_url,
        "FIXWRIGHT_RETRY_CAP": "0.1",
        **(more or {}),
    }


def with_instant_engines(app: App) -> App:
    """The same app with engines that take no time, and time for a test that works in its own process."""
    app.lease = PATIENT
    plugins = app.plugins
    scanners = {scanner.scan_type: scanner for scanner in (LineScanner(), KeyScanner())}
    app.plugins = replace(plugins, scanners=scanners, fixers=(GoodFixer(),), residues=bad_words)
    return app


class Watcher:
    """A watch in this process, as the command makes it."""

    def __init__(self, app: App, repository: Repository, number: int = 0) -> None:
        self.app = app
        self.said: list[str] = []
        self.session = Session(app, repository.full_name, number, self.said.append)

    def once(self) -> int:
        """`--once`; the exit code."""
        return self.session.once(threading.Event())


@contextmanager
def watcher(world: GithubWorld, token: str, repository: Repository, state: Path, number: int = 0) -> Iterator[Watcher]:
    """A fresh process over a state folder."""
    with alone(read_settings(settings_of(world, token, state))) as app:
        try:
            yield Watcher(with_instant_engines(app), repository, number)
        finally:
            close_line()


def shop(world: GithubWorld, *, private: bool = True) -> Repository:
    """A repository in which ada may write, robin is the machine's account, and the App is not installed."""
    made = world.create_repository("octo", "shop", private=private, files=OLD, install=False)
    world.set_permission("ada", made, "write")
    world.set_permission("robin", made, "write")
    world.set_permission("eve", made, "read")
    return made


def change(world: GithubWorld, repository: Repository, files: Mapping[str, str | bytes | None], branch: str = "feature") -> PullRequest:
    """A branch with one commit, and its pull request."""
    world.commit(repository, branch, files)
    return world.open_pull_request("ada", repository, branch, "main", "Change it")
